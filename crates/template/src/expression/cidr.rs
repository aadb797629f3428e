//! `Fn::Cidr`: a block of addresses cut into smaller ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most blocks that one call gives (CloudFormation guide, Fn::Cidr).
const MOST: u128 = 256;

/// The first `count` blocks with `bits` host bits each; `bits` defaults to 8 for IPv4 and must be 64 for IPv6.
pub(super) fn split(block: &str, count: &str, bits: Option<&str>) -> Result<Vec<String>, String> {
    let not_a_block = || format!("Fn::Cidr: '{block}' is not a CIDR block such as 10.0.0.0/16");
    let (address, prefix) = block.split_once('/').ok_or_else(not_a_block)?;
    let address = address.parse::<IpAddr>().map_err(|_| not_a_block())?;
    let prefix = prefix.parse::<u32>().map_err(|_| not_a_block())?;
    let width: u32 = if address.is_ipv4() { 32 } else { 128 };
    if prefix > width {
        return Err(not_a_block());
    }
    let count = count
        .parse::<u128>()
        .ok()
        .filter(|count| (1..=MOST).contains(count))
        .ok_or_else(|| format!("Fn::Cidr: the count must be a number from 1 to {MOST}, not '{count}'"))?;
    let bits = match bits {
        None if width == 32 => 8,
        None => 64,
        Some(bits) => {
            bits.parse::<u32>().ok().filter(|bits| (1..=width).contains(bits)).ok_or_else(|| {
                format!("Fn::Cidr: cidrBits must be a number from 1 to {width}, not '{bits}'")
            })?
        }
    };
    if width == 128 && bits != 64 {
        return Err("Fn::Cidr: cidrBits of an IPv6 block must be 64".to_owned());
    }
    let room = width - prefix;
    if bits > room || (room - bits < 9 && count > 1 << (room - bits)) {
        return Err(format!("Fn::Cidr: {block} has no room for {count} blocks of {bits} bits"));
    }
    let base = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    // A shift by the whole width would overflow; a block with room for everything starts at zero.
    let base = if room == 128 { 0 } else { base >> room << room };
    let step = |index: u128| if bits == 128 { 0 } else { index << bits };
    Ok((0..count)
        .map(|index| {
            let address = base + step(index);
            let size = width - bits;
            match u32::try_from(address) {
                Ok(address) if width == 32 => format!("{}/{size}", Ipv4Addr::from_bits(address)),
                _ => format!("{}/{size}", Ipv6Addr::from_bits(address)),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        /// Blocks follow each other without a gap, from the beginning of the block to within its end.
        #[test]
        fn blocks_lie_in_the_block(address in any::<u32>(), prefix in 0_u32..=32, bits in 1_u32..=32, count in 1_u64..=256) {
            let block = format!("{}/{prefix}", Ipv4Addr::from_bits(address));
            let size = 1_u64 << (32 - prefix);
            let first = u64::from(address) / size * size;
            match split(&block, &count.to_string(), Some(&bits.to_string())) {
                Ok(blocks) => {
                    prop_assert!(count << bits <= size);
                    prop_assert_eq!(blocks.len() as u64, count);
                    for (block, index) in blocks.iter().zip(0..) {
                        let start = u32::try_from(first + (index << bits)).expect("within the block");
                        prop_assert_eq!(block, &format!("{}/{}", Ipv4Addr::from_bits(start), 32 - bits));
                    }
                }
                Err(_) => prop_assert!(count << bits > size),
            }
        }
    }
}
