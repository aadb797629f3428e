//! Where a template's text comes from: the request, the local S3, or the stack as it is.

use std::sync::Arc;

use capstan_shapes::Refusal;

use crate::Engine;

/// Bytes of a template in the request (CloudFormation guide, quotas).
const BODY_MAX: usize = 51_200;
/// Bytes of a template in S3 (CloudFormation guide, quotas).
const URL_MAX: usize = 1_000_000;

/// The text that exactly one of the three gives.
pub(super) fn text(
    cx: &Engine,
    body: Option<String>,
    url: Option<&str>,
    previous: Option<Arc<str>>,
) -> Result<Arc<str>, Refusal> {
    match (body, url, previous) {
        (Some(body), None, None) if body.len() > BODY_MAX => Err(invalid(format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have \
             length less than or equal to {BODY_MAX}; put larger templates into S3 and give their TemplateURL"
        ))),
        (Some(body), None, None) => Ok(body.into()),
        (None, Some(url), None) => at_url(cx, url),
        (None, None, Some(previous)) => Ok(previous),
        (None, None, None) => Err(invalid("Either Template URL or Template Body must be specified.")),
        _ => Err(invalid(
            "Only one of Template URL, Template Body and Use Previous Template may be specified.",
        )),
    }
}

fn at_url(cx: &Engine, url: &str) -> Result<Arc<str>, Refusal> {
    let (bucket, key) = location(url).ok_or_else(|| {
        invalid(format!(
            "TemplateURL must be a supported URL: {url} names no bucket and key, as http://HOST/BUCKET/KEY does."
        ))
    })?;
    let bytes =
        cx.s3.object(&bucket, &key).ok_or_else(|| match cx.s3.buckets().get(&bucket.as_str().into()) {
            Some(_) => invalid("S3 error: The specified key does not exist."),
            None => invalid("S3 error: The specified bucket does not exist"),
        })?;
    if bytes.len() > URL_MAX {
        return Err(invalid(format!("Template may not exceed {URL_MAX} bytes in size.")));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(invalid(format!("Template format error: {url} is not UTF-8 text."))),
    }
}

/// Bucket and key of an S3 URL, path-style or virtual-host style.
fn location(url: &str) -> Option<(String, String)> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next()?;
    let (host, path) = rest.split_once('/')?;
    let path = decode(path);
    let host = host.split(':').next()?;
    let virtual_host = host.split_once(".s3.").or_else(|| host.split_once(".s3-"));
    let (bucket, key) = match virtual_host {
        Some((bucket, _)) => (bucket.to_owned(), path),
        None => {
            let (bucket, key) = path.split_once('/')?;
            (bucket.to_owned(), key.to_owned())
        }
    };
    (!bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
}

/// `%2F` and the like; what is no escape stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_buckets_and_keys() {
        let check = |url: &str, expected: Option<(&str, &str)>| {
            let found = location(url);
            assert_eq!(
                found.as_ref().map(|(bucket, key)| (bucket.as_str(), key.as_str())),
                expected,
                "{url}"
            );
        };
        check("http://127.0.0.1:4566/assets/a/b.json", Some(("assets", "a/b.json")));
        check("https://s3.us-east-1.amazonaws.com/assets/a%20b.json?x=1", Some(("assets", "a b.json")));
        check("https://assets.s3.eu-west-1.amazonaws.com/t.yaml", Some(("assets", "t.yaml")));
        check("https://assets.s3-eu-west-1.amazonaws.com/t.yaml", Some(("assets", "t.yaml")));
        check("http://127.0.0.1:4566/assets", None);
        check("assets/t.yaml", None);
        check("https://host/%/x", Some(("%", "x")));
    }
}
