//! The head of a target's answer.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use crate::request_head::{has_token, is_hop_by_hop, names};

/// All response headers together (ALB guide, load-balancer-limits).
pub(crate) const RESPONSE_HEAD_MAX_BYTES: usize = 32 * 1024;
const HEADERS_MAX: usize = 128;

/// A parsed head.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// Without those that speak about the connection to the target only.
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyKind,
    /// The target is willing to take another request on this connection.
    pub(crate) keep_alive: bool,
    /// The protocol of a 101.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    Chunked,
    Length(u64),
    UntilClose,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    Malformed,
    TooLarge,
}

/// Parses a head from the beginning of `bytes`: the head and its length, or `None` when more is needed.
pub(crate) fn parse(bytes: &[u8], method: &Method) -> Result<Option<(ResponseHead, usize)>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= RESPONSE_HEAD_MAX_BYTES => {
            return Err(HeadError::TooLarge);
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(_) => return Err(HeadError::Malformed),
    };
    if length > RESPONSE_HEAD_MAX_BYTES {
        return Err(HeadError::TooLarge);
    }
    let status =
        response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(HeadError::Malformed)?;
    // One copy of the head, shared by all its values.
    let shared = Bytes::copy_from_slice(&bytes[..length]);
    let base = bytes.as_ptr().addr();
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Malformed)?;
        let start = if field.value.is_empty() { 0 } else { field.value.as_ptr().addr() - base };
        let value = HeaderValue::from_maybe_shared(shared.slice(start..start + field.value.len()))
            .map_err(|_| HeadError::Malformed)?;
        headers.append(name, value);
    }
    let http11 = response.version == Some(1);
    let head = finish(status, headers, http11, method)?;
    Ok(Some((head, length)))
}

fn finish(
    status: StatusCode,
    mut headers: HeaderMap,
    http11: bool,
    method: &Method,
) -> Result<ResponseHead, HeadError> {
    let mut body = BodyKind::UntilClose;
    if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        let number =
            length.to_str().ok().and_then(|text| text.trim().parse().ok()).ok_or(HeadError::Malformed)?;
        if headers.get_all(header::CONTENT_LENGTH).iter().any(|other| other != length) {
            return Err(HeadError::Malformed);
        }
        body = BodyKind::Length(number);
    }
    if let Some(coding) = headers.get(header::TRANSFER_ENCODING) {
        body = if has_token(coding, "chunked") { BodyKind::Chunked } else { BodyKind::UntilClose };
        headers.remove(header::CONTENT_LENGTH);
    }
    if *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        body = BodyKind::Length(0);
    }
    let says = |token| headers.get_all(header::CONNECTION).iter().any(|c| has_token(c, token));
    let keep_alive = if http11 { !says("close") } else { says("keep-alive") } && body != BodyKind::UntilClose;
    let upgrade =
        if status == StatusCode::SWITCHING_PROTOCOLS { headers.remove(header::UPGRADE) } else { None };
    let connection = headers.get_all(header::CONNECTION);
    let one_hop = |name: &HeaderName| is_hop_by_hop(name) || connection.iter().any(|c| names(c, name));
    let one_hop: Vec<HeaderName> = headers.keys().filter(|name| one_hop(name)).cloned().collect();
    for name in one_hop {
        headers.remove(name);
    }
    Ok(ResponseHead { status, headers, body, keep_alive, upgrade })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = match parse(text.as_bytes(), &Method::GET) {
            Ok(None) => "partial".to_owned(),
            Ok(Some((head, length))) => {
                let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
                names.sort_unstable();
                let rest = &text[length..];
                format!(
                    "{} {:?} keep={} {names:?} {rest:?}",
                    head.status.as_u16(),
                    head.body,
                    head.keep_alive
                )
            }
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn heads() {
        check("HTTP/1.1 200 OK\r\nContent-Le", "partial");
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            r#"200 Length(2) keep=true ["content-length"] "hi""#,
        );
        check("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", r#"200 UntilClose keep=false [] "hi""#);
        check(
            "HTTP/1.1 200\r\nContent-Length: 0\r\nconnection: Close, x-b\r\nx-b: \r\nx-a:\r\n\r\n",
            r#"200 Length(0) keep=false ["content-length", "x-a"] """#,
        );
        check(
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            r#"200 Length(0) keep=false ["content-length"] """#,
        );
        check(
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            r#"200 Length(0) keep=true ["content-length"] """#,
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            r#"200 Chunked keep=true [] """#,
        );
        check("HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", r#"204 Length(0) keep=true ["server"] """#);
        check(
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            r#"304 Length(0) keep=true ["content-length"] """#,
        );
        check("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n", "Malformed");
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "Malformed");
        check("SSH-2.0-x\r\n", "Malformed");
        let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(RESPONSE_HEAD_MAX_BYTES));
        check(&large, "TooLarge");
        check(&large[..RESPONSE_HEAD_MAX_BYTES], "TooLarge");
    }
}
