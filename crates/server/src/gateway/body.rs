//! Reading a request's body: bounded in size and time, without a copy when it comes in one piece.

use std::io::Read as _;

use bytes::Bytes;
use capstan_shapes::Refusal;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, HeaderMap};

use super::Limits;

/// The body, decompressed; an object as it is, because its encoding is the client's affair.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    limits: &Limits,
    is_object: bool,
) -> Result<Bytes, Refusal> {
    let max_bytes = if is_object { limits.object_bytes } else { limits.body_bytes };
    let too_large = || {
        if is_object { capstan_wire::object_too_large(max_bytes) } else { capstan_wire::too_large(max_bytes) }
    };
    // Refused before the first byte is read, so a client that waits for `100 Continue` sends nothing.
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large());
    }
    let raw = tokio::time::timeout(limits.body_timeout, collect(body, max_bytes, &too_large)).await;
    let raw = raw.map_err(|_| {
        let secs = limits.body_timeout.as_secs();
        Refusal::new("RequestTimeout", format!("The request body did not arrive within {secs} seconds."))
            .with_status(408)
    })??;
    if is_object {
        return Ok(raw);
    }
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(raw),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            let gzip = flate2::read::GzDecoder::new(&raw[..]);
            gzip.take(limits.body_bytes as u64 + 1).read_to_end(&mut plain).map_err(|e| {
                Refusal::new("SerializationException", format!("The request body is not gzip: {e}"))
            })?;
            if plain.len() > limits.body_bytes { Err(too_large()) } else { Ok(plain.into()) }
        }
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            let message = format!("The content encoding {other} is not supported; send gzip or none.");
            Err(Refusal::new("UnsupportedMediaType", message).with_status(415))
        }
    }
}

async fn collect(
    mut body: Incoming,
    max_bytes: usize,
    too_large: &(dyn Fn() -> Refusal + Sync),
) -> Result<Bytes, Refusal> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or_default().min(max_bytes);
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|e| Refusal::new("IncompleteBody", format!("The request body broke off: {e}")))?;
        // Trailers are of no interest.
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(rest.len()) + data.len() > max_bytes {
            return Err(too_large());
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve_exact(expected);
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}
