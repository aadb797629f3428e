//! Address ranges: `10.0.0.0/24`, `2001:db8::/32`.

use std::net::IpAddr;

/// A range of IPv4 or IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr {
    network: IpAddr,
    /// Leading bits that count: 0–32 or 0–128.
    bits: u32,
}

impl Cidr {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((network, bits)) = text.split_once('/').filter(|(_, bits)| !bits.contains('/')) else {
            return Err("Malformed CIDR, one '/' required".to_owned());
        };
        let bits = bits.parse().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()));
        let bits: u32 = bits.ok_or("Malformed CIDR, mask bits must be an integer")?;
        let network: IpAddr = network.parse().map_err(|_| format!("Nonstandard IP address: {network}"))?;
        match network {
            IpAddr::V4(_) if bits > 32 => Err("IPv4 mask bits must be <= 32".to_owned()),
            IpAddr::V6(_) if bits > 128 => Err("IPv6 mask bits must be <= 128".to_owned()),
            _ => Ok(Self { network, bits }),
        }
    }

    pub(super) fn contains(self, text: &str) -> bool {
        match (self.network, text.parse()) {
            (IpAddr::V4(network), Ok(IpAddr::V4(address))) => {
                let differ = u32::from(network) ^ u32::from(address);
                differ.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), Ok(IpAddr::V6(address))) => {
                let differ = u128::from(network) ^ u128::from(address);
                differ.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}
