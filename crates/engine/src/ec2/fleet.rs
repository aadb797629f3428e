//! CreateFleet of type `instant`: one attempt at a capacity, over pools that a strategy chooses (EC2 guide, ec2-fleet and
//! ec2-fleet-allocation-strategy). Fleets that are kept up (`maintain`, `request`) are refused by name.

use std::collections::BTreeSet;

use capstan_market::Pool;
use capstan_model::{AvailabilityZone, MicroDollars, Time, catalogue};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self as shapes, CreateFleetError, CreateFleetInstance, CreateFleetRequest, CreateFleetResponse,
    DefaultTargetCapacityType as Purchase, FLEET_LAUNCH_TEMPLATE_OVERRIDES,
    FLEET_LAUNCH_TEMPLATE_OVERRIDES_REQUEST, FLEET_LAUNCH_TEMPLATE_SPECIFICATION,
    FLEET_LAUNCH_TEMPLATE_SPECIFICATION_REQUEST, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetOnDemandAllocationStrategy as OnDemandStrategy, FleetType,
    InstanceLifecycle, RunInstancesRequest, SpotAllocationStrategy as SpotStrategy,
    TargetCapacityUnitType as Unit,
};

use super::spot::{Offer, Preference, Quotes, order};
use super::{digest, dry_run, image, invalid, launch_template, missing, requirements};
use crate::kernel::recast;
use crate::kernel::{NoIndex, Row, millionths};
use crate::{Caller, Engine};

/// Places to launch in that one request may come to.
const POOLS_MAX: usize = 5_000;
/// What the console and the API allow a fleet (EC2 quotas, fleets: 10,000 units).
const TARGET_MAX: i32 = 10_000;
/// Weights and capacity are counted in millionths: weights may have fractions.
const UNIT: i64 = 1_000_000;

/// An instant fleet, kept for the client token's sake.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// `fleet-…`
    pub id: String,
    pub created_at: Time,
    pub client_token: String,
    /// Tells another request with the same token from a repetition.
    pub request_digest: u64,
    pub answer: Box<CreateFleetResponse>,
}

impl Row for Fleet {
    /// The client token.
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.fleets";

    fn key(&self) -> String {
        self.client_token.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
}

/// One way to launch: an override of a template, with one type in one zone.
struct Way {
    template: FleetLaunchTemplateSpecificationRequest,
    given: FleetLaunchTemplateOverridesRequest,
    pool: Pool,
    subnet: Option<String>,
    image: Option<String>,
    /// In millionths of a unit.
    weight: i64,
    /// Place in the order of priorities.
    rank: usize,
    /// On-Demand, Spot: what the price protection of InstanceRequirements lets.
    affordable: [bool; 2],
    max_price: Option<MicroDollars>,
}

/// How a purchase option is filled.
struct Terms {
    spot: bool,
    preference: Preference,
    /// Over so many of the best pools.
    spread: usize,
    single_type: bool,
    single_zone: bool,
    min_target: Option<i32>,
    max_total_price: Option<MicroDollars>,
}

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: CreateFleetRequest,
) -> Result<CreateFleetResponse, Refusal> {
    let request_digest = digest(format!("{request:?}").bytes());
    let token = request.client_token.clone().filter(|token| !token.is_empty());
    if let Some(known) = token.as_ref().and_then(|token| cx.ec2.fleets.get(token)) {
        if known.request_digest == request_digest {
            return Ok((*known.answer).clone());
        }
        return Err(Refusal::new(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        ));
    }
    match request.r#type {
        Some(FleetType::Instant) => {}
        other => {
            let name = other.map_or("maintain", |kind| kind.as_str());
            return Err(Refusal::new(
                "UnsupportedOperation",
                format!(
                    "Fleets of type '{name}' are not available here; use type 'instant', or an Auto Scaling group."
                ),
            ));
        }
    }
    let [on_demand, spot] = targets(&request.target_capacity_specification)?;
    let ways = ways(cx, &request)?;
    let spot_terms = spot_terms(request.spot_options.as_ref())?;
    let on_demand_terms = on_demand_terms(request.on_demand_options.as_ref())?;
    dry_run(request.dry_run)?;
    let id = format!("fleet-{}", cx.chance.uuid("ec2.fleet-id"));
    let mut launch = Launch {
        id: &id,
        behavior: request.spot_options.as_ref().and_then(|options| options.instance_interruption_behavior),
        tags: tags(&request),
        instances: Vec::new(),
        errors: Vec::new(),
    };
    // On-Demand first (EC2 guide, how EC2 Fleet works).
    launch.fill(cx, &ways, on_demand, &on_demand_terms);
    launch.fill(cx, &ways, spot, &spot_terms);
    let answer = CreateFleetResponse {
        errors: Some(std::mem::take(&mut launch.errors)),
        instances: Some(std::mem::take(&mut launch.instances)),
        fleet_id: Some(id.clone()),
    };
    if let Some(client_token) = token {
        let answer = Box::new(answer.clone());
        cx.ec2.fleets.insert(Fleet { id, created_at: cx.now, client_token, request_digest, answer });
    }
    Ok(answer)
}

/// On-Demand and Spot units to launch, in millionths.
fn targets(given: &shapes::TargetCapacitySpecificationRequest) -> Result<[i64; 2], Refusal> {
    let total = given.total_target_capacity;
    let (on_demand, spot) =
        (given.on_demand_target_capacity.unwrap_or(0), given.spot_target_capacity.unwrap_or(0));
    if !(1..=TARGET_MAX).contains(&total) || on_demand < 0 || spot < 0 {
        return Err(invalid(format!(
            "TotalTargetCapacity must be from 1 to {TARGET_MAX}, its parts not negative."
        )));
    }
    let rest = total - on_demand - spot;
    if rest < 0 {
        return Err(invalid("OnDemandTargetCapacity and SpotTargetCapacity exceed TotalTargetCapacity."));
    }
    let rest = match given.default_target_capacity_type.unwrap_or(Purchase::OnDemand) {
        Purchase::OnDemand => [rest, 0],
        Purchase::Spot => [0, rest],
        other => {
            return Err(Refusal::new(
                "Unsupported",
                format!("DefaultTargetCapacityType '{other}' is not available."),
            ));
        }
    };
    Ok([i64::from(on_demand + rest[0]) * UNIT, i64::from(spot + rest[1]) * UNIT])
}

fn dollars(name: &str, text: Option<&str>) -> Result<Option<MicroDollars>, Refusal> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| {
        MicroDollars::parse(text).ok_or_else(|| invalid(format!("Invalid value '{text}' for {name}.")))
    })
    .transpose()
}

fn spot_terms(given: Option<&shapes::SpotOptionsRequest>) -> Result<Terms, Refusal> {
    let none = shapes::SpotOptionsRequest::default();
    let given = given.unwrap_or(&none);
    let strategy = given.allocation_strategy.unwrap_or(SpotStrategy::LowestPrice);
    let pools = given.instance_pools_to_use_count;
    if let Some(pools) = pools
        && (strategy != SpotStrategy::LowestPrice || pools < 1)
    {
        return Err(invalid(
            "InstancePoolsToUseCount must be at least 1, and is only valid with the lowest-price strategy.",
        ));
    }
    let (preference, spread) = match strategy {
        SpotStrategy::LowestPrice => {
            (Preference::LowestPrice, usize::try_from(pools.unwrap_or(1)).unwrap_or(1))
        }
        SpotStrategy::Diversified => (Preference::LowestPrice, usize::MAX),
        SpotStrategy::CapacityOptimized => (Preference::Capacity, 1),
        SpotStrategy::CapacityOptimizedPrioritized => (Preference::CapacityPrioritized, 1),
        SpotStrategy::PriceCapacityOptimized => (Preference::PriceAndCapacity, 1),
    };
    Ok(Terms {
        spot: true,
        preference,
        spread,
        single_type: given.single_instance_type == Some(true),
        single_zone: given.single_availability_zone == Some(true),
        min_target: given.min_target_capacity,
        max_total_price: dollars("MaxTotalPrice", given.max_total_price.as_deref())?,
    })
}

fn on_demand_terms(given: Option<&shapes::OnDemandOptionsRequest>) -> Result<Terms, Refusal> {
    let none = shapes::OnDemandOptionsRequest::default();
    let given = given.unwrap_or(&none);
    Ok(Terms {
        spot: false,
        preference: match given.allocation_strategy.unwrap_or(OnDemandStrategy::LowestPrice) {
            OnDemandStrategy::LowestPrice => Preference::LowestPrice,
            OnDemandStrategy::Prioritized => Preference::Priority,
        },
        spread: 1,
        single_type: given.single_instance_type == Some(true),
        single_zone: given.single_availability_zone == Some(true),
        min_target: given.min_target_capacity,
        max_total_price: dollars("MaxTotalPrice", given.max_total_price.as_deref())?,
    })
}

fn tags(request: &CreateFleetRequest) -> Vec<shapes::Tag> {
    let of_instances = request
        .tag_specifications
        .iter()
        .flatten()
        .filter(|specification| specification.resource_type.as_deref() == Some("instance"));
    of_instances.flat_map(|specification| specification.tags.iter().flatten().cloned()).collect()
}

/// Every way to launch that the request allows, each as a type in a zone.
fn ways(cx: &Engine, request: &CreateFleetRequest) -> Result<Vec<Way>, Refusal> {
    if request.launch_template_configs.is_empty() {
        return Err(missing("LaunchTemplateConfigs"));
    }
    let unit = request.target_capacity_specification.target_capacity_unit_type.unwrap_or(Unit::Units);
    let mut found: Vec<Way> = Vec::new();
    for config in &request.launch_template_configs {
        let template = config
            .launch_template_specification
            .as_ref()
            .ok_or_else(|| missing("LaunchTemplateSpecification"))?;
        let named = launch_template::find(
            &cx.ec2,
            template.launch_template_id.as_deref(),
            template.launch_template_name.as_deref(),
        )?;
        let version = launch_template::version(&cx.ec2, named, template.version.as_deref())?;
        let none = vec![FleetLaunchTemplateOverridesRequest::default()];
        let overrides = config.overrides.as_ref().filter(|list| !list.is_empty()).unwrap_or(&none);
        for given in overrides {
            let image_id = given.image_id.clone().filter(|id| !id.is_empty());
            let own_image = image_id.as_ref().or(version.data.image_id.as_ref());
            let architecture =
                own_image.and_then(|id| image::find(cx, id).ok()).map(|(_, release)| release.architecture);
            let types: Vec<(String, [bool; 2])> = match (&given.instance_requirements, &given.instance_type) {
                (Some(_), Some(_)) => {
                    return Err(Refusal::new(
                        "InvalidParameterCombination",
                        "InstanceType and InstanceRequirements may not be given together in an override.",
                    ));
                }
                (Some(asked), None) => requirements::matching(cx, asked, architecture)
                    .into_iter()
                    .map(|fit| (fit.kind.name.clone(), [fit.on_demand, fit.spot]))
                    .collect(),
                (None, given) => {
                    let name = given.clone().or_else(|| version.data.instance_type.clone());
                    vec![(name.ok_or_else(|| missing("InstanceType"))?, [true; 2])]
                }
            };
            let (zones, subnet) = places(cx, given, &version.data)?;
            for (name, affordable) in types {
                let instance_type = catalogue::instance_type(&name)
                    .ok_or_else(|| invalid(format!("Invalid value '{name}' for InstanceType.")))?;
                let weight = match (unit, given.weighted_capacity) {
                    (Unit::Vcpu, _) => i64::from(instance_type.vcpus) * UNIT,
                    (Unit::MemoryMib, _) => i64::from(instance_type.memory_mib) * UNIT,
                    (Unit::Units, weight) => weight.map_or(UNIT, millionths),
                };
                if weight <= 0 {
                    return Err(invalid("WeightedCapacity must be greater than 0."));
                }
                for zone in zones.iter().copied().filter(|zone| instance_type.offered_in(zone.name)) {
                    found.push(Way {
                        template: template.clone(),
                        given: given.clone(),
                        pool: Pool { instance_type, zone },
                        subnet: subnet.clone(),
                        image: image_id.clone(),
                        weight,
                        rank: 0,
                        affordable,
                        max_price: dollars("MaxPrice", given.max_price.as_deref())?,
                    });
                }
            }
        }
    }
    if found.len() > POOLS_MAX {
        return Err(invalid(format!(
            "The request comes to {} pools; at most {POOLS_MAX} are possible.",
            found.len()
        )));
    }
    // The lowest number is the highest priority; without one a pool comes last (model, Priority).
    let mut by_priority: Vec<usize> = (0..found.len()).collect();
    by_priority.sort_by_key(|at| (found[*at].given.priority.map_or(i64::MAX, millionths), *at));
    for (rank, at) in by_priority.into_iter().enumerate() {
        found[at].rank = rank;
    }
    Ok(found)
}

/// Where an override may launch: its subnet, its zone, the template's subnet, or any zone's default subnet.
fn places(
    cx: &Engine,
    given: &FleetLaunchTemplateOverridesRequest,
    template: &shapes::ResponseLaunchTemplateData,
) -> Result<(Vec<&'static AvailabilityZone>, Option<String>), Refusal> {
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let of_template = template.network_interfaces.iter().flatten().find_map(|each| set(&each.subnet_id));
    let placement = given.placement.as_ref();
    let zone = set(&given.availability_zone)
        .or_else(|| set(&given.availability_zone_id))
        .or_else(|| placement.and_then(|placement| set(&placement.availability_zone)))
        .or_else(|| placement.and_then(|placement| set(&placement.availability_zone_id)));
    let subnet = set(&given.subnet_id).or_else(|| of_template.filter(|_| zone.is_none()));
    if let Some(id) = subnet {
        let found = cx.ec2.network.subnet(&id)?;
        return Ok((vec![found.zone], Some(id)));
    }
    let zones = cx.config.region.zones.iter();
    let Some(zone) = zone else { return Ok((zones.collect(), None)) };
    let found: Vec<_> = zones.filter(|each| each.name == zone || each.id == zone).collect();
    if found.is_empty() {
        return Err(invalid(format!("Invalid availability zone: [{zone}]")));
    }
    Ok((found, None))
}

/// A fleet being launched.
struct Launch<'a> {
    id: &'a str,
    behavior: Option<shapes::SpotInstanceInterruptionBehavior>,
    tags: Vec<shapes::Tag>,
    instances: Vec<CreateFleetInstance>,
    errors: Vec<CreateFleetError>,
}

impl Launch<'_> {
    /// Launches up to the target, pool by pool; what cannot be had is told as errors.
    fn fill(&mut self, cx: &mut Engine, ways: &[Way], target: i64, terms: &Terms) {
        if target == 0 {
            return;
        }
        let quotes = Quotes::new(cx);
        let region = cx.config.region.name;
        let price = |way: &Way| {
            if terms.spot { quotes.price(way.pool) } else { way.pool.instance_type.on_demand_price(region) }
        };
        let mut open: Vec<usize> = (0..ways.len())
            .filter(|at| ways[*at].affordable[usize::from(terms.spot)] && price(&ways[*at]).is_some())
            .collect();
        let offer = |at: &usize| Offer {
            price: price(&ways[*at]),
            weight: ways[*at].weight,
            spare: if terms.spot { quotes.spare(ways[*at].pool) } else { None },
            rank: ways[*at].rank,
            name: &ways[*at].pool.instance_type.name,
        };
        let offers: Vec<Offer<'_>> = open.iter().map(offer).collect();
        open = order(terms.preference, &offers).into_iter().map(|at| open[at]).collect();
        if let Some(&best) = open.first() {
            let best = ways[best].pool;
            open.retain(|at| {
                let pool = ways[*at].pool;
                (!terms.single_type || pool.instance_type == best.instance_type)
                    && (!terms.single_zone || pool.zone == best.zone)
            });
        }
        if let Some(least) = terms.min_target {
            let units = open.iter().fold(0_i64, |sum, at| {
                let spare = offer(at)
                    .spare
                    .map_or(i64::MAX, |spare| i64::from(spare).saturating_mul(ways[*at].weight));
                sum.saturating_add(spare)
            });
            if units < i64::from(least) * UNIT {
                let message = "There is no capacity available that matches your request.";
                let refusal = Refusal::new("UnfulfillableCapacity", message);
                return self.fail(open.first().map_or(&ways[0], |at| &ways[*at]), terms.spot, &refusal);
            }
        }
        let mut budget = terms.max_total_price.map_or(i64::MAX, |price| price.0);
        let mut left = target;
        while left > 0 && !open.is_empty() {
            let among: Vec<usize> = open.iter().copied().take(terms.spread).collect();
            let mut closed = BTreeSet::new();
            let mut pools = i64::try_from(among.len()).unwrap_or(i64::MAX);
            for at in among {
                let way = &ways[at];
                // An even share of what is left, rounded up to whole instances.
                let share = left / pools + i64::from(left % pools > 0);
                pools -= 1;
                let wanted = share / way.weight + i64::from(share % way.weight > 0);
                let each = price(way).map_or(0, |price| price.0.max(1));
                let count = wanted.min(budget / each.max(1));
                let came = if count > 0 { self.run(cx, way, count, terms.spot) } else { 0 };
                left -= came * way.weight;
                budget -= came * each;
                if came < wanted {
                    closed.insert(at);
                }
                if left <= 0 {
                    break;
                }
            }
            open.retain(|at| !closed.contains(at));
        }
    }

    /// Launches in one pool; how many came.
    fn run(&mut self, cx: &mut Engine, way: &Way, count: i64, spot: bool) -> i64 {
        let behavior =
            self.behavior.and_then(|behavior| shapes::InstanceInterruptionBehavior::parse(behavior.as_str()));
        let kind = match behavior {
            None | Some(shapes::InstanceInterruptionBehavior::Terminate) => shapes::SpotInstanceType::OneTime,
            Some(_) => shapes::SpotInstanceType::Persistent,
        };
        let market = spot.then(|| shapes::InstanceMarketOptionsRequest {
            market_type: Some(shapes::MarketType::Spot),
            spot_options: Some(shapes::SpotMarketOptions {
                max_price: way.max_price.map(MicroDollars::decimal),
                spot_instance_type: Some(kind),
                instance_interruption_behavior: behavior,
                ..Default::default()
            }),
        });
        let mut tags = self.tags.clone();
        tags.push(shapes::Tag { key: Some("aws:ec2:fleet-id".into()), value: Some(self.id.to_owned()) });
        let request = RunInstancesRequest {
            launch_template: Some(shapes::LaunchTemplateSpecification {
                launch_template_id: way.template.launch_template_id.clone(),
                launch_template_name: way.template.launch_template_name.clone(),
                version: way.template.version.clone(),
            }),
            min_count: 1,
            max_count: i32::try_from(count).unwrap_or(i32::MAX),
            instance_type: Some(way.pool.instance_type.name.clone()),
            image_id: way.image.clone(),
            subnet_id: way.subnet.clone(),
            placement: way.subnet.is_none().then(|| shapes::Placement {
                availability_zone: Some(way.pool.zone.name.into()),
                ..Default::default()
            }),
            instance_market_options: market,
            tag_specifications: Some(vec![shapes::TagSpecification {
                resource_type: Some("instance".into()),
                tags: Some(tags),
            }]),
            ..Default::default()
        };
        match cx.call(Caller::EC2_FLEET, request) {
            Ok(answer) => {
                let ids: Vec<String> =
                    answer.instances.into_iter().flatten().filter_map(|each| each.instance_id).collect();
                let came = i64::try_from(ids.len()).unwrap_or(count);
                self.instances.push(CreateFleetInstance {
                    launch_template_and_overrides: Some(told(way)),
                    lifecycle: Some(lifecycle(spot)),
                    instance_ids: Some(ids),
                    instance_type: Some(way.pool.instance_type.name.clone()),
                    platform: None,
                });
                came
            }
            Err(refusal) => {
                self.fail(way, spot, &refusal);
                0
            }
        }
    }

    fn fail(&mut self, way: &Way, spot: bool, refusal: &Refusal) {
        self.errors.push(CreateFleetError {
            launch_template_and_overrides: Some(told(way)),
            lifecycle: Some(lifecycle(spot)),
            error_code: Some(refusal.code.to_string()),
            error_message: Some(refusal.message.clone()),
        });
    }
}

fn lifecycle(spot: bool) -> InstanceLifecycle {
    if spot { InstanceLifecycle::Spot } else { InstanceLifecycle::OnDemand }
}

fn told(way: &Way) -> shapes::LaunchTemplateAndOverridesResponse {
    let (from, to) = (&FLEET_LAUNCH_TEMPLATE_OVERRIDES_REQUEST, &FLEET_LAUNCH_TEMPLATE_OVERRIDES);
    let mut overrides: shapes::FleetLaunchTemplateOverrides = recast(way.given.clone(), from, to);
    overrides.instance_type = Some(way.pool.instance_type.name.clone());
    overrides.availability_zone = Some(way.pool.zone.name.into());
    let (from, to) = (&FLEET_LAUNCH_TEMPLATE_SPECIFICATION_REQUEST, &FLEET_LAUNCH_TEMPLATE_SPECIFICATION);
    shapes::LaunchTemplateAndOverridesResponse {
        launch_template_specification: Some(recast(way.template.clone(), from, to)),
        overrides: Some(overrides),
    }
}
