//! InstanceRequirements: instance types by what they have instead of by name.

use capstan_model::catalogue::{self, Architecture, InstanceType, Manufacturer};
use capstan_shapes::autoscaling::{
    self as shapes, BareMetal, BurstablePerformance, CpuManufacturer, LocalStorage,
};

use super::scaling::millionths;

/// Types that cost more than the cheapest one by this are left out, when the request does not say otherwise
/// (model, OnDemandMaxPricePercentageOverLowestPrice).
const PRICE_OVER_LOWEST_PERCENT: i64 = 20;

/// The types of the catalogue that meet the requirements, in the order of their names.
pub(super) fn types(
    requirements: &shapes::InstanceRequirements,
    region: &str,
    architecture: Option<Architecture>,
) -> Vec<&'static InstanceType> {
    let runs = |each: &InstanceType| architecture.is_none_or(|image| each.architectures.contains(&image));
    let fitting: Vec<_> =
        catalogue::all().iter().filter(|each| runs(each) && fits(requirements, each)).collect();
    let price = |each: &InstanceType| each.on_demand_price(region).map(|price| price.0);
    let lowest = fitting.iter().filter_map(|each| price(each)).min();
    let over = requirements
        .on_demand_max_price_percentage_over_lowest_price
        .map_or(PRICE_OVER_LOWEST_PERCENT, i64::from);
    fitting
        .into_iter()
        .filter(|each| match (price(each), lowest) {
            (Some(price), Some(lowest)) => price * 100 <= lowest * (100 + over),
            _ => false,
        })
        .collect()
}

fn fits(requirements: &shapes::InstanceRequirements, each: &InstanceType) -> bool {
    let within = |value: u32, min: Option<i32>, max: Option<i32>| {
        let value = i64::from(value);
        min.is_none_or(|min| value >= i64::from(min)) && max.is_none_or(|max| value <= i64::from(max))
    };
    let cpus = &requirements.v_cpu_count;
    let memory = &requirements.memory_mib;
    let named = match (&requirements.allowed_instance_types, &requirements.excluded_instance_types) {
        (Some(allowed), _) => allowed.iter().any(|pattern| matches(pattern, &each.name)),
        (None, Some(excluded)) => !excluded.iter().any(|pattern| matches(pattern, &each.name)),
        (None, None) => true,
    };
    let manufacturer = match each.manufacturer {
        Manufacturer::Amd => CpuManufacturer::Amd,
        Manufacturer::Aws => CpuManufacturer::AmazonWebServices,
        Manufacturer::Intel => CpuManufacturer::Intel,
    };
    let generation = if each.current_generation {
        shapes::InstanceGeneration::Current
    } else {
        shapes::InstanceGeneration::Previous
    };
    let interfaces = requirements.network_interface_count.as_ref();
    let accelerators = requirements.accelerator_count.as_ref();
    let storage = requirements.total_local_storage_gb.as_ref();
    named
        && within(each.vcpus, Some(cpus.min), cpus.max)
        && within(each.memory_mib, Some(memory.min), memory.max)
        && requirements.cpu_manufacturers.as_ref().is_none_or(|list| list.contains(&manufacturer))
        && requirements.instance_generations.as_ref().is_none_or(|list| list.contains(&generation))
        && match requirements.bare_metal.unwrap_or(BareMetal::Excluded) {
            BareMetal::Excluded => !each.bare_metal,
            BareMetal::Included => true,
            BareMetal::Required => each.bare_metal,
        }
        && match requirements.burstable_performance.unwrap_or(BurstablePerformance::Excluded) {
            BurstablePerformance::Excluded => !each.burstable,
            BurstablePerformance::Included => true,
            BurstablePerformance::Required => each.burstable,
        }
        && match requirements.local_storage.unwrap_or(LocalStorage::Included) {
            LocalStorage::Excluded => each.local_storage_gb == 0,
            LocalStorage::Included => true,
            LocalStorage::Required => each.local_storage_gb > 0,
        }
        && interfaces.is_none_or(|count| within(each.max_enis, count.min, count.max))
        // Types with accelerators are only taken when accelerators are asked for (model, AcceleratorCount).
        && match accelerators {
            Some(count) => within(each.gpus, count.min, count.max),
            None => each.gpus == 0,
        }
        && per_vcpu(requirements.memory_gib_per_v_cpu.as_ref(), each)
        && storage.is_none_or(|gb| {
            between(i64::from(each.local_storage_gb) * 1_000_000, gb.min, gb.max)
        })
}

fn per_vcpu(range: Option<&shapes::MemoryGiBPerVCpuRequest>, each: &InstanceType) -> bool {
    let gib = i64::from(each.memory_mib) * 1_000_000 / 1024 / i64::from(each.vcpus.max(1));
    range.is_none_or(|range| between(gib, range.min, range.max))
}

/// Whether a value in millionths lies in a published range of floats.
fn between(value: i64, min: Option<f64>, max: Option<f64>) -> bool {
    min.is_none_or(|min| value >= millionths(min)) && max.is_none_or(|max| value <= millionths(max))
}

/// Whether a name fits a pattern with `*` for any text: `m5*`, `*3*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).any(|from| tail.get(from..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_documented() {
        let check = |pattern: &str, name: &str, expect: bool| {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        };
        check("m5*", "m5.large", true);
        check("m5*", "m5d.large", true);
        check("m5.*", "m5d.large", false);
        check("r*", "r5.large", true);
        check("*3*", "t3.small", true);
        check("*3*", "m5.large", false);
        check("m5.large", "m5.large", true);
        check("m5.large", "m5.xlarge", false);
    }

    #[test]
    fn requirements_pick_types_near_the_cheapest() {
        let requirements = shapes::InstanceRequirements {
            v_cpu_count: shapes::VCpuCountRequest { min: 2, max: Some(2) },
            memory_mib: shapes::MemoryMiBRequest { min: 8192, max: Some(8192) },
            ..Default::default()
        };
        let found = types(&requirements, "us-east-1", Some(Architecture::X86_64));
        assert!(found.iter().any(|each| each.name == "m5.large"));
        assert!(found.iter().all(|each| !each.burstable && !each.bare_metal && each.gpus == 0));
        let excluded = shapes::InstanceRequirements {
            excluded_instance_types: Some(vec!["m5.*".to_owned()]),
            ..requirements
        };
        assert!(types(&excluded, "us-east-1", None).iter().all(|each| each.family != "m5"));
    }
}
