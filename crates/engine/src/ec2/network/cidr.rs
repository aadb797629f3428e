//! Ranges of IPv4 addresses: `10.0.0.0/16`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use capstan_shapes::Refusal;

use crate::ec2::invalid;

/// A range of addresses that begins at its network address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    /// The first address.
    pub base: Ipv4Addr,
    /// Bits of the network part, 0–32.
    pub prefix: u32,
}

impl Cidr {
    /// The text as a range; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        if prefix.is_empty() || prefix.len() > 2 || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (address, prefix): (Ipv4Addr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
        (prefix <= 32).then(|| Self::around(address, prefix))
    }

    /// The range of that size that the address lies in.
    pub fn around(address: Ipv4Addr, prefix: u32) -> Self {
        Self { base: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.base.to_bits()
    }

    /// Whether all of `other` lies in this range.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.base)
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// How many addresses it holds.
    pub fn size(&self) -> u64 {
        1 << (32 - self.prefix)
    }
}

fn mask(prefix: u32) -> u32 {
    u32::MAX.checked_shl(32 - prefix).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// The range that a request names. Bits of the host part are dropped, as EC2 does with the blocks of VPCs, subnets and
/// routes (API reference, CreateVpc).
pub(super) fn read(text: &str, parameter: &str) -> Result<Cidr, Refusal> {
    Cidr::parse(text).ok_or_else(|| {
        invalid(format!(
            "Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."
        ))
    })
}

/// A range of a rule, which must begin at its network address.
pub(super) fn exact(text: &str) -> Result<String, Refusal> {
    match Cidr::parse(text) {
        Some(cidr) if cidr.to_string() == text => Ok(text.to_owned()),
        _ => Err(invalid(format!("CIDR block {text} is malformed"))),
    }
}

/// A range of IPv6 addresses, as EC2 writes it.
pub(super) fn exact_v6(text: &str) -> Result<String, Refusal> {
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let (address, prefix): (Ipv6Addr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
        (prefix <= 128).then(|| format!("{address}/{prefix}"))
    });
    parsed.ok_or_else(|| invalid(format!("CIDR block {text} is malformed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        let cases = [
            ("10.0.0.0/16", Some("10.0.0.0/16")),
            ("10.0.7.9/16", Some("10.0.0.0/16")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.1.2.3/32", Some("10.1.2.3/32")),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("10.0.0.0/", None),
        ];
        for (text, expected) in cases {
            let found = Cidr::parse(text).map(|cidr| cidr.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ranges_overlap_when_they_share_an_address(a: u32, b: u32, p in 0u32..=32, q in 0u32..=32) {
            let (a, b) = (Cidr::around(a.into(), p), Cidr::around(b.into(), q));
            let first = |cidr: &Cidr| u64::from(cidr.base.to_bits());
            let last = |cidr: &Cidr| first(cidr) + cidr.size() - 1;
            let share = first(&a) <= last(&b) && first(&b) <= last(&a);
            proptest::prop_assert_eq!(a.overlaps(&b), share);
            proptest::prop_assert_eq!(a.covers(&b), first(&a) <= first(&b) && last(&b) <= last(&a));
        }
    }
}
