//! GetSpotPlacementScores (EC2 guide, spot-placement-score): how likely a request for Spot capacity is to succeed, region by
//! region or zone by zone.

use capstan_market::Pool;
use capstan_model::catalogue::{self, Architecture, InstanceType};
use capstan_model::{AvailabilityZone, REGIONS, Region};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    ArchitectureType, GetSpotPlacementScoresRequest, GetSpotPlacementScoresResponse, SpotPlacementScore,
    TargetCapacityUnitType as Unit,
};

use super::Quotes;
use crate::ec2::{dry_run, invalid, page_of, requirements};
use crate::{Caller, Engine};

/// Results of a request that does not say how many (EC2 guide: the top ten).
const RESULTS: i32 = 10;
/// With fewer types than this a score stays low (EC2 guide).
const TYPES_MIN: usize = 3;
const SCORE_OF_FEW_TYPES_MAX: u32 = 3;
const REGIONS_MAX: usize = 10;

pub(in crate::ec2) fn scores(
    cx: &mut Engine,
    _caller: &Caller,
    request: GetSpotPlacementScoresRequest,
) -> Result<GetSpotPlacementScoresResponse, Refusal> {
    let target = u64::try_from(request.target_capacity).ok().filter(|target| *target > 0);
    let Some(target) = target.filter(|target| *target <= 2_000_000_000) else {
        return Err(invalid("TargetCapacity must be from 1 to 2000000000."));
    };
    if let Some(size) = request.max_results
        && !(10..=1000).contains(&size)
    {
        return Err(invalid("MaxResults must be from 10 to 1000."));
    }
    let regions = regions(request.region_names.as_deref().unwrap_or_default())?;
    let types = types(cx, &request)?;
    dry_run(request.dry_run)?;
    let unit = request.target_capacity_unit_type.unwrap_or(Unit::Units);
    let quotes = Quotes::new(cx);
    let mut found: Vec<(u32, &Region, Option<&AvailabilityZone>)> = Vec::new();
    for region in regions {
        let by_zone =
            region.zones.iter().map(|zone| (zone, capacity(&quotes, zone, &types, unit))).collect::<Vec<_>>();
        if request.single_availability_zone == Some(true) {
            let scored =
                by_zone.iter().map(|(zone, units)| (score(*units, target, types.len()), region, Some(*zone)));
            found.extend(scored);
        } else {
            let units = by_zone.iter().try_fold(0_u64, |sum, (_, units)| Some(sum.saturating_add((*units)?)));
            found.push((score(units, target, types.len()), region, None));
        }
    }
    found.sort_by_key(|(score, region, zone)| {
        (std::cmp::Reverse(*score), region.name, zone.map(|zone| zone.id))
    });
    let place = |(score, region, zone): &(u32, &Region, Option<&AvailabilityZone>)| {
        format!("{:02}/{}/{}", 10 - score, region.name, zone.map_or("", |zone| zone.id))
    };
    let size = request.max_results.unwrap_or(RESULTS);
    let page = page_of(found, place, request.next_token.as_deref(), Some(size))?;
    let described = page.items.into_iter().map(|(score, region, zone)| SpotPlacementScore {
        region: Some(region.name.into()),
        availability_zone_id: zone.map(|zone| zone.id.into()),
        score: i32::try_from(score).ok(),
    });
    Ok(GetSpotPlacementScoresResponse {
        spot_placement_scores: Some(described.collect()),
        next_token: page.next,
    })
}

fn regions(names: &[String]) -> Result<Vec<&'static Region>, Refusal> {
    if names.len() > REGIONS_MAX {
        return Err(invalid(format!("At most {REGIONS_MAX} regions may be given.")));
    }
    if names.is_empty() {
        return Ok(REGIONS.iter().collect());
    }
    let known = |name: &String| {
        capstan_model::region(name).ok_or_else(|| invalid(format!("Invalid region: [{name}]")))
    };
    names.iter().map(known).collect()
}

fn types(
    cx: &Engine,
    request: &GetSpotPlacementScoresRequest,
) -> Result<Vec<&'static InstanceType>, Refusal> {
    let named = request.instance_types.as_deref().unwrap_or_default();
    match (&request.instance_requirements_with_metadata, named) {
        (Some(_), [_, ..]) => Err(Refusal::new(
            "InvalidParameterCombination",
            "InstanceTypes and InstanceRequirementsWithMetadata may not be given together.",
        )),
        (None, []) => Err(crate::ec2::missing("InstanceTypes")),
        (None, names) => names
            .iter()
            .map(|name| {
                catalogue::instance_type(name)
                    .ok_or_else(|| invalid(format!("Invalid value '{name}' for InstanceType.")))
            })
            .collect(),
        (Some(given), []) => {
            let asked = given
                .instance_requirements
                .clone()
                .ok_or_else(|| crate::ec2::missing("InstanceRequirements"))?;
            let wanted = given.architecture_types.as_deref().unwrap_or_default();
            let is = |own: &Architecture, wanted: &ArchitectureType| own.as_str() == wanted.as_str();
            let runs = |kind: &InstanceType| {
                wanted.is_empty()
                    || kind.architectures.iter().any(|own| wanted.iter().any(|wanted| is(own, wanted)))
            };
            let found = requirements::matching(cx, &asked, None);
            Ok(found.into_iter().filter(|fit| fit.spot && runs(fit.kind)).map(|fit| fit.kind).collect())
        }
    }
}

/// What the zone's pools can hold besides, in the request's unit; `None`: as much as one likes.
fn capacity(
    quotes: &Quotes,
    zone: &'static AvailabilityZone,
    types: &[&'static InstanceType],
    unit: Unit,
) -> Option<u64> {
    types.iter().try_fold(0_u64, |sum, instance_type| {
        let spare = u64::from(quotes.spare(Pool { instance_type, zone })?);
        let each = match unit {
            Unit::Units => 1,
            Unit::Vcpu => u64::from(instance_type.vcpus),
            Unit::MemoryMib => u64::from(instance_type.memory_mib),
        };
        Some(sum.saturating_add(spare * each))
    })
}

/// 1 to 10. AWS does not publish how it scores; here capacity for sixteen times the target is 10, for just the target 6, and
/// each halving takes one away.
fn score(units: Option<u64>, target: u64, types: usize) -> u32 {
    let score = units.map_or(10, |units| {
        let parts = units.saturating_mul(32) / target;
        (u64::BITS - parts.leading_zeros()).clamp(1, 10)
    });
    if types < TYPES_MIN { score.min(SCORE_OF_FEW_TYPES_MAX) } else { score }
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn scores_halve() {
        let cases = [
            (None, 5, 3, 10),
            (None, 5, 2, 3),
            (Some(0), 5, 3, 1),
            (Some(10), 10, 4, 6),
            (Some(160), 10, 4, 10),
            (Some(5), 10, 4, 5),
            (Some(u64::MAX), 1, 4, 10),
        ];
        for (units, target, types, expect) in cases {
            assert_eq!(score(units, target, types), expect, "{units:?} {target} {types}");
        }
    }
}
