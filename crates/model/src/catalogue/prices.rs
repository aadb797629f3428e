//! What an hour of Linux costs, On-Demand and Spot.

use super::InstanceType;
use crate::{AvailabilityZone, MicroDollars, Region};

/// Prices are published with four decimals.
const STEP: i64 = 100;

/// A region's On-Demand prices over those of us-east-1.
///
/// Where a row names no family, the ratio is the one of m5.large's prices in the two regions, applied to every family
/// (our reading). Rows that name a family are the listed prices of its `.large`.
struct Ratio {
    region: &'static str,
    family: Option<&'static str>,
    numerator: i64,
    denominator: i64,
}

const fn listed(region: &'static str, family: &'static str, numerator: i64, denominator: i64) -> Ratio {
    Ratio { region, family: Some(family), numerator, denominator }
}

const fn m5(region: &'static str, numerator: i64) -> Ratio {
    Ratio { region, family: None, numerator, denominator: 96 }
}

/// The first row that fits decides.
const RATIOS: &[Ratio] = &[
    listed("eu-west-1", "c3", 120, 105),
    listed("eu-west-1", "m4", 111, 100),
    listed("eu-west-1", "m5a", 96, 86),
    listed("eu-west-1", "m5ad", 115, 103),
    listed("eu-west-1", "m5d", 126, 113),
    listed("eu-west-1", "m5dn", 152, 136),
    listed("eu-west-1", "m5n", 133, 119),
    m5("ap-northeast-1", 124),
    m5("ap-southeast-1", 120),
    m5("eu-central-1", 115),
    m5("eu-west-1", 107),
    m5("eu-west-2", 111),
    m5("us-east-1", 96),
    m5("us-east-2", 96),
    m5("us-west-2", 96),
];

pub(super) fn on_demand(each: &InstanceType, region: &str) -> Option<MicroDollars> {
    let ratio = RATIOS
        .iter()
        .find(|ratio| ratio.region == region && ratio.family.is_none_or(|family| family == each.family))?;
    let MicroDollars(base) = each.base_price;
    Some(MicroDollars(if ratio.numerator == ratio.denominator {
        base
    } else {
        rounded(base * ratio.numerator, ratio.denominator)
    }))
}

/// Listed Spot prices, in micro-dollars, of one size of a family by zone id.
struct Listing {
    family: &'static str,
    /// The size listed, in the units of [`InstanceType`].
    units: i64,
    prices: &'static [(&'static str, i64)],
}

const LARGE: i64 = 16;
const XLARGE: i64 = 32;

const fn listing(family: &'static str, units: i64, prices: &'static [(&'static str, i64)]) -> Listing {
    Listing { family, units, prices }
}

#[rustfmt::skip]
const LISTINGS: &[Listing] = &[
    listing("m4", LARGE, &[
        ("use1-az1", 49_100), ("use1-az2", 50_000), ("use1-az3", 58_900), ("use1-az4", 44_500), ("use1-az5", 37_300),
        ("use1-az6", 40_900), ("euw1-az1", 49_600), ("euw1-az2", 46_100), ("euw1-az3", 49_900),
    ]),
    listing("m5", LARGE, &[
        ("use1-az1", 32_200), ("use1-az2", 31_700), ("use1-az4", 29_100), ("use1-az5", 33_900), ("use1-az6", 37_300),
        ("euw1-az1", 46_600), ("euw1-az2", 46_700), ("euw1-az3", 46_500),
    ]),
    listing("m5a", LARGE, &[
        ("use1-az1", 33_600), ("use1-az2", 29_900), ("use1-az4", 35_500), ("use1-az5", 33_000), ("use1-az6", 29_100),
        ("euw1-az1", 50_300), ("euw1-az2", 47_700), ("euw1-az3", 46_300),
    ]),
    listing("m5ad", LARGE, &[
        ("use1-az1", 50_500), ("use1-az2", 50_500), ("use1-az4", 54_800), ("use1-az5", 41_500), ("use1-az6", 44_100),
        ("euw1-az1", 54_200), ("euw1-az2", 54_500), ("euw1-az3", 56_600),
    ]),
    listing("m5d", LARGE, &[
        ("use1-az1", 50_600), ("use1-az2", 43_200), ("use1-az4", 42_600), ("use1-az5", 37_600), ("use1-az6", 42_800),
        ("euw1-az1", 56_800), ("euw1-az2", 56_100), ("euw1-az3", 60_300),
    ]),
    listing("m5dn", XLARGE, &[
        ("use1-az1", 103_700), ("use1-az2", 104_000), ("use1-az4", 107_400), ("use1-az5", 136_300),
        ("use1-az6", 104_200), ("euw1-az1", 205_300), ("euw1-az2", 145_400), ("euw1-az3", 147_500),
    ]),
    listing("m5n", LARGE, &[
        ("use1-az1", 54_700), ("use1-az2", 52_200), ("use1-az4", 54_600), ("use1-az5", 44_600), ("use1-az6", 51_500),
        ("euw1-az1", 62_700), ("euw1-az2", 60_400), ("euw1-az3", 62_100),
    ]),
];

/// The listed price, scaled to the size; else a share of On-Demand.
pub(super) fn spot(each: &InstanceType, region: &Region, zone: &AvailabilityZone) -> Option<MicroDollars> {
    let listing = LISTINGS.iter().find(|listing| listing.family == each.family);
    let listed = listing.and_then(|listing| {
        let (_, price) = listing.prices.iter().find(|(id, _)| *id == zone.id)?;
        Some(rounded(price * i64::from(each.units), listing.units))
    });
    let MicroDollars(on_demand) = on_demand(each, region.name)?;
    Some(MicroDollars(
        listed.unwrap_or_else(|| rounded(on_demand * share_permille(&each.name, zone.id), 1000)),
    ))
}

/// The share of On-Demand that a pool without a listed price costs: 32 % to 44 % by the type, plus 0 % to 8 % by the
/// zone. Our reading: the listed pools lie between 30 % and 59 %, and the dearest zone of a type is usually at most
/// 1.35 times the cheapest. Zones must differ, or strategies that look for the lowest price have nothing to choose.
fn share_permille(name: &str, zone_id: &str) -> i64 {
    let by_type = fnv1a(name.bytes()) % 120;
    let by_zone = fnv1a(name.bytes().chain(zone_id.bytes())) % 80;
    320 + i64::from(by_type) + i64::from(by_zone)
}

/// FNV-1a, 32 bit: the same spread on every machine.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// `numerator / denominator`, rounded half up to a published price.
fn rounded(numerator: i64, denominator: i64) -> i64 {
    let step = denominator * STEP;
    (numerator + step / 2) / step * STEP
}
