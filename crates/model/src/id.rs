//! Compact ids: the hex part only, so that keys compare as integers and print as AWS prints them.

use std::fmt;
use std::str::FromStr;

/// 32 hex digits: ECS task and container-instance ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex32(pub u128);

impl fmt::Display for Hex32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl FromStr for Hex32 {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        parse_hex(text, 32).map(Self)
    }
}

/// An EC2 instance id: `i-` and 17 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u128);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i-{:017x}", self.0 & ((1 << 68) - 1))
    }
}

impl FromStr for InstanceId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        parse_hex(text.strip_prefix("i-").ok_or(NotAnId)?, 17).map(Self)
    }
}

fn parse_hex(text: &str, digits: usize) -> Result<u128, NotAnId> {
    let lower_hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if text.len() != digits || !lower_hex {
        return Err(NotAnId);
    }
    u128::from_str_radix(text, 16).map_err(|_| NotAnId)
}

/// `prefix-` and 17 hex digits, as newer EC2 resource ids are written (`lt-…`, `subnet-…`, `sg-…`).
pub fn hex_id(prefix: &str, bits: u128) -> String {
    format!("{prefix}-{:017x}", bits & ((1 << 68) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_what_is_not_one() {
        let id = InstanceId(0x06792f1c7815de3de);
        assert_eq!(id.to_string(), "i-06792f1c7815de3de");
        assert_eq!("i-06792f1c7815de3de".parse(), Ok(id));
        assert_eq!("i-0679".parse::<InstanceId>(), Err(NotAnId));
        assert_eq!("x-06792f1c7815de3de".parse::<InstanceId>(), Err(NotAnId));
        assert_eq!(
            "14b6752dc2aa4ca48b182a73b2816404".parse::<Hex32>().map(|h| h.to_string()).as_deref(),
            Ok("14b6752dc2aa4ca48b182a73b2816404")
        );
        assert_eq!("+4b6752dc2aa4ca48b182a73b2816404".parse::<Hex32>(), Err(NotAnId));
    }
}
