//! Instance types and where they are offered.

use capstan_model::catalogue::{self, Architecture, Hypervisor, InstanceType};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, ArchitectureType, BootModeType, DescribeInstanceTypeOfferingsRequest,
    DescribeInstanceTypeOfferingsResponse, DescribeInstanceTypesRequest, DescribeInstanceTypesResponse,
    EbsEncryptionSupport, EbsNvmeSupport, EbsOptimizedSupport, EnaSupport, EphemeralNvmeSupport,
    GpuDeviceInfo, GpuDeviceMemoryInfo, InstanceStorageEncryptionSupport, InstanceStorageInfo,
    InstanceTypeHypervisor, InstanceTypeInfo, InstanceTypeOffering, LocationType, NetworkCardInfo,
    PlacementGroupInfo, PlacementGroupStrategy, RootDeviceType, UsageClassType, VirtualizationType,
};

use crate::{Caller, Engine};

use super::filter::Filters;
use super::{Tags, dry_run, page_of};

/// Types on a page when the request does not say how many (EC2 API reference, DescribeInstanceTypes).
const PAGE: i32 = 100;

/// A family's accelerator: name, maker, MiB each.
const ACCELERATORS: &[(&str, &str, &str, i32)] = &[("g4dn", "T4", "NVIDIA", 16_384)];

pub(super) fn describe_offerings(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeInstanceTypeOfferingsRequest,
) -> Result<DescribeInstanceTypeOfferingsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), &["instance-type", "location"])?;
    let region = cx.config.region;
    let kind = request.location_type.unwrap_or(LocationType::Region);
    let mut offerings: Vec<(&str, &str)> = Vec::new();
    for each in catalogue::all() {
        let mut zones = region.zones.iter().filter(|zone| each.offered_in(zone.name));
        match kind {
            LocationType::Region => {
                if zones.next().is_some() {
                    offerings.push((region.name, &each.name));
                }
            }
            LocationType::AvailabilityZone => offerings.extend(zones.map(|zone| (zone.name, &*each.name))),
            LocationType::AvailabilityZoneId => offerings.extend(zones.map(|zone| (zone.id, &*each.name))),
            LocationType::Outpost => {}
        }
    }
    offerings.retain(|(location, instance_type)| {
        filters.fit(&Tags::new(), |name, put| match name {
            "instance-type" => put(instance_type),
            "location" => put(location),
            _ => {}
        })
    });
    let key = |(location, instance_type): &(&str, &str)| format!("{instance_type}/{location}");
    offerings.sort_by_cached_key(key);
    let page = page_of(offerings, key, request.next_token.as_deref(), request.max_results)?;
    let described = |(location, instance_type): (&str, &str)| InstanceTypeOffering {
        instance_type: Some(instance_type.into()),
        location_type: Some(kind),
        location: Some(location.into()),
    };
    Ok(DescribeInstanceTypeOfferingsResponse {
        instance_type_offerings: Some(page.items.into_iter().map(described).collect()),
        next_token: page.next,
    })
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeInstanceTypesRequest,
) -> Result<DescribeInstanceTypesResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), FILTERS)?;
    let zones = cx.config.region.zones;
    let offered = |each: &InstanceType| zones.iter().any(|zone| each.offered_in(zone.name));
    let everywhere = request.include_unsupported_in_region == Some(true);
    let names = request.instance_types.unwrap_or_default();
    let known = |name: &str| catalogue::instance_type(name).is_some_and(|each| everywhere || offered(each));
    let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !known(name)).collect();
    if !unknown.is_empty() {
        return Err(Refusal::new(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{}]", unknown.join(", ")),
        ));
    }
    let fitting = catalogue::all().iter().filter(|each| {
        (names.is_empty() || names.contains(&each.name))
            && (everywhere || offered(each))
            && filters.fit(&Tags::new(), |name, put| fields(each, name, put))
    });
    let size = request.max_results.unwrap_or(PAGE);
    let page = page_of(fitting, |each| each.name.clone(), request.next_token.as_deref(), Some(size))?;
    let described = |each: &InstanceType| {
        let mut described = described(each);
        described.supported_in_region = everywhere.then(|| offered(each));
        described
    };
    Ok(DescribeInstanceTypesResponse {
        instance_types: Some(page.items.into_iter().map(described).collect()),
        next_token: page.next,
    })
}

fn is_nitro(each: &InstanceType) -> bool {
    // Bare metal has Nitro's cards though no hypervisor.
    each.hypervisor != Some(Hypervisor::Xen)
}

fn ena(each: &InstanceType) -> EnaSupport {
    match each.family {
        _ if is_nitro(each) => EnaSupport::Required,
        "i3" | "r4" => EnaSupport::Supported,
        _ => EnaSupport::Unsupported,
    }
}

fn ebs_optimized(each: &InstanceType) -> EbsOptimizedSupport {
    match (each.family, each.size) {
        ("c4" | "i3" | "m4" | "r4", _) => EbsOptimizedSupport::Default,
        _ if is_nitro(each) => EbsOptimizedSupport::Default,
        ("c3" | "m3", "xlarge" | "2xlarge" | "4xlarge") => EbsOptimizedSupport::Supported,
        _ => EbsOptimizedSupport::Unsupported,
    }
}

fn ebs_nvme(each: &InstanceType) -> EbsNvmeSupport {
    if is_nitro(each) { EbsNvmeSupport::Required } else { EbsNvmeSupport::Unsupported }
}

fn store_nvme(each: &InstanceType) -> EphemeralNvmeSupport {
    if is_nitro(each) || each.family == "i3" {
        EphemeralNvmeSupport::Required
    } else {
        EphemeralNvmeSupport::Unsupported
    }
}

fn usage_classes(each: &InstanceType) -> Vec<UsageClassType> {
    let spot = each.spot.then_some(UsageClassType::Spot);
    [UsageClassType::OnDemand].into_iter().chain(spot).collect()
}

fn boot_modes(each: &InstanceType) -> Vec<BootModeType> {
    if each.architectures.contains(&Architecture::Arm64) {
        vec![BootModeType::Uefi]
    } else if is_nitro(each) {
        vec![BootModeType::LegacyBios, BootModeType::Uefi]
    } else {
        vec![BootModeType::LegacyBios]
    }
}

fn placement_strategies(each: &InstanceType) -> Vec<PlacementGroupStrategy> {
    let cluster = (!each.burstable).then_some(PlacementGroupStrategy::Cluster);
    cluster.into_iter().chain([PlacementGroupStrategy::Partition, PlacementGroupStrategy::Spread]).collect()
}

fn auto_recovery(each: &InstanceType) -> bool {
    !each.bare_metal && each.local_storage_gb == 0
}

fn free_tier(each: &InstanceType) -> bool {
    matches!(each.name.as_str(), "t2.micro" | "t3.micro")
}

fn ghz(each: &InstanceType) -> f64 {
    f64::from(each.sustained_clock_mhz) / 1000.0
}

/// What the catalogue knows of a type, as EC2 describes it.
fn described(each: &InstanceType) -> InstanceTypeInfo {
    let int = |n: u32| i32::try_from(n).ok();
    let architectures = each.architectures.iter().filter_map(|each| ArchitectureType::parse(each.as_str()));
    let accelerator = ACCELERATORS.iter().find(|(family, ..)| *family == each.family && each.gpus > 0);
    InstanceTypeInfo {
        instance_type: Some(each.name.clone()),
        current_generation: Some(each.current_generation),
        free_tier_eligible: Some(free_tier(each)),
        supported_usage_classes: Some(usage_classes(each)),
        supported_root_device_types: Some(vec![RootDeviceType::Ebs]),
        supported_virtualization_types: Some(vec![VirtualizationType::Hvm]),
        bare_metal: Some(each.bare_metal),
        hypervisor: each.hypervisor.and_then(|each| InstanceTypeHypervisor::parse(each.as_str())),
        processor_info: Some(ec2::ProcessorInfo {
            supported_architectures: Some(architectures.collect()),
            sustained_clock_speed_in_ghz: Some(ghz(each)),
            supported_features: None,
            manufacturer: Some(each.manufacturer.as_str().into()),
        }),
        v_cpu_info: Some(ec2::VCpuInfo {
            default_v_cpus: int(each.vcpus),
            default_cores: int(each.default_cores),
            default_threads_per_core: int(each.default_threads_per_core),
            ..Default::default()
        }),
        memory_info: Some(ec2::MemoryInfo { size_in_mib: Some(each.memory_mib.into()) }),
        instance_storage_supported: Some(each.local_storage_gb > 0),
        instance_storage_info: (each.local_storage_gb > 0).then(|| InstanceStorageInfo {
            total_size_in_gb: Some(each.local_storage_gb.into()),
            disks: None,
            nvme_support: Some(store_nvme(each)),
            encryption_support: Some(if store_nvme(each) == EphemeralNvmeSupport::Required {
                InstanceStorageEncryptionSupport::Required
            } else {
                InstanceStorageEncryptionSupport::Unsupported
            }),
        }),
        ebs_info: Some(ec2::EbsInfo {
            ebs_optimized_support: Some(ebs_optimized(each)),
            encryption_support: Some(EbsEncryptionSupport::Supported),
            nvme_support: Some(ebs_nvme(each)),
            ..Default::default()
        }),
        network_info: Some(ec2::NetworkInfo {
            network_performance: Some(each.network_performance.into()),
            maximum_network_interfaces: int(each.max_enis),
            maximum_network_cards: Some(1),
            default_network_card_index: Some(0),
            network_cards: Some(vec![NetworkCardInfo {
                network_card_index: Some(0),
                network_performance: Some(each.network_performance.into()),
                maximum_network_interfaces: int(each.max_enis),
                ..Default::default()
            }]),
            ipv4_addresses_per_interface: int(each.ipv4_per_eni),
            ipv6_addresses_per_interface: int(if each.family == "m3" { 0 } else { each.ipv4_per_eni }),
            ipv6_supported: Some(each.family != "m3"),
            ena_support: Some(ena(each)),
            ..Default::default()
        }),
        gpu_info: accelerator.map(|(_, name, manufacturer, mib)| ec2::GpuInfo {
            gpus: Some(vec![GpuDeviceInfo {
                name: Some((*name).into()),
                manufacturer: Some((*manufacturer).into()),
                count: int(each.gpus),
                memory_info: Some(GpuDeviceMemoryInfo { size_in_mib: Some(*mib) }),
                ..Default::default()
            }]),
            total_gpu_memory_in_mib: int(each.gpus).map(|gpus| gpus * mib),
        }),
        placement_group_info: Some(PlacementGroupInfo {
            supported_strategies: Some(placement_strategies(each)),
        }),
        burstable_performance_supported: Some(each.burstable),
        auto_recovery_supported: Some(auto_recovery(each)),
        supported_boot_modes: Some(boot_modes(each)),
        ..Default::default()
    }
}

/// What a filter of that name finds at a type.
fn fields(each: &InstanceType, name: &str, put: &mut dyn FnMut(&str)) {
    let flag = |flag: bool| if flag { "true" } else { "false" };
    match name {
        "auto-recovery-supported" => put(flag(auto_recovery(each))),
        "bare-metal" => put(flag(each.bare_metal)),
        "burstable-performance-supported" => put(flag(each.burstable)),
        "current-generation" => put(flag(each.current_generation)),
        "ebs-info.ebs-optimized-support" => put(ebs_optimized(each).as_str()),
        "ebs-info.encryption-support" => put("supported"),
        "ebs-info.nvme-support" => put(ebs_nvme(each).as_str()),
        "free-tier-eligible" => put(flag(free_tier(each))),
        "hypervisor" => each.hypervisor.iter().for_each(|each| put(each.as_str())),
        "instance-storage-info.nvme-support" if each.local_storage_gb > 0 => put(store_nvme(each).as_str()),
        "instance-storage-info.total-size-in-gb" if each.local_storage_gb > 0 => {
            put(&each.local_storage_gb.to_string());
        }
        "instance-storage-supported" => put(flag(each.local_storage_gb > 0)),
        "instance-type" => put(&each.name),
        "memory-info.size-in-mib" => put(&each.memory_mib.to_string()),
        "network-info.ena-support" => put(ena(each).as_str()),
        "network-info.ipv4-addresses-per-interface" => put(&each.ipv4_per_eni.to_string()),
        "network-info.ipv6-addresses-per-interface" if each.family != "m3" => {
            put(&each.ipv4_per_eni.to_string());
        }
        "network-info.ipv6-supported" => put(flag(each.family != "m3")),
        "network-info.maximum-network-cards" => put("1"),
        "network-info.maximum-network-interfaces" => put(&each.max_enis.to_string()),
        "network-info.network-performance" => put(each.network_performance),
        "processor-info.manufacturer" => put(each.manufacturer.as_str()),
        "processor-info.supported-architecture" => {
            each.architectures.iter().for_each(|each| put(each.as_str()));
        }
        "processor-info.sustained-clock-speed-in-ghz" => put(&ghz(each).to_string()),
        "supported-boot-mode" => boot_modes(each).iter().for_each(|each| put(each.as_str())),
        "supported-root-device-type" => put("ebs"),
        "supported-usage-class" => usage_classes(each).iter().for_each(|each| put(each.as_str())),
        "supported-virtualization-type" => put("hvm"),
        "vcpu-info.default-cores" => put(&each.default_cores.to_string()),
        "vcpu-info.default-threads-per-core" => put(&each.default_threads_per_core.to_string()),
        "vcpu-info.default-vcpus" => put(&each.vcpus.to_string()),
        _ => {}
    }
}

/// Filters of DescribeInstanceTypes. Those that `fields` has nothing for are about what the catalogue does not know.
const FILTERS: &[&str] = &[
    "auto-recovery-supported",
    "bare-metal",
    "burstable-performance-supported",
    "current-generation",
    "dedicated-hosts-supported",
    "ebs-info.attachment-limit-type",
    "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps",
    "ebs-info.ebs-optimized-info.baseline-iops",
    "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps",
    "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps",
    "ebs-info.ebs-optimized-info.maximum-iops",
    "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps",
    "ebs-info.ebs-optimized-support",
    "ebs-info.encryption-support",
    "ebs-info.maximum-ebs-attachments",
    "ebs-info.nvme-support",
    "free-tier-eligible",
    "hibernation-supported",
    "hypervisor",
    "instance-storage-info.disk.count",
    "instance-storage-info.disk.size-in-gb",
    "instance-storage-info.disk.type",
    "instance-storage-info.encryption-support",
    "instance-storage-info.nvme-support",
    "instance-storage-info.total-size-in-gb",
    "instance-storage-supported",
    "instance-type",
    "memory-info.size-in-mib",
    "network-info.bandwidth-weightings",
    "network-info.efa-info.maximum-efa-interfaces",
    "network-info.efa-supported",
    "network-info.ena-support",
    "network-info.flexible-ena-queues-support",
    "network-info.ipv4-addresses-per-interface",
    "network-info.ipv6-addresses-per-interface",
    "network-info.ipv6-supported",
    "network-info.maximum-network-cards",
    "network-info.maximum-network-interfaces",
    "network-info.network-performance",
    "nitro-enclaves-support",
    "nitro-tpm-info.supported-versions",
    "nitro-tpm-support",
    "processor-info.manufacturer",
    "processor-info.supported-architecture",
    "processor-info.supported-features",
    "processor-info.sustained-clock-speed-in-ghz",
    "reboot-migration-support",
    "supported-boot-mode",
    "supported-root-device-type",
    "supported-usage-class",
    "supported-virtualization-type",
    "vcpu-info.default-cores",
    "vcpu-info.default-threads-per-core",
    "vcpu-info.default-vcpus",
    "vcpu-info.valid-cores",
    "vcpu-info.valid-threads-per-core",
];
