//! The head of the request as the target gets it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};

use crate::snapshot::{LoadBalancerAttributes, XffHeaderProcessing};
use crate::trace;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// How the request's body travels to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Chunked,
    /// By the client's own `Content-Length`.
    Length,
    None,
}

/// What the head is made from.
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// The host the client asked for, or the load balancer's own name when it named none.
    pub(crate) host: &'a [u8],
    pub(crate) client: SocketAddr,
    pub(crate) listener_port: u16,
    pub(crate) attributes: &'a LoadBalancerAttributes,
    pub(crate) framing: Framing,
    /// The protocol the client wants to switch to.
    pub(crate) upgrade: Option<&'a HeaderValue>,
}

impl RequestHead<'_> {
    /// Writes the head in HTTP/1.1.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.uri.path_and_query().map_or("/", |p| p.as_str()).as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        if self.attributes.preserve_host_header {
            out.extend_from_slice(self.host);
        } else {
            out.extend(self.host.iter().map(u8::to_ascii_lowercase));
        }
        self.forwarded(out);
        out.extend_from_slice(b"\r\nX-Amzn-Trace-Id: ");
        trace::encode(self.headers.get(X_AMZN_TRACE_ID).map(HeaderValue::as_bytes), out);
        out.extend_from_slice(b"\r\n");
        if self.framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if let Some(protocol) = self.upgrade {
            out.extend_from_slice(b"Connection: Upgrade\r\n");
            line(out, header::UPGRADE.as_str(), protocol);
        }
        let connection = self.headers.get_all(header::CONNECTION);
        let cookies_apart = self.headers.get_all(header::COOKIE).iter().nth(1).is_some();
        for (name, value) in self.headers {
            let leave_out = is_hop_by_hop(name)
                || self.is_written_here(name)
                || (cookies_apart && name == header::COOKIE)
                || connection.iter().any(|c| names(c, name))
                || (self.attributes.drop_invalid_header_fields && !is_valid_field(name));
            if !leave_out {
                line(out, name.as_str(), value);
            }
        }
        if cookies_apart {
            // HTTP/2 may split cookies; HTTP/1.1 wants one line (RFC 9113 §8.2.3).
            out.extend_from_slice(b"cookie: ");
            for (i, value) in self.headers.get_all(header::COOKIE).iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"; " });
                out.extend_from_slice(value.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    fn forwarded(&self, out: &mut Vec<u8>) {
        match self.attributes.xff_header_processing {
            XffHeaderProcessing::Append => {
                out.extend_from_slice(b"\r\nX-Forwarded-For: ");
                for value in self.headers.get_all(X_FORWARDED_FOR) {
                    out.extend_from_slice(value.as_bytes());
                    out.extend_from_slice(b", ");
                }
                self.client_address(out);
            }
            XffHeaderProcessing::Preserve => {
                for value in self.headers.get_all(X_FORWARDED_FOR) {
                    out.extend_from_slice(b"\r\nX-Forwarded-For: ");
                    out.extend_from_slice(value.as_bytes());
                }
            }
            XffHeaderProcessing::Remove => {}
        }
        out.extend_from_slice(b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: ");
        decimal(out, u64::from(self.listener_port));
    }

    fn client_address(&self, out: &mut Vec<u8>) {
        let with_port = self.attributes.xff_client_port;
        match self.client.ip().to_canonical() {
            IpAddr::V4(ip) => {
                for (i, octet) in ip.octets().into_iter().enumerate() {
                    if i > 0 {
                        out.push(b'.');
                    }
                    decimal(out, u64::from(octet));
                }
            }
            // Writing to a Vec cannot fail.
            IpAddr::V6(ip) if with_port => drop(write!(out, "[{ip}]")),
            IpAddr::V6(ip) => drop(write!(out, "{ip}")),
        }
        if with_port {
            out.push(b':');
            decimal(out, u64::from(self.client.port()));
        }
    }

    /// Headers whose line stands in the head already, or that must not stand there.
    fn is_written_here(&self, name: &HeaderName) -> bool {
        name == header::HOST
            || name == X_FORWARDED_FOR
            || name == X_FORWARDED_PORT
            || name == X_FORWARDED_PROTO
            || name == X_AMZN_TRACE_ID
            // Answered by the load balancer itself.
            || name == header::EXPECT
            || (name == header::CONTENT_LENGTH && self.framing == Framing::Chunked)
    }
}

/// Headers that speak about one connection only (RFC 9110 §7.6.1).
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    name == header::CONNECTION
        || name == header::TRANSFER_ENCODING
        || name == header::UPGRADE
        || name == header::TE
        || name == header::PROXY_AUTHENTICATE
        || name == header::PROXY_AUTHORIZATION
        || name == KEEP_ALIVE
        || name == PROXY_CONNECTION
}

/// Whether a `Connection` value names this header.
pub(crate) fn names(connection: &HeaderValue, name: &HeaderName) -> bool {
    has_token(connection, name.as_str())
}

/// Whether a comma-separated value has this token.
pub(crate) fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.as_bytes().split(|b| *b == b',').any(|t| t.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// ALB's idea of a valid header name: letters, digits and hyphens.
pub(crate) fn is_valid_field(name: &HeaderName) -> bool {
    name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn line(out: &mut Vec<u8>, name: &str, value: &HeaderValue) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a number without going through the formatter.
fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes the line that begins a chunk.
pub(crate) fn chunk_size(out: &mut Vec<u8>, size: usize) {
    let mut text = String::with_capacity(18);
    let _ = write!(text, "{size:x}\r\n");
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(attributes: &LoadBalancerAttributes, headers: &[(&'static str, &'static str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let head = RequestHead {
            method: &Method::GET,
            uri: &"http://ignored/a?b=c".parse().expect("a URI"),
            headers: &map,
            host: b"Example.COM:81",
            client: "10.1.2.3:4567".parse().expect("an address"),
            listener_port: 80,
            attributes,
            framing: Framing::None,
            upgrade: None,
        };
        let mut out = Vec::new();
        head.encode(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn heads() {
        let default = LoadBalancerAttributes::default();
        let plain = encoded(&default, &[("accept", "*/*")]);
        let (before, rest) = plain.split_once("X-Amzn-Trace-Id: Root=1-").expect("a trace id");
        assert_eq!(
            before,
            "GET /a?b=c HTTP/1.1\r\nHost: example.com:81\r\nX-Forwarded-For: 10.1.2.3\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n"
        );
        assert_eq!(&rest[33..], "\r\naccept: */*\r\n\r\n");

        let stripped = encoded(
            &default,
            &[
                ("connection", "close, x-mine"),
                ("connection", "x-other"),
                ("x-other", "1"),
                ("x-mine", "1"),
                ("te", "trailers"),
                ("keep-alive", "5"),
                ("x-kept", "1"),
            ],
        );
        assert!(
            stripped.ends_with("\r\nx-kept: 1\r\n\r\n")
                && !stripped.contains("x-mine")
                && !stripped.contains("x-other"),
            "{stripped}"
        );

        let appended =
            encoded(&default, &[("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", "3.3.3.3")]);
        assert!(
            appended.contains("\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.1.2.3\r\n"),
            "{appended}"
        );

        let cookies = encoded(&default, &[("cookie", "a=1"), ("cookie", "b=2")]);
        assert!(cookies.ends_with("\r\ncookie: a=1; b=2\r\n\r\n"), "{cookies}");
    }

    #[test]
    fn attributes_act() {
        let xff = [("x-forwarded-for", "1.1.1.1")];
        let with = |attributes: LoadBalancerAttributes| encoded(&attributes, &xff);
        let default = LoadBalancerAttributes::default;
        let preserve = with(LoadBalancerAttributes {
            xff_header_processing: XffHeaderProcessing::Preserve,
            ..default()
        });
        assert!(preserve.contains("\r\nX-Forwarded-For: 1.1.1.1\r\n"), "{preserve}");
        let remove =
            with(LoadBalancerAttributes { xff_header_processing: XffHeaderProcessing::Remove, ..default() });
        assert!(!remove.contains("X-Forwarded-For"), "{remove}");
        let port = with(LoadBalancerAttributes { xff_client_port: true, ..default() });
        assert!(port.contains("X-Forwarded-For: 1.1.1.1, 10.1.2.3:4567\r\n"), "{port}");
        let host = with(LoadBalancerAttributes { preserve_host_header: true, ..default() });
        assert!(host.contains("\r\nHost: Example.COM:81\r\n"), "{host}");
        let odd = [("x_odd", "1"), ("x-even", "1")];
        let dropped =
            encoded(&LoadBalancerAttributes { drop_invalid_header_fields: true, ..default() }, &odd);
        assert!(dropped.contains("x-even") && !dropped.contains("x_odd"), "{dropped}");
    }
}
