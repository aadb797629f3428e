//! `X-Amzn-Trace-Id` (ALB guide, load-balancer-request-tracing).

use std::time::{SystemTime, UNIX_EPOCH};

use crate::pick::random;

/// Writes the value to send on: a new `Root` when the client sent none; beside a client's `Root` our own part goes in
/// front as `Self`, in place of any that was there. A `Self` without a `Root` is some other hop's and goes.
pub(crate) fn encode(from_client: Option<&[u8]>, out: &mut Vec<u8>) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (high, low) = (random(), random());
    let Some(fields) = from_client.filter(|value| !value.is_empty()) else {
        out.extend_from_slice(b"Root=");
        return id(out, seconds, high, low);
    };
    let parts = || fields.split(|b| *b == b';').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty());
    let has_root = parts().any(|part| is_field(part, b"root="));
    out.extend_from_slice(if has_root { b"Self=" } else { b"Root=" });
    id(out, seconds, high, low);
    for part in parts().filter(|part| !is_field(part, b"self=")) {
        out.push(b';');
        out.extend_from_slice(part);
    }
}

fn is_field(part: &[u8], name: &[u8]) -> bool {
    part.len() >= name.len() && part[..name.len()].eq_ignore_ascii_case(name)
}

/// `1-<8 hex digits of the time>-<24 hex digits>`.
fn id(out: &mut Vec<u8>, seconds: u64, high: u64, low: u64) {
    out.extend_from_slice(b"1-");
    hex(out, seconds, 8);
    out.push(b'-');
    hex(out, high, 8);
    hex(out, low, 16);
}

/// The lowest `digits` hex digits.
fn hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for shift in (0..digits).rev() {
        let digit = (number >> (shift * 4)) & 0xf;
        out.push(b"0123456789abcdef"[digit as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `^` stands for an id of ours.
    #[track_caller]
    fn check(from_client: &str, expected: &str) {
        let mut out = Vec::new();
        encode(Some(from_client.as_bytes()), &mut out);
        let text = String::from_utf8(out).expect("ASCII");
        let (before, after) = expected.split_once('^').expect("a place for the id");
        let id =
            text.strip_prefix(before).and_then(|t| t.strip_suffix(after)).unwrap_or_else(|| panic!("{text}"));
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [1, 8, 24], "{text}");
    }

    #[test]
    fn values() {
        check("", "Root=^");
        check("Root=1-67891233-abcdef012345678912345678", "Self=^;Root=1-67891233-abcdef012345678912345678");
        check("Self=1-old; Root=1-a-b;Extra=1", "Self=^;Root=1-a-b;Extra=1");
        check("Self=1-old;CalledFrom=app", "Root=^;CalledFrom=app");
        check("CalledFrom=app", "Root=^;CalledFrom=app");
    }
}
