//! Regions and Availability Zones.

use capstan_model::REGIONS;
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self, AvailabilityZoneOptInStatus, AvailabilityZoneState, DescribeAvailabilityZonesRequest,
    DescribeAvailabilityZonesResponse, DescribeRegionsRequest, DescribeRegionsResponse,
};

use crate::{Caller, Engine};

use super::filter::Filters;
use super::{Tags, dry_run, invalid};

pub(super) fn describe_availability_zones(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeAvailabilityZonesRequest,
) -> Result<DescribeAvailabilityZonesResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), ZONE_FILTERS)?;
    let region = cx.config.region;
    let group = format!("{}-zg-1", region.name);
    let (names, ids) = (request.zone_names.unwrap_or_default(), request.zone_ids.unwrap_or_default());
    let unknown = |texts: &[String], known: fn(&capstan_model::AvailabilityZone) -> &str| {
        let here = |text: &str| region.zones.iter().any(|zone| known(zone) == text);
        match texts.iter().find(|text| !here(text)) {
            Some(text) => Err(invalid(format!("Invalid availability zone: [{text}]"))),
            None => Ok(()),
        }
    };
    unknown(&names, |zone| zone.name)?;
    unknown(&ids, |zone| zone.id)?;
    let fitting = region.zones.iter().filter(|zone| {
        (names.is_empty() || names.iter().any(|name| name == zone.name))
            && (ids.is_empty() || ids.iter().any(|id| id == zone.id))
            && filters.fit(&Tags::new(), |name, put| match name {
                "group-name" => put(&group),
                "network-border-group" | "region-name" => put(region.name),
                "opt-in-status" => put("opt-in-not-required"),
                "state" => put("available"),
                "zone-id" => put(zone.id),
                "zone-name" => put(zone.name),
                "zone-type" => put("availability-zone"),
                _ => {}
            })
    });
    let described = |zone: &capstan_model::AvailabilityZone| ec2::AvailabilityZone {
        opt_in_status: Some(AvailabilityZoneOptInStatus::OptInNotRequired),
        messages: Some(Vec::new()),
        region_name: Some(region.name.into()),
        zone_name: Some(zone.name.into()),
        zone_id: Some(zone.id.into()),
        group_name: Some(group.clone()),
        network_border_group: Some(region.name.into()),
        zone_type: Some("availability-zone".into()),
        state: Some(AvailabilityZoneState::Available),
        ..Default::default()
    };
    Ok(DescribeAvailabilityZonesResponse { availability_zones: Some(fitting.map(described).collect()) })
}

const ZONE_FILTERS: &[&str] = &[
    "group-long-name",
    "group-name",
    "message",
    "network-border-group",
    "opt-in-status",
    "parent-zone-id",
    "parent-zone-name",
    "region-name",
    "state",
    "zone-id",
    "zone-name",
    "zone-type",
];

pub(super) fn describe_regions(
    _cx: &mut Engine,
    _caller: &Caller,
    request: DescribeRegionsRequest,
) -> Result<DescribeRegionsResponse, Refusal> {
    dry_run(request.dry_run)?;
    let filters = Filters::new(request.filters.as_ref(), &["endpoint", "opt-in-status", "region-name"])?;
    let names = request.region_names.unwrap_or_default();
    if let Some(name) = names.iter().find(|name| capstan_model::region(name).is_none()) {
        return Err(invalid(format!("Invalid region: [{name}]")));
    }
    let fitting = REGIONS.iter().filter(|region| {
        (names.is_empty() || names.iter().any(|name| name == region.name))
            && filters.fit(&Tags::new(), |name, put| match name {
                "endpoint" => put(&region.ec2_endpoint()),
                "opt-in-status" => put("opt-in-not-required"),
                "region-name" => put(region.name),
                _ => {}
            })
    });
    let described = |region: &capstan_model::Region| ec2::Region {
        opt_in_status: Some("opt-in-not-required".into()),
        region_name: Some(region.name.into()),
        endpoint: Some(region.ec2_endpoint()),
        ..Default::default()
    };
    Ok(DescribeRegionsResponse { regions: Some(fitting.map(described).collect()) })
}
