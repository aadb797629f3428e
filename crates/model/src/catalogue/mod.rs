//! The instance catalogue: what a type has, where it is offered and what it costs.
//!
//! Hardware and On-Demand prices are linear within a family, so `families` holds the facts of each family's `.large`
//! and the few sizes that deviate; the types are multiplied out once, on first use.

mod families;
mod offerings;
mod prices;

use crate::MicroDollars;
use std::sync::LazyLock;

/// An EC2 instance type. Names and values follow DescribeInstanceTypes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// `m5.large`
    pub name: String,
    /// `m5`
    pub family: &'static str,
    /// `large`
    pub size: &'static str,
    pub vcpus: u32,
    /// What DescribeInstanceTypes states; see [`InstanceType::registered_memory`] for what ECS gets of it.
    pub memory_mib: u32,
    pub architectures: &'static [Architecture],
    pub manufacturer: Manufacturer,
    /// None on bare metal.
    pub hypervisor: Option<Hypervisor>,
    pub current_generation: bool,
    pub burstable: bool,
    pub bare_metal: bool,
    /// `Up to 10 Gigabit`
    pub network_performance: &'static str,
    pub max_enis: u32,
    pub ipv4_per_eni: u32,
    /// 0 when the type has no instance store.
    pub local_storage_gb: u32,
    pub gpus: u32,
    pub default_cores: u32,
    pub default_threads_per_core: u32,
    pub sustained_clock_mhz: u32,
    /// False for the few types that AWS sells On-Demand only.
    pub spot: bool,
    /// On-Demand, Linux, us-east-1; the other regions are derived from it.
    base_price: MicroDollars,
    /// AWS's normalisation factor × 4: large 16, xlarge 32.
    units: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    Arm64,
    I386,
    X86_64,
}

impl Architecture {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::I386 => "i386",
            Self::X86_64 => "x86_64",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hypervisor {
    Nitro,
    Xen,
}

impl Hypervisor {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nitro => "nitro",
            Self::Xen => "xen",
        }
    }
}

/// Who made the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manufacturer {
    Amd,
    Aws,
    Intel,
}

impl Manufacturer {
    /// As ProcessorInfo spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd => "AMD",
            Self::Aws => "AWS",
            Self::Intel => "Intel",
        }
    }
}

impl InstanceType {
    /// The MiB that the ECS agent registers, which is what the kernel leaves of the type's memory.
    ///
    /// Observed for the types of the table; otherwise 94 % rounded down, our reading.
    pub fn registered_memory(&self) -> u32 {
        const OBSERVED: &[(&str, u32)] = &[("m4.large", 7985), ("m5.large", 7680), ("t3.small", 1955)];
        match OBSERVED.iter().find(|(name, _)| *name == self.name) {
            Some((_, mib)) => *mib,
            None => u32::try_from(u64::from(self.memory_mib) * 94 / 100).expect("less than the memory"),
        }
    }

    /// The On-Demand price of an hour of Linux; None when the region is unknown.
    ///
    /// A region has a price even for types that none of its zones offers.
    pub fn on_demand_price(&self, region: &str) -> Option<MicroDollars> {
        prices::on_demand(self, region)
    }

    /// The usual Spot price of an hour of Linux in a zone (name or id), around which a market may move.
    ///
    /// None when the zone is unknown, does not offer the type, or the type is not sold as Spot.
    pub fn spot_price(&self, zone: &str) -> Option<MicroDollars> {
        if !self.spot || !self.offered_in(zone) {
            return None;
        }
        let (region, zone) = crate::zone(zone)?;
        prices::spot(self, region, zone)
    }

    /// Whether the zone (name or id) offers the type.
    pub fn offered_in(&self, zone: &str) -> bool {
        crate::zone(zone).is_some_and(|(region, zone)| offerings::offered(self.family, region, zone))
    }
}

static TYPES: LazyLock<Vec<InstanceType>> = LazyLock::new(families::types);

/// Every instance type, sorted by name.
pub fn all() -> &'static [InstanceType] {
    &TYPES
}

/// The instance type of that name, when the catalogue has it.
pub fn instance_type(name: &str) -> Option<&'static InstanceType> {
    let types = all();
    types.binary_search_by(|each| each.name.as_str().cmp(name)).ok().map(|index| &types[index])
}

#[cfg(test)]
mod tests;
