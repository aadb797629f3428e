//! Regions and their Availability Zones.

/// A region of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub name: &'static str,
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

/// The region of that name, when the catalogue has it.
pub fn region(name: &str) -> Option<&'static Region> {
    REGIONS.iter().find(|region| region.name == name)
}

const fn zone(name: &'static str, id: &'static str) -> AvailabilityZone {
    AvailabilityZone { name, id }
}

/// Every region that Capstan can play.
pub const REGIONS: &[Region] = &[
    Region {
        name: "eu-west-1",
        zones: &[
            zone("eu-west-1a", "euw1-az1"),
            zone("eu-west-1b", "euw1-az2"),
            zone("eu-west-1c", "euw1-az3"),
        ],
    },
    Region {
        name: "us-east-1",
        zones: &[
            zone("us-east-1a", "use1-az1"),
            zone("us-east-1b", "use1-az2"),
            zone("us-east-1c", "use1-az4"),
            zone("us-east-1d", "use1-az6"),
            zone("us-east-1e", "use1-az3"),
            zone("us-east-1f", "use1-az5"),
        ],
    },
];
