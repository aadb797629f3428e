use super::*;
use crate::REGIONS;
use std::collections::BTreeSet;

fn named(name: &str) -> &'static InstanceType {
    instance_type(name).unwrap_or_else(|| panic!("{name} is not in the catalogue"))
}

#[test]
fn types_are_sorted_and_found() {
    assert!(all().is_sorted_by(|a, b| a.name < b.name));
    for each in all() {
        assert_eq!(instance_type(&each.name), Some(each));
    }
    for unknown in ["", "m5", "m5.", "m5.large2", "zz.large"] {
        assert_eq!(instance_type(unknown), None, "{unknown}");
    }
}

#[test]
fn every_type_is_whole() {
    for each in all() {
        assert!(each.vcpus > 0 && each.memory_mib >= 512 && each.sustained_clock_mhz > 0, "{each:?}");
        assert_eq!(each.default_cores * each.default_threads_per_core, each.vcpus, "{each:?}");
        assert_eq!(each.hypervisor.is_none(), each.bare_metal, "{each:?}");
        assert!(each.registered_memory() < each.memory_mib, "{each:?}");
        assert!(each.offered_in("eu-west-1a"), "{each:?}");
    }
}

/// A row of data: what DescribeInstanceTypes states.
#[test]
fn hardware() {
    fn check(name: &str, expected: &str) {
        let each = named(name);
        let architectures: Vec<_> = each.architectures.iter().map(|each| each.as_str()).collect();
        let got = format!(
            "{} vCPU ({}x{}), {} MiB, {} GB, {}, {}x{}, {}, {}, {} MHz",
            each.vcpus,
            each.default_cores,
            each.default_threads_per_core,
            each.memory_mib,
            each.local_storage_gb,
            each.network_performance,
            each.max_enis,
            each.ipv4_per_eni,
            each.hypervisor.map_or("metal", Hypervisor::as_str),
            architectures.join("+"),
            each.sustained_clock_mhz,
        );
        assert_eq!(got, expected, "{name}");
    }
    let cases = [
        ("m5.large", "2 vCPU (1x2), 8192 MiB, 0 GB, Up to 10 Gigabit, 3x10, nitro, x86_64, 3100 MHz"),
        ("m5.xlarge", "4 vCPU (2x2), 16384 MiB, 0 GB, Up to 10 Gigabit, 4x15, nitro, x86_64, 3100 MHz"),
        ("m5.metal", "96 vCPU (48x2), 393216 MiB, 0 GB, 25 Gigabit, 15x50, metal, x86_64, 3100 MHz"),
        ("m5a.large", "2 vCPU (1x2), 8192 MiB, 0 GB, Up to 10 Gigabit, 3x10, nitro, x86_64, 2500 MHz"),
        ("m5ad.large", "2 vCPU (1x2), 8192 MiB, 75 GB, Up to 10 Gigabit, 3x10, nitro, x86_64, 2200 MHz"),
        ("m5d.24xlarge", "96 vCPU (48x2), 393216 MiB, 3600 GB, 25 Gigabit, 15x50, nitro, x86_64, 3100 MHz"),
        ("m5dn.large", "2 vCPU (1x2), 8192 MiB, 75 GB, Up to 25 Gigabit, 3x10, nitro, x86_64, 3100 MHz"),
        ("m5n.large", "2 vCPU (1x2), 8192 MiB, 0 GB, Up to 25 Gigabit, 3x10, nitro, x86_64, 3100 MHz"),
        ("m6i.large", "2 vCPU (1x2), 8192 MiB, 0 GB, Up to 12.5 Gigabit, 3x10, nitro, x86_64, 3500 MHz"),
        ("m6g.large", "2 vCPU (2x1), 8192 MiB, 0 GB, Up to 10 Gigabit, 3x10, nitro, arm64, 2500 MHz"),
        ("m7i.metal-24xl", "96 vCPU (48x2), 393216 MiB, 0 GB, 37.5 Gigabit, 15x50, metal, x86_64, 3200 MHz"),
        ("m4.large", "2 vCPU (1x2), 8192 MiB, 0 GB, Moderate, 2x10, xen, x86_64, 2400 MHz"),
        ("m3.medium", "1 vCPU (1x1), 3840 MiB, 4 GB, Moderate, 2x6, xen, x86_64, 2500 MHz"),
        ("m3.large", "2 vCPU (1x2), 7680 MiB, 32 GB, Moderate, 3x10, xen, x86_64, 2500 MHz"),
        ("t3.nano", "2 vCPU (1x2), 512 MiB, 0 GB, Up to 5 Gigabit, 2x2, nitro, x86_64, 2500 MHz"),
        ("t3.large", "2 vCPU (1x2), 8192 MiB, 0 GB, Up to 5 Gigabit, 3x12, nitro, x86_64, 2500 MHz"),
        ("t2.medium", "2 vCPU (2x1), 4096 MiB, 0 GB, Low to Moderate, 3x6, xen, i386+x86_64, 2300 MHz"),
        ("t2.large", "2 vCPU (2x1), 8192 MiB, 0 GB, Low to Moderate, 3x12, xen, x86_64, 2300 MHz"),
        ("c5.large", "2 vCPU (1x2), 4096 MiB, 0 GB, Up to 10 Gigabit, 3x10, nitro, x86_64, 3400 MHz"),
        ("c5.9xlarge", "36 vCPU (18x2), 73728 MiB, 0 GB, 12 Gigabit, 8x30, nitro, x86_64, 3400 MHz"),
        ("c4.8xlarge", "36 vCPU (18x2), 61440 MiB, 0 GB, 10 Gigabit, 8x30, xen, x86_64, 2900 MHz"),
        ("c3.large", "2 vCPU (1x2), 3840 MiB, 32 GB, Moderate, 3x10, xen, i386+x86_64, 2800 MHz"),
        ("r5.large", "2 vCPU (1x2), 16384 MiB, 0 GB, Up to 10 Gigabit, 3x10, nitro, x86_64, 3100 MHz"),
        ("i3.16xlarge", "64 vCPU (32x2), 499712 MiB, 15200 GB, 25 Gigabit, 15x50, xen, x86_64, 2300 MHz"),
    ];
    cases.iter().for_each(|(name, expected)| check(name, expected));
    assert_eq!(named("g4dn.12xlarge").gpus, 4);
}

#[test]
fn registered_memory() {
    let cases = [
        ("m5.large", 7680),
        ("t3.small", 1955),
        ("m4.large", 7985),
        ("m5a.large", 7700),
        ("m3.large", 7219),
        ("t3.nano", 481),
        ("m5.xlarge", 15_400),
        ("r6a.48xlarge", 1_478_492),
    ];
    for (name, mib) in cases {
        assert_eq!(named(name).registered_memory(), mib, "{name}");
    }
}

#[test]
fn on_demand_prices() {
    let cases = [
        ("m5.large", "us-east-1", 96_000),
        ("m5a.large", "us-east-1", 86_000),
        ("m5d.large", "us-east-1", 113_000),
        ("m5ad.large", "us-east-1", 103_000),
        ("m5n.large", "us-east-1", 119_000),
        ("m5dn.large", "us-east-1", 136_000),
        ("m4.large", "us-east-1", 100_000),
        ("m3.large", "us-east-1", 133_000),
        ("t3.large", "us-east-1", 83_200),
        ("t3.nano", "us-east-1", 5_200),
        ("t2.large", "us-east-1", 92_800),
        ("c4.large", "us-east-1", 100_000),
        ("c4.xlarge", "us-east-1", 199_000),
        ("c7i.large", "us-east-1", 89_250),
        ("m5.24xlarge", "us-east-1", 4_608_000),
        ("c5.9xlarge", "us-east-1", 1_530_000),
        ("m6g.metal", "us-east-1", 2_611_200),
        ("m5.large", "eu-west-1", 107_000),
        ("m5a.large", "eu-west-1", 96_000),
        ("m5d.large", "eu-west-1", 126_000),
        ("m5ad.large", "eu-west-1", 115_000),
        ("m5n.large", "eu-west-1", 133_000),
        ("m5dn.large", "eu-west-1", 152_000),
        ("m5dn.xlarge", "eu-west-1", 304_000),
        ("m4.large", "eu-west-1", 111_000),
        ("c3.large", "eu-west-1", 120_000),
        ("t3.large", "eu-west-1", 92_700),
        ("m5.large", "us-west-2", 96_000),
        ("m5.large", "ap-northeast-1", 124_000),
    ];
    for (name, region, price) in cases {
        assert_eq!(named(name).on_demand_price(region), Some(MicroDollars(price)), "{name} in {region}");
    }
    assert_eq!(named("m5.large").on_demand_price("mars-north-1"), None);
}

#[test]
fn spot_prices() {
    let cases = [
        ("m5.large", "use1-az4", Some(29_100)),
        ("m5.large", "us-east-1c", Some(29_100)),
        ("m5.xlarge", "us-east-1c", Some(58_200)),
        ("m4.large", "us-east-1e", Some(58_900)),
        ("m5dn.xlarge", "eu-west-1a", Some(205_300)),
        ("m5dn.large", "eu-west-1a", Some(102_700)),
        // Neither offered nor sold.
        ("m5.large", "us-east-1e", None),
        ("t2.nano", "us-east-1a", None),
        ("m5.large", "us-east-1z", None),
    ];
    for (name, zone, price) in cases {
        assert_eq!(named(name).spot_price(zone), price.map(MicroDollars), "{name} in {zone}");
    }
}

/// The market facts that the rule for unlisted pools answers for, and the cap that holds for every pool.
#[test]
fn every_price_is_sane() {
    for each in all() {
        for region in REGIONS {
            let MicroDollars(on_demand) = each.on_demand_price(region.name).unwrap();
            assert!(on_demand > 0, "{} in {}", each.name, region.name);
            let mut seen = BTreeSet::new();
            for zone in region.zones {
                let spot = each.spot_price(zone.name);
                assert_eq!(spot.is_some(), each.spot && each.offered_in(zone.name));
                assert_eq!(spot, each.spot_price(zone.id));
                let Some(MicroDollars(spot)) = spot else { continue };
                assert!(spot * 10 >= on_demand * 3 - 10_000 && spot * 10 <= on_demand * 7, "{each:?} {spot}");
                seen.insert(spot);
            }
            let (cheapest, dearest) = (seen.first().unwrap_or(&1), seen.last().unwrap_or(&1));
            assert!(dearest * 10 <= cheapest * 16, "{} in {}: {seen:?}", each.name, region.name);
        }
    }
}

#[test]
fn offerings() {
    let cases = [
        ("m5.large", "us-east-1", "abcdf"),
        ("c5.large", "us-east-1", "abcdf"),
        ("t3.large", "us-east-1", "abcdf"),
        ("m4.large", "us-east-1", "abcdef"),
        ("t2.large", "us-east-1", "abcdef"),
        ("m3.large", "us-east-1", "abce"),
        ("m3.large", "eu-west-1", "abc"),
        ("m3.large", "us-east-2", ""),
        ("m5.large", "us-west-2", "abcd"),
        ("m5.large", "ap-northeast-1", "acd"),
    ];
    for (name, region, letters) in cases {
        let region = crate::region(region).unwrap();
        let offered = region.zones.iter().filter(|zone| named(name).offered_in(zone.id));
        assert_eq!(offered.map(|zone| zone.letter()).collect::<String>(), letters, "{name} {}", region.name);
    }
    assert!(!named("m5.large").offered_in("us-east-1z"));
}
