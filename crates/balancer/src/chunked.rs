//! Decoding the chunked coding of a target's answer (RFC 9112 §7.1).

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::connection::Connection;

/// A chunk's size line or a trailer line longer than this is no honest line.
const LINE_MAX_BYTES: usize = 4096;
/// All trailer lines together.
const TRAILERS_MAX_BYTES: usize = 32 * 1024;

/// Where the decoder stands.
#[derive(Debug, Default)]
pub(crate) enum Chunked {
    /// Before a size line.
    #[default]
    Size,
    /// Inside a chunk, with so many bytes to come.
    Data(u64),
    /// Before the line end behind a chunk.
    DataEnd,
    /// Behind the last chunk, with so many bytes of trailers read; trailers are not forwarded.
    Trailers(usize),
    Done,
}

impl Chunked {
    /// The next piece of data; `None` behind the last chunk and its trailers.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match self.step(connection)? {
                Step::Data(data) => return Poll::Ready(Ok(Some(data))),
                Step::Done => return Poll::Ready(Ok(None)),
                Step::Again => {}
                Step::NeedsMore => {
                    let read = match self {
                        Self::Data(left) if connection.input.is_empty() => {
                            let piece = ready!(connection.poll_piece(cx, *left))?;
                            *left -= piece.len() as u64;
                            if !piece.is_empty() {
                                if *left == 0 {
                                    *self = Self::DataEnd;
                                }
                                return Poll::Ready(Ok(Some(piece)));
                            }
                            0
                        }
                        _ => ready!(connection.poll_fill(cx))?,
                    };
                    if read == 0 {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
            }
        }
    }

    fn step(&mut self, connection: &mut Connection) -> io::Result<Step> {
        match self {
            Self::Size => {
                let Some(line) = line(connection.input.bytes())? else { return Ok(Step::NeedsMore) };
                let size = size(line.text)?;
                connection.input.consume(line.length);
                *self = if size == 0 { Self::Trailers(0) } else { Self::Data(size) };
                Ok(Step::Again)
            }
            Self::Data(left) => {
                if connection.input.is_empty() {
                    return Ok(Step::NeedsMore);
                }
                let data = connection.input.take(*left);
                *left -= data.len() as u64;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                Ok(Step::Data(data))
            }
            Self::DataEnd => {
                let Some(line) = line(connection.input.bytes())? else { return Ok(Step::NeedsMore) };
                if !line.text.is_empty() {
                    return Err(malformed());
                }
                connection.input.consume(line.length);
                *self = Self::Size;
                Ok(Step::Again)
            }
            Self::Trailers(read) => {
                let Some(line) = line(connection.input.bytes())? else { return Ok(Step::NeedsMore) };
                *read += line.length;
                if *read > TRAILERS_MAX_BYTES {
                    return Err(malformed());
                }
                let last = line.text.is_empty();
                connection.input.consume(line.length);
                if last {
                    *self = Self::Done;
                }
                Ok(Step::Again)
            }
            Self::Done => Ok(Step::Done),
        }
    }
}

enum Step {
    Again,
    Data(Bytes),
    Done,
    NeedsMore,
}

struct Line<'a> {
    text: &'a [u8],
    /// With its end.
    length: usize,
}

/// The first line, if it is complete.
fn line(bytes: &[u8]) -> io::Result<Option<Line<'_>>> {
    let Some(end) = bytes.iter().take(LINE_MAX_BYTES).position(|b| *b == b'\n') else {
        return if bytes.len() >= LINE_MAX_BYTES { Err(malformed()) } else { Ok(None) };
    };
    let text = &bytes[..end];
    Ok(Some(Line { text: text.strip_suffix(b"\r").unwrap_or(text), length: end + 1 }))
}

/// The number in front of a chunk; extensions are ignored.
fn size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).map_err(|_| malformed())?;
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    u64::from_str_radix(text, 16).map_err(|_| malformed())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the target's chunked coding makes no sense")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (line, expected) in [
            ("0", Some(0)),
            ("1F", Some(31)),
            ("a ;name=value", Some(10)),
            ("ffffffffffffffff", Some(u64::MAX)),
            ("10000000000000000", None),
            ("", None),
            ("+1", None),
            ("x", None),
        ] {
            assert_eq!(size(line.as_bytes()).ok(), expected, "{line:?}");
        }
    }
}
