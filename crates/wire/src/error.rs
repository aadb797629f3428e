//! Refusals as HTTP responses.

use capstan_shapes::{ErrorMember, Protocol, Refusal, Service};

use crate::xml::{Names, Writer};
use crate::{Answer, RequestId, cbor, json, rest_xml};

/// How a client wants its errors: the protocol, and what tells services of the same protocol apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// awsJson; `1.0`, `1.1`, or empty for REST services.
    Json {
        version: &'static str,
        query_compatible: bool,
    },
    Query {
        xmlns: &'static str,
    },
    Ec2,
    Cbor {
        query_compatible: bool,
    },
    /// REST services that answer in XML: S3, Route 53, CloudFront.
    RestXml,
}

impl Format {
    pub fn of(service: &Service, protocol: Protocol) -> Self {
        // A service that came from the query protocol tells its old error codes in a header.
        let query_compatible = service.protocols.contains(&Protocol::AwsQuery);
        match protocol {
            Protocol::AwsJson => Self::Json { version: service.json_version, query_compatible },
            Protocol::AwsQuery => Self::Query { xmlns: service.xmlns },
            Protocol::Ec2Query => Self::Ec2,
            Protocol::RestJson => Self::Json { version: "", query_compatible },
            Protocol::RestXml => Self::RestXml,
            Protocol::RpcV2Cbor => Self::Cbor { query_compatible },
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json { version: "1.0", .. } => "application/x-amz-json-1.0",
            Self::Json { version: "1.1", .. } => "application/x-amz-json-1.1",
            Self::Json { .. } => "application/json",
            Self::Query { .. } => "text/xml",
            Self::Ec2 => "text/xml;charset=UTF-8",
            Self::Cbor { .. } => "application/cbor",
            Self::RestXml => "application/xml",
        }
    }

    fn is_query_compatible(self) -> bool {
        match self {
            Self::Json { query_compatible, .. } | Self::Cbor { query_compatible } => query_compatible,
            _ => false,
        }
    }
}

/// The HTTP response of a request that was refused.
pub fn refuse(format: Format, id: RequestId, refusal: &Refusal) -> Answer {
    let mut headers = match format {
        Format::RestXml => rest_xml::ids(id),
        _ => vec![("x-amzn-requestid".into(), id.to_string())],
    };
    let mut body = Vec::with_capacity(512);
    match format {
        Format::Json { version, .. } => {
            json_body(refusal, &mut body);
            if version.is_empty() {
                headers.push(("x-amzn-errortype".into(), refusal.shape.clone().into_owned()));
            }
        }
        Format::Cbor { .. } => {
            headers.push(("smithy-protocol".into(), "rpc-v2-cbor".to_owned()));
            cbor::encode_error(refusal, &mut body);
        }
        Format::Query { xmlns } => query_body(refusal, xmlns, id, &mut body),
        Format::Ec2 => ec2_body(refusal, id, &mut body),
        // What has not changed is not told again.
        Format::RestXml if refusal.status == 304 => {}
        Format::RestXml => rest_xml_body(refusal, id, &mut body),
    }
    if format.is_query_compatible() {
        headers.push(("x-amzn-query-error".into(), format!("{};{}", refusal.code, fault(refusal))));
    }
    let content_type = if body.is_empty() { "" } else { format.content_type() };
    Answer { status: refusal.status, content_type: content_type.into(), headers, body: body.into() }
}

/// What a body above the limit is answered with.
pub fn too_large(max_bytes: usize) -> Refusal {
    let message = format!("The request body is larger than {max_bytes} bytes.");
    Refusal::new("RequestEntityTooLarge", message).with_status(413)
}

/// The same for an object (S3 error responses).
pub fn object_too_large(max_bytes: usize) -> Refusal {
    let message = format!(
        "Your proposed upload exceeds the maximum allowed size: a request carries at most {max_bytes} bytes. \
         Upload larger objects in parts."
    );
    Refusal::new("EntityTooLarge", message)
}

fn fault(refusal: &Refusal) -> &'static str {
    if refusal.status < 500 { "Sender" } else { "Receiver" }
}

fn json_body(refusal: &Refusal, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"__type\":");
    json::string(&refusal.shape, out);
    // Errors of the JSON front itself come with a capital letter, errors of the services with a small one.
    let key = if refusal.code == "SerializationException" { "Message" } else { "message" };
    out.push(b',');
    json::string(key, out);
    out.push(b':');
    json::string(&refusal.message, out);
    for (name, content) in &refusal.members {
        out.push(b',');
        json::string(name, out);
        out.push(b':');
        match content {
            ErrorMember::Texts(texts) => json_list(texts, out, |text, out| json::string(text, out)),
            ErrorMember::Records(records) => json_list(records, out, |record, out| {
                out.push(b'{');
                for (index, (name, text)) in record.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json::string(name, out);
                    out.push(b':');
                    json::string(text, out);
                }
                out.push(b'}');
            }),
        }
    }
    out.push(b'}');
}

fn json_list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

fn query_body(refusal: &Refusal, xmlns: &str, id: RequestId, out: &mut Vec<u8>) {
    let mut xml = Writer::new(out, Names::Query);
    xml.open_in("ErrorResponse", xmlns);
    xml.open("Error");
    xml.text("Type", fault(refusal));
    xml.text("Code", &refusal.code);
    xml.text("Message", &refusal.message);
    for (name, content) in &refusal.members {
        xml.open(name);
        match content {
            ErrorMember::Texts(texts) => texts.iter().for_each(|text| xml.text("member", text)),
            ErrorMember::Records(records) => {
                for record in records {
                    xml.open("member");
                    record.iter().for_each(|(name, text)| xml.text(name, text));
                    xml.close("member");
                }
            }
        }
        xml.close(name);
    }
    xml.close("Error");
    xml.text("RequestId", &id.to_string());
    xml.close("ErrorResponse");
}

fn ec2_body(refusal: &Refusal, id: RequestId, out: &mut Vec<u8>) {
    let mut xml = Writer::new(out, Names::Ec2);
    xml.declaration();
    xml.open("Response");
    xml.open("Errors");
    xml.open("Error");
    xml.text("Code", &refusal.code);
    xml.text("Message", &refusal.message);
    xml.close("Error");
    xml.close("Errors");
    xml.text("RequestID", &id.to_string());
    xml.close("Response");
}

fn rest_xml_body(refusal: &Refusal, id: RequestId, out: &mut Vec<u8>) {
    let mut xml = Writer::new(out, Names::Query);
    xml.declaration();
    xml.open("Error");
    xml.text("Code", &refusal.code);
    xml.text("Message", &refusal.message);
    for (name, content) in &refusal.members {
        if let ErrorMember::Texts(texts) = content {
            texts.iter().for_each(|text| xml.text(name, text));
        }
    }
    xml.text("RequestId", &id.to_string());
    xml.close("Error");
}
