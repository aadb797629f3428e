//! Zones and subnets of a group.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::catalogue;
use capstan_shapes::Refusal;

use super::rows::{Group, Name, Zone};
use super::{invalid, template};
use crate::Engine;

/// Where a group launches. Subnets give their zones; without subnets the zones' default subnets are used.
pub(super) fn read(
    engine: &Engine,
    subnets: Option<&str>,
    names: Option<&[String]>,
    ids: Option<&[String]>,
) -> Result<Vec<Zone>, Refusal> {
    let region = engine.config.region;
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for name in names.unwrap_or_default() {
        let zone = region.zones.iter().find(|zone| zone.name == name);
        listed.insert(zone.ok_or_else(|| no_zone(name))?.name);
    }
    for id in ids.unwrap_or_default() {
        let zone = region.zones.iter().find(|zone| zone.id == id);
        listed.insert(zone.ok_or_else(|| no_zone(id))?.name);
    }
    let mut zones: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for id in subnets.unwrap_or_default().split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let subnet = engine.ec2.subnets().get(&id.to_owned());
        let subnet = subnet.ok_or_else(|| invalid(format!("The subnet ID '{id}' does not exist")))?;
        if !listed.is_empty() && !listed.contains(subnet.zone.name) {
            return Err(invalid(
                "The availability zones of the specified subnets and the Auto Scaling group do not match",
            ));
        }
        let of_zone = zones.entry(subnet.zone.name).or_default();
        if !of_zone.iter().any(|each| each == id) {
            of_zone.push(id.to_owned());
        }
    }
    if zones.is_empty() {
        zones.extend(listed.into_iter().map(|name| (name, Vec::new())));
    }
    if zones.is_empty() {
        return Err(invalid("At least one Availability Zone or VPC Subnet is required."));
    }
    Ok(zones.into_iter().map(|(name, subnets)| Zone { name: name.into(), subnets }).collect())
}

fn no_zone(name: &str) -> Refusal {
    invalid(format!(
        "The availability zone '{name}' does not exist in this region. Please retry the request with a valid zone"
    ))
}

/// The zone's id, `use1-az4`.
pub(super) fn id(name: &str) -> Option<String> {
    capstan_model::zone(name).map(|(_, zone)| zone.id.to_owned())
}

/// The group's zones that offer at least one of its types; only they can be balanced.
pub(super) fn usable(cx: &Engine, group: &Group) -> BTreeSet<Name> {
    let types = template::types(cx, group);
    let offered = |zone: &Zone| {
        types.is_empty()
            || types
                .iter()
                .any(|name| catalogue::instance_type(name).is_none_or(|kind| kind.offered_in(&zone.name)))
    };
    group.zones.iter().filter(|zone| offered(zone)).map(|zone| zone.name.clone()).collect()
}
