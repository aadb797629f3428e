//! AWS protocols over shapes: bytes to typed requests, responses and refusals to bytes.
//!
//! Each protocol is written once, over [`Schema`](capstan_shapes::Schema) and [`Value`](capstan_shapes::Value).
//! [`route`] says which operation an HTTP request means, [`read`] makes the typed request of it, [`answer`] and
//! [`refuse`] write what goes back. Nothing here does IO, and nothing panics on input.

mod aws_chunked;
mod bucket_host;
mod cbor;
mod ec2;
mod error;
mod form;
mod http_date;
mod json;
mod query;
mod request_id;
mod rest;
mod rest_xml;
mod route;
mod violation;
mod xml;
mod xml_tree;

use std::borrow::Cow;

use bytes::Bytes;
use capstan_shapes::{Operation, Protocol, Refusal, Request, Response, Service, Value, check};

pub use aws_chunked::{Chunked, decode as decode_chunks, is_chunked};
pub use error::{Format, object_too_large, refuse, too_large};
pub use form::Form;
pub use request_id::RequestId;
pub use rest::Bound;
pub use route::{Incoming, Route, Scope, Unrouted, is_aws, is_s3, route};

/// An HTTP response, still without the headers that every response has (`Date`, `Content-Length`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Empty: no such header.
    pub content_type: Cow<'static, str>,
    /// Further headers, names in lower case.
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: Bytes,
}

/// The typed request that `body` holds for the operation of `route`: decoded, and held against its constraints.
pub fn read(route: &Route, body: &Bytes) -> Result<Request, Refusal> {
    let value = decode(route, body)?;
    let violations = check(route.operation.input, &value);
    if !violations.is_empty() {
        return Err(violation::refusal(route.service, &violations));
    }
    Request::read(route.service.name, route.operation.name, value).ok_or_else(|| {
        // Routes come from the same tables as the types.
        Refusal::new("InternalFailure", format!("No request type for {}.", route.operation.name))
            .with_status(500)
    })
}

fn decode(route: &Route, body: &Bytes) -> Result<Value, Refusal> {
    let schema = route.operation.input;
    match route.protocol {
        Protocol::AwsJson => json::decode(schema, body),
        Protocol::AwsQuery => query::decode(schema, &route.form),
        Protocol::Ec2Query => ec2::decode(schema, &route.form),
        Protocol::RestJson => rest::decode(schema, &route.bound, body),
        Protocol::RestXml => rest_xml::decode(route, body),
        Protocol::RpcV2Cbor => cbor::decode(schema, body),
    }
}

/// The HTTP response of an operation that succeeded.
pub fn answer(service: &Service, protocol: Protocol, id: RequestId, response: Response) -> Answer {
    let operation = response.operation();
    encode(service, operation, protocol, id, &response.write())
}

fn encode(
    service: &Service,
    operation: &Operation,
    protocol: Protocol,
    id: RequestId,
    value: &Value,
) -> Answer {
    if protocol == Protocol::RestXml {
        return rest_xml::encode(service, operation, id, value);
    }
    let mut headers = vec![("x-amzn-requestid".into(), id.to_string())];
    let mut body = Vec::with_capacity(1024);
    let mut status = 200;
    match protocol {
        Protocol::RestXml => {}
        Protocol::RestJson => {
            status = service.rest(operation.name).map_or(status, |rest| rest.status);
            json::encode(operation.output, value, &mut body);
        }
        Protocol::AwsJson => json::encode(operation.output, value, &mut body),
        Protocol::AwsQuery => query::encode(service, operation, id, value, &mut body),
        Protocol::Ec2Query => ec2::encode(service, operation, id, value, &mut body),
        Protocol::RpcV2Cbor => {
            headers.push(("smithy-protocol".into(), "rpc-v2-cbor".to_owned()));
            cbor::encode(operation.output, value, &mut body);
        }
    }
    Answer {
        status,
        content_type: Format::of(service, protocol).content_type().into(),
        headers,
        body: body.into(),
    }
}

#[cfg(test)]
mod tests;
