//! The client's half of the query protocols: forms out, XML in.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::Time;
use capstan_shapes::{Kind, Schema, Value};
use quick_xml::Reader;
use quick_xml::events::Event;

pub(super) fn form(schema: &Schema, value: &Value, ec2: bool) -> String {
    let mut pairs = Vec::new();
    flatten(schema, value, ec2, "", &mut pairs);
    let encoded = |text: &str| {
        let byte = |b: u8| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => char::from(b).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{b:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn flatten(schema: &Schema, value: &Value, ec2: bool, at: &str, out: &mut Vec<(String, String)>) {
    let under = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match (&schema.kind, value) {
        (Kind::Record { members }, Value::Record(values)) => {
            for (member, value) in members.iter().zip(values) {
                let name = if ec2 { member.ec2 } else { crate::xml::member_name(member) };
                if let Some(value) = value {
                    flatten(member.schema, value, ec2, &under(name), out);
                }
            }
        }
        (Kind::List { .. }, Value::List(items)) if items.is_empty() => {
            out.push((at.to_owned(), String::new()));
        }
        (Kind::List { member, name, flat, .. }, Value::List(items)) => {
            let base = if ec2 || *flat { at.to_owned() } else { under(name) };
            for (index, item) in items.iter().enumerate() {
                flatten(member, item, ec2, &format!("{base}.{}", index + 1), out);
            }
        }
        (Kind::Map { key, value, key_name, value_name, flat }, Value::Map(items)) => {
            let base = if *flat { at.to_owned() } else { under("entry") };
            for (index, (name, item)) in items.iter().enumerate() {
                let entry = format!("{base}.{}", index + 1);
                let name = Value::Text(name.clone());
                flatten(key, &name, ec2, &format!("{entry}.{key_name}"), out);
                flatten(value, item, ec2, &format!("{entry}.{value_name}"), out);
            }
        }
        (_, Value::Text(text)) => out.push((at.to_owned(), text.clone())),
        (_, Value::Bool(flag)) => out.push((at.to_owned(), flag.to_string())),
        (_, Value::Int(number)) => out.push((at.to_owned(), number.to_string())),
        (_, Value::Float(number)) => out.push((at.to_owned(), format!("{number:?}"))),
        (_, Value::Blob(bytes)) => out.push((at.to_owned(), BASE64.encode(bytes))),
        (_, Value::Time(time)) => out.push((at.to_owned(), time.iso_secs())),
        (kind, value) => panic!("{value:?} is no {kind:?}"),
    }
}

#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Element {
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// The root element.
pub(super) fn parse(xml: &[u8]) -> Element {
    let mut reader = Reader::from_str(std::str::from_utf8(xml).expect("UTF-8"));
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                let attributes = tag.attributes().map(|attribute| {
                    let attribute = attribute.expect("an attribute");
                    (attribute.key.as_ref().to_owned(), attribute.value.as_ref().to_owned())
                });
                let attributes = attributes.collect();
                open.push(Element { name, attributes, ..Element::default() });
            }
            Event::Text(text) => {
                open.last_mut().expect("an element").text += text.as_ref();
            }
            Event::GeneralRef(entity) => {
                let c = match entity.resolve_char_ref().expect("a character") {
                    Some(c) => c,
                    None => match entity.as_ref() {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        other => panic!("{other:?}"),
                    },
                };
                open.last_mut().expect("an element").text.push(c);
            }
            Event::End(_) => {
                let done = open.pop().expect("an element");
                open.last_mut().expect("a parent").children.push(done);
            }
            Event::Eof => return open.remove(0).children.remove(0),
            _ => {}
        }
    }
}

pub(super) fn value(schema: &Schema, element: &Element) -> Value {
    let text = || element.text.clone();
    match &schema.kind {
        Kind::Record { members } => {
            let member = |member: &capstan_shapes::Member| {
                let name = crate::xml::member_name(member);
                if crate::xml::is_attribute(member) {
                    let text = element.attributes.iter().find(|(name, _)| name == member.wire);
                    return text.map(|(_, text)| Value::Text(text.clone()));
                }
                match &member.schema.kind {
                    Kind::List { member, flat: true, .. } => {
                        let items = element.children.iter().filter(|child| child.name == name);
                        Some(Value::List(items.map(|child| value(member, child)).collect()))
                    }
                    Kind::Map { flat: true, .. } => Some(map(member.schema, element, name)),
                    _ => element.child(name).map(|child| value(member.schema, child)),
                }
            };
            Value::Record(members.iter().map(member).collect())
        }
        Kind::List { member, name, .. } => {
            assert!(element.children.iter().all(|child| child.name == *name), "{element:?}");
            Value::List(element.children.iter().map(|child| value(member, child)).collect())
        }
        Kind::Map { .. } => map(schema, element, "entry"),
        Kind::Document | Kind::Text { .. } => Value::Text(text()),
        Kind::Bool => Value::Bool(element.text == "true"),
        Kind::Int { .. } => Value::Int(text().parse().expect("an integer")),
        Kind::Float { .. } => Value::Float(text().parse().expect("a number")),
        Kind::Blob { .. } => Value::Blob(BASE64.decode(text()).expect("base64").into()),
        Kind::Time { .. } => Value::Time(Time::parse_iso(&element.text).expect("a time")),
    }
}

fn map(schema: &Schema, element: &Element, entry: &str) -> Value {
    let Kind::Map { value: item_schema, key_name, value_name, .. } = &schema.kind else { panic!("no map") };
    let entries = element.children.iter().filter(|child| child.name == entry);
    let pairs = entries.map(|entry| {
        let part = |name| entry.child(name).expect("a part of an entry");
        (part(key_name).text.clone(), value(item_schema, part(value_name)))
    });
    Value::Map(pairs.collect::<BTreeMap<_, _>>())
}
