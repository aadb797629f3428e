//! InstanceRequirements: instance types by what they have instead of by name (EC2 guide, ec2-fleet-attribute-based-instance-
//! type-selection). Auto Scaling, EC2 Fleet and placement scores pick by them.

use capstan_market::Pool;
use capstan_model::MicroDollars;
use capstan_model::catalogue::{self, Architecture, InstanceType, Manufacturer};
use capstan_shapes::ec2::{
    self as shapes, BareMetal, BurstablePerformance, CpuManufacturer, INSTANCE_REQUIREMENTS_REQUEST,
    LocalStorage,
};
use capstan_shapes::{Schema, Shape};

use crate::Engine;
use crate::kernel::millionths;
use crate::kernel::recast;

/// On-Demand types that cost more than the cheapest one by this are left out, when the request does not say otherwise
/// (model, OnDemandMaxPricePercentageOverLowestPrice).
const PRICE_OVER_LOWEST_PERCENT: i64 = 20;

/// The same for Spot (ASG guide 2023; nowadays AWS chooses).
const SPOT_PRICE_OVER_LOWEST_PERCENT: i64 = 100;

/// A type that meets the requirements, and the purchase options in which its price lets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub(crate) kind: &'static InstanceType,
    pub(crate) on_demand: bool,
    pub(crate) spot: bool,
}

/// The same requirements out of another service's shape.
pub(crate) fn of<S: Shape>(given: S, schema: &'static Schema) -> shapes::InstanceRequirementsRequest {
    recast(given, schema, &INSTANCE_REQUIREMENTS_REQUEST)
}

/// The types of the catalogue that meet the requirements, in the order of their names. Prices are those of now; of Spot, a
/// type's cheapest in the region.
pub(crate) fn matching(
    cx: &Engine,
    requirements: &shapes::InstanceRequirementsRequest,
    architecture: Option<Architecture>,
) -> Vec<Fit> {
    let region = cx.config.region;
    let runs = |each: &InstanceType| architecture.is_none_or(|image| each.architectures.contains(&image));
    let on_demand = |each: &InstanceType| each.on_demand_price(region.name);
    let spot = |instance_type: &'static InstanceType| -> Option<MicroDollars> {
        let pools = region.zones.iter().map(|zone| Pool { instance_type, zone });
        pools.filter_map(|pool| cx.config.market.price(pool, cx.now)).min()
    };
    let found: Vec<_> = catalogue::all()
        .iter()
        .filter(|each| runs(each) && fits(requirements, each))
        .map(|each| (each, on_demand(each), spot(each)))
        .collect();
    let lowest = |prices: &mut dyn Iterator<Item = Option<MicroDollars>>| prices.flatten().min();
    let lowest_on_demand = lowest(&mut found.iter().map(|(_, price, _)| *price));
    let lowest_spot = lowest(&mut found.iter().map(|(_, _, price)| *price));
    let over = |percent: Option<i32>, default: i64| 100 + percent.map_or(default, i64::from);
    let on_demand_percent =
        over(requirements.on_demand_max_price_percentage_over_lowest_price, PRICE_OVER_LOWEST_PERCENT);
    let (spot_base, spot_percent) = match requirements.max_spot_price_as_percentage_of_optimal_on_demand_price
    {
        Some(percent) => (lowest_on_demand, i64::from(percent)),
        None => {
            let percent = requirements.spot_max_price_percentage_over_lowest_price;
            (lowest_spot, over(percent, SPOT_PRICE_OVER_LOWEST_PERCENT))
        }
    };
    let within = |price: Option<MicroDollars>, base: Option<MicroDollars>, percent: i64| matches!((price, base), (Some(price), Some(base)) if price.0 * 100 <= base.0.saturating_mul(percent));
    let fit = |(kind, on_demand, spot)| Fit {
        kind,
        on_demand: within(on_demand, lowest_on_demand, on_demand_percent),
        spot: within(spot, spot_base, spot_percent),
    };
    found.into_iter().map(fit).filter(|fit| fit.on_demand || fit.spot).collect()
}

fn fits(requirements: &shapes::InstanceRequirementsRequest, each: &InstanceType) -> bool {
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
        let cx = Engine::new(crate::Config::new(1), capstan_model::Time::ZERO);
        let requirements = shapes::InstanceRequirementsRequest {
            v_cpu_count: shapes::VCpuCountRangeRequest { min: 2, max: Some(2) },
            memory_mib: shapes::MemoryMiBRequest { min: 8192, max: Some(8192) },
            ..Default::default()
        };
        let found = matching(&cx, &requirements, Some(Architecture::X86_64));
        let m5 = found.iter().find(|fit| fit.kind.name == "m5.large").unwrap();
        assert!(m5.on_demand && m5.spot);
        let plain = |kind: &InstanceType| !kind.burstable && !kind.bare_metal && kind.gpus == 0;
        assert!(found.iter().all(|fit| plain(fit.kind)));
        let excluded = shapes::InstanceRequirementsRequest {
            excluded_instance_types: Some(vec!["m5.*".to_owned()]),
            ..requirements.clone()
        };
        assert!(matching(&cx, &excluded, None).iter().all(|fit| fit.kind.family != "m5"));
        // Spot's own price protection: over the cheapest Spot price, or as a share of the On-Demand price.
        let spot = |over: Option<i32>, share: Option<i32>| {
            let limited = shapes::InstanceRequirementsRequest {
                spot_max_price_percentage_over_lowest_price: over,
                max_spot_price_as_percentage_of_optimal_on_demand_price: share,
                ..requirements.clone()
            };
            matching(&cx, &limited, None).iter().filter(|fit| fit.spot).count()
        };
        assert_eq!(spot(None, Some(1)), 0);
        let widening = [spot(Some(0), None), spot(Some(20), None), spot(None, None)];
        assert!(widening.is_sorted() && 0 < widening[0] && widening[0] < widening[2], "{widening:?}");
        assert_eq!(widening[2], spot(Some(100), None));
    }
}
