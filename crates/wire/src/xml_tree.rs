//! XML documents that clients send, as a tree.

use capstan_shapes::Refusal;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::rest_xml::malformed;

/// Deeper documents are refused, which bounds every recursion over one. S3's own are 6 deep.
const DEPTH_MAX: usize = 32;
/// The longest document that S3 takes is a list of 10,000 parts.
const BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Without a prefix.
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

impl Element {
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The root element.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        if body.len() > BYTES_MAX {
            return Err(malformed());
        }
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            let event = reader.read_event().map_err(|_| malformed())?;
            match event {
                Event::Start(tag) | Event::Empty(tag) if open.len() > DEPTH_MAX => {
                    drop(tag);
                    return Err(malformed());
                }
                Event::Start(tag) => open.push(Self::of(&tag)?),
                Event::Empty(tag) => Self::put(&mut open, Self::of(&tag)?)?,
                Event::Text(text) => Self::last(&mut open)?.text += text.as_ref(),
                Event::CData(text) => Self::last(&mut open)?.text += text.as_ref(),
                Event::GeneralRef(entity) => {
                    let character = entity.resolve_char_ref().map_err(|_| malformed())?;
                    let character = character.or_else(|| predefined(entity.as_ref()));
                    Self::last(&mut open)?.text.push(character.ok_or_else(malformed)?);
                }
                Event::End(_) => {
                    let done = open.pop().ok_or_else(malformed)?;
                    Self::put(&mut open, done)?;
                }
                // No document type of a client is read, whatever entities it may declare.
                Event::DocType(_) => return Err(malformed()),
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        match open.pop() {
            Some(top) if open.is_empty() && top.children.len() == 1 => {
                top.children.into_iter().next().ok_or_else(malformed)
            }
            _ => Err(malformed()),
        }
    }

    fn of(tag: &quick_xml::events::BytesStart<'_>) -> Result<Self, Refusal> {
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|_| malformed())?;
            let name: &str = attribute.key.as_ref();
            attributes.push((name.to_owned(), attribute.value.as_ref().to_owned()));
        }
        let name = tag.local_name();
        let name: &str = name.as_ref();
        Ok(Self { name: name.to_owned(), attributes, ..Self::default() })
    }

    fn last(open: &mut [Self]) -> Result<&mut Self, Refusal> {
        open.last_mut().ok_or_else(malformed)
    }

    fn put(open: &mut [Self], done: Self) -> Result<(), Refusal> {
        Self::last(open)?.children.push(done);
        Ok(())
    }
}

fn predefined(entity: &str) -> Option<char> {
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}
