//! `aws-chunked` bodies: `SIZE;chunk-signature=…\r\n`, the bytes, `\r\n`, …, a chunk of size 0 and trailing headers (S3 API
//! reference, "Signature calculations: transferring payload in multiple chunks"). Signatures are not verified.

use bytes::Bytes;
use capstan_shapes::Refusal;

/// A line of a chunk's head or of a trailer is no longer than this.
const LINE_MAX: usize = 8192;

/// What was inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    pub body: Bytes,
    /// Trailing headers, names in lower case.
    pub trailers: Vec<(String, String)>,
}

/// Whether the body comes in such chunks, as the head tells.
pub fn is_chunked(header: &dyn Fn(&str) -> Option<String>) -> bool {
    let streams = |text: String| text.starts_with("STREAMING-");
    header("x-amz-content-sha256").is_some_and(streams)
        || header("content-encoding")
            .is_some_and(|text| text.split(',').any(|part| part.trim() == "aws-chunked"))
}

/// Takes the chunks apart. A body of one chunk is not copied.
pub fn decode(body: &Bytes) -> Result<Chunked, Refusal> {
    let mut at = 0;
    let mut first = Bytes::new();
    let mut joined: Vec<u8> = Vec::new();
    loop {
        let head = line(body, &mut at)?;
        let size = head.split(';').next().unwrap_or_default().trim();
        let size =
            usize::from_str_radix(size, 16).map_err(|_| broken("A chunk's size is not hexadecimal."))?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size).filter(|end| *end <= body.len());
        let end = end.ok_or_else(|| broken("The body ends in the middle of a chunk."))?;
        if first.is_empty() && joined.is_empty() {
            first = body.slice(at..end);
        } else {
            if joined.is_empty() {
                joined.reserve(body.len());
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&body[at..end]);
        }
        at = end;
        if !line(body, &mut at)?.is_empty() {
            return Err(broken("A chunk is longer than it says."));
        }
    }
    let mut trailers = Vec::new();
    while at < body.len() {
        let text = line(body, &mut at)?;
        if let Some((name, value)) = text.split_once(':') {
            trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let body = if joined.is_empty() { first } else { joined.into() };
    Ok(Chunked { body, trailers })
}

/// The line that begins at `at`, without its end, which is moved past.
fn line<'a>(body: &'a [u8], at: &mut usize) -> Result<&'a str, Refusal> {
    let rest = &body[*at..];
    let end = rest.iter().take(LINE_MAX).position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| broken("A line of the chunked body has no end."))?;
    *at += end + 1;
    let text =
        std::str::from_utf8(&rest[..end]).map_err(|_| broken("A line of the chunked body is not text."))?;
    Ok(text.trim_end_matches('\r'))
}

fn broken(why: &str) -> Refusal {
    Refusal::new("IncompleteBody", format!("The request body terminated unexpectedly. {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        let check = |sent: &'static str, body: &str, trailers: &[(&str, &str)]| {
            let trailers = trailers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let expect = Chunked { body: body.to_owned().into(), trailers: trailers.collect() };
            assert_eq!(decode(&Bytes::from_static(sent.as_bytes())), Ok(expect), "{sent:?}");
        };
        check("0\r\n\r\n", "", &[]);
        check(
            "3\r\nabc\r\n0\r\nX-Amz-Checksum-CRC32:AAAA\r\n\r\n",
            "abc",
            &[("x-amz-checksum-crc32", "AAAA")],
        );
        check(
            "a;chunk-signature=12\r\n0123456789\r\n2;chunk-signature=34\r\n\r\n\r\n0;chunk-signature=56\r\n\r\n",
            "0123456789\r\n",
            &[],
        );
    }

    #[test]
    fn broken_chunks_are_refused() {
        for sent in
            ["", "3\r\nab", "x\r\n", "3\r\nabcd\r\n0\r\n\r\n", "ffffffffffffffff\r\na", "3\r\nabc\r\n"]
        {
            assert!(decode(&Bytes::from_static(sent.as_bytes())).is_err(), "{sent:?}");
        }
    }
}
