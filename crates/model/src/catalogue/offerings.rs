//! Which zones offer which families.

use crate::{AvailabilityZone, Region};

/// The zones, by letter, of some families in a region. No families means all that no earlier row names.
struct Offering {
    region: &'static str,
    families: &'static [&'static str],
    letters: &'static str,
}

const fn offering(
    region: &'static str,
    families: &'static [&'static str],
    letters: &'static str,
) -> Offering {
    Offering { region, families, letters }
}

/// From DescribeInstanceTypeOfferings, location type `availability-zone`. The first row that fits decides; where none
/// does, every zone of the region offers the family. A few single sizes deviate from their family; that is left out.
const OFFERINGS: &[Offering] = &[
    offering("ap-northeast-1", &["c3", "c5a", "m3"], "ac"),
    offering("ap-northeast-1", &["t3a"], "ad"),
    offering("ap-southeast-1", &["c3", "m3", "r6a"], "ab"),
    offering("eu-central-1", &["c3", "m3", "m5ad"], "ab"),
    offering("eu-west-2", &["c3", "m3", "m5dn", "m5n"], ""),
    offering("us-east-1", &["c4", "i3", "m4", "r4", "t2"], "abcdef"),
    offering("us-east-1", &["c3", "m3"], "abce"),
    offering("us-east-1", &[], "abcdf"),
    offering("us-east-2", &["c3", "m3"], ""),
    offering("us-west-2", &["c3", "c4", "g4dn", "m3", "m4", "m5dn", "m5n", "r4", "t2"], "abc"),
];

pub(super) fn offered(family: &str, region: &Region, zone: &AvailabilityZone) -> bool {
    OFFERINGS
        .iter()
        .find(|each| {
            each.region == region.name && (each.families.is_empty() || each.families.contains(&family))
        })
        .is_none_or(|each| each.letters.contains(zone.letter()))
}
