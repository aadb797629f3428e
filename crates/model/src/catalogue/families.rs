//! The facts of each family, multiplied out to its sizes.
//!
//! Hardware is DescribeInstanceTypes of us-east-1; prices are On-Demand, Linux, us-east-1, of January 2026.

use super::{Architecture, Hypervisor, InstanceType, Manufacturer};
use crate::MicroDollars;

/// A family's `.large` (real or imagined), from which the sizes are multiplied out by their normalisation factor, and
/// where they deviate.
struct Family {
    name: &'static str,
    architecture: Architecture,
    manufacturer: Manufacturer,
    hypervisor: Hypervisor,
    current_generation: bool,
    burstable: bool,
    threads_per_core: u32,
    /// The vCPUs of the smallest sizes.
    min_vcpus: u32,
    clock_mhz: u32,
    memory_mib: u32,
    /// On-Demand, µ$/h.
    price: i64,
    local_storage_gb: u32,
    gpus: u32,
    /// Network performance, and the sizes that have it. `metal` is as big as the biggest size before it.
    network: Network,
    deviations: &'static [(&'static str, &'static [Deviation])],
}

type Network = &'static [(&'static str, &'static [&'static str])];

/// What one size has that the rule does not give.
#[derive(Clone, Copy)]
enum Deviation {
    ClockMhz(u32),
    Gpus(u32),
    /// It runs 32-bit images too.
    I386,
    /// Network interfaces, and IPv4 addresses on each.
    Interfaces(u32, u32),
    LocalStorageGb(u32),
    MemoryMib(u32),
    OnDemandOnly,
    Price(i64),
    Vcpus(u32),
}

use Deviation::{ClockMhz, Gpus, I386, Interfaces, LocalStorageGb, MemoryMib, OnDemandOnly, Price, Vcpus};

/// Every type of every family, sorted by name.
pub(super) fn types() -> Vec<InstanceType> {
    let mut types: Vec<_> = FAMILIES.iter().flat_map(Family::types).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    types
}

/// A `.large`, in units of a quarter of AWS's normalisation factor.
const LARGE: u32 = 16;

impl Family {
    fn types(&self) -> Vec<InstanceType> {
        let mut types: Vec<InstanceType> = Vec::new();
        for (network_performance, sizes) in self.network {
            for size in *sizes {
                let biggest = types.iter().map(|each| each.units).max().unwrap_or(0);
                types.push(self.instance_type(size, units(size).unwrap_or(biggest), network_performance));
            }
        }
        types
    }

    fn instance_type(
        &self,
        size: &'static str,
        units: u32,
        network_performance: &'static str,
    ) -> InstanceType {
        let bare_metal = size.starts_with("metal");
        let vcpus = (units / (LARGE / 2)).max(self.min_vcpus);
        let (max_enis, ipv4_per_eni) =
            if self.burstable { burstable_interfaces(units) } else { interfaces(vcpus) };
        let mut each = InstanceType {
            name: format!("{}.{size}", self.name),
            family: self.name,
            size,
            vcpus,
            memory_mib: self.memory_mib * units / LARGE,
            architectures: match self.architecture {
                Architecture::Arm64 => &[Architecture::Arm64],
                Architecture::I386 | Architecture::X86_64 => &[Architecture::X86_64],
            },
            manufacturer: self.manufacturer,
            hypervisor: (!bare_metal).then_some(self.hypervisor),
            current_generation: self.current_generation,
            burstable: self.burstable,
            bare_metal,
            network_performance,
            max_enis,
            ipv4_per_eni,
            local_storage_gb: self.local_storage_gb * units / LARGE,
            gpus: self.gpus,
            default_cores: 0,
            default_threads_per_core: 0,
            sustained_clock_mhz: self.clock_mhz,
            spot: true,
            base_price: MicroDollars(self.price * i64::from(units) / i64::from(LARGE)),
            units,
        };
        for (_, deviations) in self.deviations.iter().filter(|(name, _)| *name == size) {
            deviations.iter().for_each(|deviation| deviation.apply(&mut each));
        }
        each.default_cores = (each.vcpus / self.threads_per_core).max(1);
        each.default_threads_per_core = each.vcpus / each.default_cores;
        each
    }
}

impl Deviation {
    fn apply(self, each: &mut InstanceType) {
        match self {
            ClockMhz(mhz) => each.sustained_clock_mhz = mhz,
            Gpus(gpus) => each.gpus = gpus,
            I386 => each.architectures = &[Architecture::I386, Architecture::X86_64],
            Interfaces(enis, ipv4) => (each.max_enis, each.ipv4_per_eni) = (enis, ipv4),
            LocalStorageGb(gb) => each.local_storage_gb = gb,
            MemoryMib(mib) => each.memory_mib = mib,
            OnDemandOnly => each.spot = false,
            Price(price) => each.base_price = MicroDollars(price),
            Vcpus(vcpus) => each.vcpus = vcpus,
        }
    }
}

/// A quarter of AWS's normalisation factor; None for plain `metal`, whose size only the family tells.
fn units(size: &str) -> Option<u32> {
    let xlarges = |count: &str| count.parse::<u32>().ok().map(|count| count * 2 * LARGE);
    match size {
        "nano" => Some(LARGE / 16),
        "micro" => Some(LARGE / 8),
        "small" => Some(LARGE / 4),
        "medium" => Some(LARGE / 2),
        "large" => Some(LARGE),
        "xlarge" => Some(2 * LARGE),
        _ => match size.strip_prefix("metal-") {
            Some(metal) => metal.strip_suffix("xl").and_then(xlarges),
            None => size.strip_suffix("xlarge").and_then(xlarges),
        },
    }
}

/// Network interfaces, and IPv4 addresses on each.
fn interfaces(vcpus: u32) -> (u32, u32) {
    match vcpus {
        0..=1 => (2, 4),
        2..=3 => (3, 10),
        4..=15 => (4, 15),
        16..=63 => (8, 30),
        _ => (15, 50),
    }
}

fn burstable_interfaces(units: u32) -> (u32, u32) {
    match units {
        0..=2 => (2, 2),
        3..=4 => (3, 4),
        5..=8 => (3, 6),
        9..=16 => (3, 12),
        _ => (4, 15),
    }
}

const INTEL: Family = Family {
    name: "",
    architecture: Architecture::X86_64,
    manufacturer: Manufacturer::Intel,
    hypervisor: Hypervisor::Nitro,
    current_generation: true,
    burstable: false,
    threads_per_core: 2,
    min_vcpus: 1,
    clock_mhz: 3100,
    memory_mib: 8192,
    price: 0,
    local_storage_gb: 0,
    gpus: 0,
    network: &[],
    deviations: &[],
};
const AMD: Family = Family { manufacturer: Manufacturer::Amd, ..INTEL };
const GRAVITON2: Family = Family {
    architecture: Architecture::Arm64,
    manufacturer: Manufacturer::Aws,
    threads_per_core: 1,
    clock_mhz: 2500,
    network: &[
        ("Up to 10 Gigabit", &["medium", "large", "xlarge", "2xlarge", "4xlarge"]),
        ("12 Gigabit", &["8xlarge"]),
        ("20 Gigabit", &["12xlarge"]),
        ("25 Gigabit", &["16xlarge", "metal"]),
    ],
    ..INTEL
};
const GRAVITON3: Family = Family {
    clock_mhz: 2600,
    network: &[
        ("Up to 12.5 Gigabit", &["medium", "large", "xlarge"]),
        ("Up to 15 Gigabit", &["2xlarge", "4xlarge"]),
        ("15 Gigabit", &["8xlarge"]),
        ("22.5 Gigabit", &["12xlarge"]),
        ("30 Gigabit", &["16xlarge", "metal"]),
    ],
    ..GRAVITON2
};
/// The types on Xen, except t2 and i3, are what AWS calls the previous generations. (It has begun to flag some of the
/// fifth and sixth as well; for instance requirements they count as current here, our reading.)
const PREVIOUS: Family = Family { hypervisor: Hypervisor::Xen, current_generation: false, ..INTEL };
const BURSTABLE: Family = Family {
    burstable: true,
    min_vcpus: 2,
    clock_mhz: 2500,
    network: &[("Up to 5 Gigabit", &["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge"])],
    ..INTEL
};

const INTEL_10: Network = &[
    ("Up to 10 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
    ("10 Gigabit", &["8xlarge"]),
    ("12 Gigabit", &["12xlarge"]),
    ("20 Gigabit", &["16xlarge"]),
    ("25 Gigabit", &["24xlarge", "metal"]),
];
const INTEL_12: Network = &[
    ("Up to 12.5 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
    ("12.5 Gigabit", &["8xlarge"]),
    ("18.75 Gigabit", &["12xlarge"]),
    ("25 Gigabit", &["16xlarge"]),
    ("37.5 Gigabit", &["24xlarge"]),
    ("50 Gigabit", &["32xlarge", "metal"]),
];
const INTEL_12_TO_48: Network = &[
    ("Up to 12.5 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
    ("12.5 Gigabit", &["8xlarge"]),
    ("18.75 Gigabit", &["12xlarge"]),
    ("25 Gigabit", &["16xlarge"]),
    ("37.5 Gigabit", &["24xlarge", "metal-24xl"]),
    ("50 Gigabit", &["48xlarge", "metal-48xl"]),
];
const INTEL_25: Network = &[
    ("Up to 25 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
    ("25 Gigabit", &["8xlarge"]),
    ("50 Gigabit", &["12xlarge"]),
    ("75 Gigabit", &["16xlarge"]),
    ("100 Gigabit", &["24xlarge", "metal"]),
];
const AMD_10: Network = &[
    ("Up to 10 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("10 Gigabit", &["12xlarge"]),
    ("12 Gigabit", &["16xlarge"]),
    ("20 Gigabit", &["24xlarge"]),
];
const AMD_12: Network = &[
    ("Up to 12.5 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
    ("12.5 Gigabit", &["8xlarge"]),
    ("18.75 Gigabit", &["12xlarge"]),
    ("25 Gigabit", &["16xlarge"]),
    ("37.5 Gigabit", &["24xlarge"]),
    ("50 Gigabit", &["32xlarge", "48xlarge", "metal"]),
];
const XEN_25: Network = &[
    ("Up to 10 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
    ("10 Gigabit", &["8xlarge"]),
    ("25 Gigabit", &["16xlarge"]),
];

const FAMILIES: &[Family] = &[
    Family {
        name: "c3",
        clock_mhz: 2800,
        memory_mib: 3840,
        price: 105_000,
        local_storage_gb: 40,
        network: &[
            ("Moderate", &["large", "xlarge"]),
            ("High", &["2xlarge", "4xlarge"]),
            ("10 Gigabit", &["8xlarge"]),
        ],
        deviations: &[("large", &[I386, LocalStorageGb(32)])],
        ..PREVIOUS
    },
    Family {
        name: "c4",
        clock_mhz: 2900,
        memory_mib: 3840,
        price: 99_500,
        network: &[
            ("Moderate", &["large"]),
            ("High", &["xlarge", "2xlarge", "4xlarge"]),
            ("10 Gigabit", &["8xlarge"]),
        ],
        deviations: &[("large", &[Price(100_000)]), ("8xlarge", &[Vcpus(36), Price(1_591_000)])],
        ..PREVIOUS
    },
    Family {
        name: "c5",
        clock_mhz: 3400,
        memory_mib: 4096,
        price: 85_000,
        network: &[
            ("Up to 10 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
            ("12 Gigabit", &["9xlarge", "12xlarge"]),
            ("25 Gigabit", &["18xlarge", "24xlarge", "metal"]),
        ],
        deviations: &[
            ("12xlarge", &[ClockMhz(3600)]),
            ("24xlarge", &[ClockMhz(3600)]),
            ("metal", &[ClockMhz(3600)]),
        ],
        ..INTEL
    },
    Family {
        name: "c5a",
        clock_mhz: 3300,
        memory_mib: 4096,
        price: 77_000,
        network: &[
            ("Up to 10 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
            ("10 Gigabit", &["8xlarge"]),
            ("12 Gigabit", &["12xlarge"]),
            ("20 Gigabit", &["16xlarge", "24xlarge"]),
        ],
        ..AMD
    },
    Family {
        name: "c5n",
        clock_mhz: 3400,
        memory_mib: 5376,
        price: 108_000,
        network: &[
            ("Up to 25 Gigabit", &["large", "xlarge", "2xlarge", "4xlarge"]),
            ("50 Gigabit", &["9xlarge"]),
            ("100 Gigabit", &["18xlarge", "metal"]),
        ],
        deviations: &[
            ("9xlarge", &[MemoryMib(98_304)]),
            ("18xlarge", &[MemoryMib(196_608)]),
            ("metal", &[MemoryMib(196_608)]),
        ],
        ..INTEL
    },
    Family { name: "c6a", clock_mhz: 3600, memory_mib: 4096, price: 76_500, network: AMD_12, ..AMD },
    Family {
        name: "c6g",
        memory_mib: 4096,
        price: 68_000,
        deviations: &[("metal", &[Price(2_306_600)])],
        ..GRAVITON2
    },
    Family { name: "c6i", clock_mhz: 3500, memory_mib: 4096, price: 85_000, network: INTEL_12, ..INTEL },
    Family {
        name: "c7g",
        memory_mib: 4096,
        price: 72_500,
        deviations: &[("medium", &[Price(36_300)])],
        ..GRAVITON3
    },
    Family {
        name: "c7i",
        clock_mhz: 3200,
        memory_mib: 4096,
        price: 89_250,
        network: INTEL_12_TO_48,
        deviations: &[("metal-24xl", &[Price(4_712_400)])],
        ..INTEL
    },
    Family {
        name: "g4dn",
        clock_mhz: 2500,
        gpus: 1,
        network: &[
            ("Up to 25 Gigabit", &["xlarge", "2xlarge", "4xlarge"]),
            ("50 Gigabit", &["8xlarge", "12xlarge", "16xlarge"]),
        ],
        deviations: &[
            ("xlarge", &[Price(526_000), LocalStorageGb(125), Interfaces(3, 10)]),
            ("2xlarge", &[Price(752_000), LocalStorageGb(225), Interfaces(3, 10)]),
            ("4xlarge", &[Price(1_204_000), LocalStorageGb(225), Interfaces(3, 10)]),
            ("8xlarge", &[Price(2_176_000), LocalStorageGb(900), Interfaces(4, 15)]),
            ("12xlarge", &[Price(3_912_000), LocalStorageGb(900), Gpus(4)]),
            ("16xlarge", &[Price(4_352_000), LocalStorageGb(900), Interfaces(4, 15)]),
        ],
        ..INTEL
    },
    Family {
        name: "i3",
        hypervisor: Hypervisor::Xen,
        clock_mhz: 2300,
        memory_mib: 15_616,
        price: 156_000,
        local_storage_gb: 475,
        network: XEN_25,
        ..INTEL
    },
    Family {
        name: "m3",
        clock_mhz: 2500,
        memory_mib: 7680,
        price: 133_000,
        local_storage_gb: 40,
        network: &[("Moderate", &["medium", "large"]), ("High", &["xlarge", "2xlarge"])],
        deviations: &[
            ("medium", &[Price(67_000), LocalStorageGb(4), Interfaces(2, 6)]),
            ("large", &[LocalStorageGb(32)]),
            ("2xlarge", &[Interfaces(4, 30)]),
        ],
        ..PREVIOUS
    },
    Family {
        name: "m4",
        clock_mhz: 2400,
        price: 100_000,
        network: &[
            ("Moderate", &["large"]),
            ("High", &["xlarge", "2xlarge", "4xlarge"]),
            ("10 Gigabit", &["10xlarge"]),
            ("25 Gigabit", &["16xlarge"]),
        ],
        deviations: &[("large", &[Interfaces(2, 10)]), ("16xlarge", &[Interfaces(8, 30), ClockMhz(2300)])],
        ..PREVIOUS
    },
    Family { name: "m5", price: 96_000, network: INTEL_10, ..INTEL },
    Family { name: "m5a", clock_mhz: 2500, price: 86_000, network: AMD_10, ..AMD },
    Family {
        name: "m5ad",
        clock_mhz: 2200,
        price: 103_000,
        local_storage_gb: 75,
        network: AMD_10,
        deviations: &[("8xlarge", &[ClockMhz(2500)]), ("16xlarge", &[ClockMhz(2500)])],
        ..AMD
    },
    Family { name: "m5d", price: 113_000, local_storage_gb: 75, network: INTEL_10, ..INTEL },
    Family { name: "m5dn", price: 136_000, local_storage_gb: 75, network: INTEL_25, ..INTEL },
    Family { name: "m5n", price: 119_000, network: INTEL_25, ..INTEL },
    Family { name: "m6a", clock_mhz: 3600, price: 86_400, network: AMD_12, ..AMD },
    Family { name: "m6g", price: 77_000, deviations: &[("metal", &[Price(2_611_200)])], ..GRAVITON2 },
    Family { name: "m6i", clock_mhz: 3500, price: 96_000, network: INTEL_12, ..INTEL },
    Family { name: "m7g", price: 81_600, ..GRAVITON3 },
    Family {
        name: "m7i",
        clock_mhz: 3200,
        price: 100_800,
        network: INTEL_12_TO_48,
        deviations: &[("metal-24xl", &[Price(5_322_240)])],
        ..INTEL
    },
    Family { name: "r4", clock_mhz: 2300, memory_mib: 15_616, price: 133_000, network: XEN_25, ..PREVIOUS },
    Family { name: "r5", memory_mib: 16_384, price: 126_000, network: INTEL_10, ..INTEL },
    Family { name: "r5a", clock_mhz: 2500, memory_mib: 16_384, price: 113_000, network: AMD_10, ..AMD },
    Family { name: "r6a", clock_mhz: 3600, memory_mib: 16_384, price: 113_400, network: AMD_12, ..AMD },
    Family {
        name: "r6g",
        memory_mib: 16_384,
        price: 100_800,
        deviations: &[("metal", &[Price(3_419_100)])],
        ..GRAVITON2
    },
    Family { name: "r6i", clock_mhz: 3500, memory_mib: 16_384, price: 126_000, network: INTEL_12, ..INTEL },
    Family {
        name: "r7g",
        memory_mib: 16_384,
        price: 107_100,
        deviations: &[("medium", &[Price(53_600)])],
        ..GRAVITON3
    },
    Family {
        name: "t2",
        hypervisor: Hypervisor::Xen,
        threads_per_core: 1,
        min_vcpus: 1,
        clock_mhz: 2300,
        price: 92_800,
        network: &[
            ("Low to Moderate", &["nano", "micro", "small", "medium", "large"]),
            ("Moderate", &["xlarge", "2xlarge"]),
        ],
        deviations: &[
            ("nano", &[I386, ClockMhz(2400), OnDemandOnly]),
            ("micro", &[I386, ClockMhz(2500)]),
            ("small", &[I386, ClockMhz(2500), Price(23_000)]),
            ("medium", &[I386, Vcpus(2)]),
            ("xlarge", &[Interfaces(3, 15)]),
            ("2xlarge", &[Interfaces(3, 15)]),
        ],
        ..BURSTABLE
    },
    Family { name: "t3", price: 83_200, ..BURSTABLE },
    Family {
        name: "t3a",
        manufacturer: Manufacturer::Amd,
        clock_mhz: 2200,
        price: 75_200,
        deviations: &[("small", &[Interfaces(2, 4)])],
        ..BURSTABLE
    },
    Family {
        name: "t4g",
        architecture: Architecture::Arm64,
        manufacturer: Manufacturer::Aws,
        threads_per_core: 1,
        price: 67_200,
        ..BURSTABLE
    },
];
