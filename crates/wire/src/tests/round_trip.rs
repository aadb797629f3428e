//! Every operation's input and output, in each protocol of its service.

use bytes::Bytes;
use capstan_shapes::{Kind, Member, Operation, Protocol, SERVICES, Schema, Service, Value};
use proptest::prelude::*;

use super::client;
use super::rest_client::{RestRequest, as_document};
use super::values::{Source, pruned};
use crate::{Answer, Bound, Form, RequestId, Route, cbor, decode, encode, json};

/// The request's bytes: a body, or a form.
fn sent(schema: &Schema, protocol: Protocol, value: &Value) -> Bytes {
    let mut body = Vec::new();
    match protocol {
        Protocol::AwsJson | Protocol::RestJson => json::encode(schema, value, &mut body),
        Protocol::RpcV2Cbor => cbor::encode(schema, value, &mut body),
        Protocol::AwsQuery => body = client::form(schema, value, false).into_bytes(),
        Protocol::Ec2Query => body = client::form(schema, value, true).into_bytes(),
        Protocol::RestXml => {
            crate::xml::Writer::new(&mut body, crate::xml::Names::Rest).element("Root", schema, value)
        }
    }
    body.into()
}

fn route(service: &'static Service, operation: &'static Operation, protocol: Protocol, body: &[u8]) -> Route {
    let form = match protocol {
        Protocol::AwsQuery | Protocol::Ec2Query => Form::parse(body).unwrap_or_default(),
        _ => Form::default(),
    };
    Route { service, operation, protocol, scope: None, form, bound: Bound::new() }
}

fn each(mut check: impl FnMut(&'static Service, &'static Operation, Protocol)) {
    for service in SERVICES {
        for operation in service.operations {
            service.protocols.iter().for_each(|protocol| check(service, operation, *protocol));
        }
    }
}

/// The value as the protocol can carry it.
fn carried(value: Value, schema: &Schema, protocol: Protocol) -> Value {
    let Kind::Record { members } = schema.kind else { panic!("an input that is no record") };
    let empty = || Value::Record(vec![None; members.len()]);
    match protocol {
        Protocol::AwsJson | Protocol::RestJson | Protocol::RestXml | Protocol::RpcV2Cbor => value,
        Protocol::AwsQuery => pruned(value, false).unwrap_or_else(empty),
        Protocol::Ec2Query => pruned(value, true).unwrap_or_else(empty),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn inputs(seed: u64) {
        let mut source = Source(seed);
        each(|service, operation, protocol| {
            let value = source.value(operation.input, 0);
            if matches!(protocol, Protocol::RestJson | Protocol::RestXml) {
                let rest = service.rest(operation.name).expect("method and path");
                let xml = protocol == Protocol::RestXml;
                let (request, value) = RestRequest::new(rest, operation.input, value, xml);
                let route = request.route(service);
                assert_eq!(route.operation.name, operation.name);
                assert_eq!(decode(&route, &request.body).as_ref(), Ok(&value), "{}", operation.name);
                return;
            }
            let value = carried(value, operation.input, protocol);
            let body = sent(operation.input, protocol, &value);
            let read = decode(&route(service, operation, protocol, &body), &body);
            assert_eq!(read.as_ref(), Ok(&value), "{} {protocol:?}", operation.name);
        });
    }

    #[test]
    fn outputs(seed: u64) {
        let mut source = Source(seed);
        each(|service, operation, protocol| {
            let value = source.value(operation.output, 0);
            let answer = encode(service, operation, protocol, RequestId(1), &value);
            if protocol == Protocol::RestXml {
                check_rest_xml(service, operation, value, &answer);
                return;
            }
            let read = match protocol {
                Protocol::AwsJson | Protocol::RestJson => json::decode(operation.output, &answer.body).expect("JSON"),
                Protocol::RpcV2Cbor => cbor::decode(operation.output, &answer.body).expect("CBOR"),
                Protocol::Ec2Query => client::value(operation.output, &client::parse(&answer.body)),
                Protocol::RestXml => value.clone(),
                Protocol::AwsQuery => {
                    let root = client::parse(&answer.body);
                    assert!(root.child("ResponseMetadata").is_some());
                    match operation.result_wrapper {
                        "" => value.clone(),
                        name => client::value(operation.output, root.child(name).expect("a result")),
                    }
                }
            };
            // SQS flattens its lists: an empty one leaves no trace in XML.
            let whole = (service.name, protocol) != ("sqs", Protocol::AwsQuery);
            let shown = |value| if whole { Some(value) } else { pruned(value, true) };
            assert_eq!(shown(read), shown(value), "{} {protocol:?}", operation.name);
        });
    }

    /// Whatever comes, reading answers. Most bytes come from a real request, with a few of them replaced.
    #[test]
    fn nothing_panics(seed: u64, noise in prop::collection::vec((any::<u16>(), any::<u8>()), 0..6)) {
        let mut source = Source(seed);
        each(|service, operation, protocol| {
            let mut body = sent(operation.input, protocol, &source.value(operation.input, 0)).to_vec();
            for (at, byte) in &noise {
                let at = usize::from(*at) % (body.len() + 1);
                if let Some(there) = body.get_mut(at) {
                    *there = *byte;
                }
            }
            let body = Bytes::from(body);
            let _ = crate::read(&route(service, operation, protocol, &body), &body);
        });
    }
}

/// The members that an answer carries in its body.
fn check_rest_xml(service: &Service, operation: &Operation, value: Value, answer: &Answer) {
    let rest = service.rest(operation.name).expect("method and path");
    let (Kind::Record { members }, Value::Record(values)) = (&operation.output.kind, value) else {
        panic!("an output that is no record")
    };
    let inside = |member: &&Member| rest.output.iter().all(|(name, _)| *name != member.name);
    for (member, value) in members.iter().zip(values).filter(|(member, _)| inside(member)) {
        let value = value.map(|value| as_document(member.schema, value));
        let read = match (&member.schema.kind, rest.output_payload == member.name, &value) {
            (_, true, None) => None,
            (Kind::Blob { .. }, true, _) => Some(Value::Blob(answer.body.clone())),
            (Kind::Text { .. }, true, _) => {
                Some(Value::Text(String::from_utf8_lossy(&answer.body).into_owned()))
            }
            (_, true, _) => Some(client::value(member.schema, &client::parse(&answer.body))),
            (_, false, _) => {
                let root = client::parse(&answer.body);
                assert_eq!(root.name, operation.result_wrapper);
                if member.wire == root.name {
                    value.as_ref().map(|_| client::value(member.schema, &root))
                } else {
                    let Value::Record(read) = client::value(operation.output, &root) else {
                        panic!("no record")
                    };
                    read.into_iter()
                        .zip(members.iter())
                        .find(|(_, of)| of.name == member.name)
                        .and_then(|(v, _)| v)
                }
            }
        };
        // An empty flattened list leaves no trace.
        let read = read.map(|value| as_document(member.schema, value));
        let empty = |value: &Option<Value>| matches!(value, Some(Value::List(items)) if items.is_empty());
        assert!(
            read == value || empty(&read) && value.is_none() || empty(&read) && empty(&value),
            "{}.{}: {read:?} {value:?}",
            operation.name,
            member.name
        );
    }
}

#[test]
fn deep_bodies_are_refused() {
    let ecs = SERVICES.iter().find(|service| service.name == "ecs").expect("ecs");
    let cloudwatch = SERVICES.iter().find(|service| service.name == "cloudwatch").expect("cloudwatch");
    let check = |service: &'static Service, name: &str, protocol, body: &[u8]| {
        let operation = service.operation(name).expect("an operation");
        let body = Bytes::copy_from_slice(body);
        assert!(decode(&route(service, operation, protocol, &body), &body).is_err(), "{protocol:?}");
    };
    check(ecs, "DescribeClusters", Protocol::AwsJson, &b"[".repeat(1 << 20));
    check(ecs, "DescribeClusters", Protocol::AwsJson, &br#"{"clusters":"#.repeat(1 << 16));
    let cbor = [b"\xa1\x61x".as_slice(), &b"\x81".repeat(1 << 20)].concat();
    check(cloudwatch, "PutMetricData", Protocol::RpcV2Cbor, &cbor);
    check(cloudwatch, "PutMetricData", Protocol::RpcV2Cbor, b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff");
    let name = [&b"A.".repeat(1 << 18), b"=1".as_slice()].concat();
    check(cloudwatch, "PutMetricData", Protocol::AwsQuery, &name);
    let s3 = SERVICES.iter().find(|service| service.name == "s3").expect("s3");
    let deep = b"<a>".repeat(1 << 16);
    check(s3, "PutBucketTagging", Protocol::RestXml, &deep);
    check(s3, "PutBucketTagging", Protocol::RestXml, b"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>");
}

/// No service here has flattened lists and maps; the protocol does.
#[test]
fn flattened() {
    static TEXT: Schema =
        Schema { name: "Text", kind: Kind::Text { min: None, max: None, pattern: "", values: &[] } };
    static LIST: Schema = Schema {
        name: "List",
        kind: Kind::List { member: &TEXT, name: "item", flat: true, min: None, max: None },
    };
    static MAP: Schema = Schema {
        name: "Map",
        kind: Kind::Map { key: &TEXT, value: &TEXT, key_name: "K", value_name: "V", flat: true },
    };
    static MEMBERS: [Member; 2] = [
        Member { name: "List", wire: "List", ec2: "List", required: false, schema: &LIST },
        Member { name: "Map", wire: "Map", ec2: "Map", required: false, schema: &MAP },
    ];
    static RECORD: Schema = Schema { name: "Record", kind: Kind::Record { members: &MEMBERS } };
    let text = |text: &str| Value::Text(text.to_owned());
    let value = Value::Record(vec![
        Some(Value::List(vec![text("a"), text("b")])),
        Some(Value::Map([("k".to_owned(), text("v"))].into())),
    ]);
    let form = client::form(&RECORD, &value, false);
    assert_eq!(form, "item.1=a&item.2=b&Map.1.K=k&Map.1.V=v");
    let form = Form::parse(form.as_bytes()).expect("a form");
    assert_eq!(crate::query::decode(&RECORD, &form).as_ref(), Ok(&value));
    let mut xml = Vec::new();
    crate::xml::Writer::new(&mut xml, crate::xml::Names::Query).element("Record", &RECORD, &value);
    let expect = "<Record><item>a</item><item>b</item><Map><K>k</K><V>v</V></Map></Record>";
    assert_eq!(String::from_utf8_lossy(&xml), expect);
    assert_eq!(client::value(&RECORD, &client::parse(&xml)), value);
}
