//! Regions and their Availability Zones.

/// A region of the catalogue. None of them needs opting in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// `eu-west-1`
    pub name: &'static str,
    /// Sorted by name, never empty.
    pub zones: &'static [AvailabilityZone],
}

/// An Availability Zone: its name in this account and its account-independent id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvailabilityZone {
    /// `eu-west-1a`
    pub name: &'static str,
    /// `euw1-az1`
    pub id: &'static str,
}

impl Region {
    /// The host name of EC2 as DescribeRegions prints it.
    pub fn ec2_endpoint(&self) -> String {
        format!("ec2.{}.amazonaws.com", self.name)
    }
}

impl AvailabilityZone {
    /// The letter that tells the zones of one region apart.
    pub fn letter(&self) -> char {
        self.name.chars().next_back().expect("a zone has a name")
    }
}

/// The region of that name, when the catalogue has it.
pub fn region(name: &str) -> Option<&'static Region> {
    REGIONS.binary_search_by(|region| region.name.cmp(name)).ok().map(|index| &REGIONS[index])
}

/// The zone of that name (`eu-west-1a`) or that id (`euw1-az1`), with its region.
pub fn zone(name_or_id: &str) -> Option<(&'static Region, &'static AvailabilityZone)> {
    REGIONS.iter().find_map(|region| {
        let found = |zone: &&AvailabilityZone| zone.name == name_or_id || zone.id == name_or_id;
        region.zones.iter().find(found).map(|zone| (region, zone))
    })
}

const fn az(name: &'static str, id: &'static str) -> AvailabilityZone {
    AvailabilityZone { name, id }
}

/// Every region that Capstan can play, sorted by name.
///
/// AWS draws the pairing of names and ids for each account; this one is the account's that Capstan plays.
pub const REGIONS: &[Region] = &[
    Region {
        name: "ap-northeast-1",
        zones: &[
            az("ap-northeast-1a", "apne1-az4"),
            az("ap-northeast-1c", "apne1-az1"),
            az("ap-northeast-1d", "apne1-az2"),
        ],
    },
    Region {
        name: "ap-southeast-1",
        zones: &[
            az("ap-southeast-1a", "apse1-az1"),
            az("ap-southeast-1b", "apse1-az2"),
            az("ap-southeast-1c", "apse1-az3"),
        ],
    },
    Region {
        name: "eu-central-1",
        zones: &[
            az("eu-central-1a", "euc1-az2"),
            az("eu-central-1b", "euc1-az3"),
            az("eu-central-1c", "euc1-az1"),
        ],
    },
    Region {
        name: "eu-west-1",
        zones: &[az("eu-west-1a", "euw1-az1"), az("eu-west-1b", "euw1-az2"), az("eu-west-1c", "euw1-az3")],
    },
    Region {
        name: "eu-west-2",
        zones: &[az("eu-west-2a", "euw2-az2"), az("eu-west-2b", "euw2-az3"), az("eu-west-2c", "euw2-az1")],
    },
    Region {
        name: "us-east-1",
        zones: &[
            az("us-east-1a", "use1-az1"),
            az("us-east-1b", "use1-az2"),
            az("us-east-1c", "use1-az4"),
            az("us-east-1d", "use1-az6"),
            az("us-east-1e", "use1-az3"),
            az("us-east-1f", "use1-az5"),
        ],
    },
    Region {
        name: "us-east-2",
        zones: &[az("us-east-2a", "use2-az1"), az("us-east-2b", "use2-az2"), az("us-east-2c", "use2-az3")],
    },
    Region {
        name: "us-west-2",
        zones: &[
            az("us-west-2a", "usw2-az2"),
            az("us-west-2b", "usw2-az1"),
            az("us-west-2c", "usw2-az3"),
            az("us-west-2d", "usw2-az4"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn regions_are_sorted_and_zones_are_named_after_them() {
        assert!(REGIONS.is_sorted_by(|a, b| a.name < b.name));
        for region in REGIONS {
            assert!(region.zones.is_sorted_by(|a, b| a.name < b.name), "{}", region.name);
            for zone in region.zones {
                assert_eq!(zone.name, format!("{}{}", region.name, zone.letter()));
            }
        }
    }

    #[test]
    fn zones_are_found_by_name_and_by_id() {
        let mut ids = BTreeSet::new();
        for region in REGIONS {
            assert_eq!(super::region(region.name), Some(region));
            for az in region.zones {
                assert!(ids.insert(az.id), "{} twice", az.id);
                assert_eq!(zone(az.name), Some((region, az)));
                assert_eq!(zone(az.id), Some((region, az)));
            }
        }
        assert_eq!(zone("eu-west-1d"), None);
        assert_eq!(region("mars-north-1"), None);
    }

    #[test]
    fn endpoint_names_the_region() {
        assert_eq!(region("eu-west-1").unwrap().ec2_endpoint(), "ec2.eu-west-1.amazonaws.com");
    }
}
