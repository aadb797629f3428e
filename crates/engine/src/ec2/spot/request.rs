//! Spot Instance requests: what is asked for, and what becomes of it (EC2 guide, spot-requests and spot-request-status).

use std::collections::BTreeMap;

use capstan_model::{InstanceId, MicroDollars, Span};
use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    self as shapes, CancelSpotInstanceRequestState, CancelledSpotInstanceRequest,
    InstanceInterruptionBehavior as Behavior, InstanceMarketOptionsRequest, LaunchSpecification, MarketType,
    RIProductDescription, RequestSpotLaunchSpecification, RunInstancesMonitoringEnabled, RunInstancesRequest,
    SpotInstanceState as State, SpotInstanceStateFault, SpotInstanceStatus, SpotInstanceType,
    SpotMarketOptions, SpotPlacement,
};

use super::{Cause, SpotRequest};
use crate::ec2::filter::{Filters, TAGS};
use crate::ec2::{Instance, at_least_five, dry_run, invalid, missing, page_of, run, tag};
use crate::kernel::Event;
use crate::{Caller, Engine};

/// A request's default life (EC2 guide, spot-request-status: seven days).
const VALIDITY: Span = Span::from_hours(7 * 24);
/// How often an open request is looked at (ours; EC2 does not say).
const EVALUATE_EVERY: Span = Span::from_mins(1);
/// From the request to its first evaluation (ours).
const FIRST_EVALUATION: Span = Span::from_secs(1);
/// How long an ended request is described; as long as its instance (ours).
const REMEMBERED: Span = Span::from_hours(1);
/// Instances of one request (EC2 service quotas count vCPUs; this bounds one call).
const COUNT_MAX: i32 = 1000;

/// `sir-` and eight characters.
pub(in crate::ec2) fn request_id(cx: &mut Engine) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bits = cx.chance.u64("ec2.spot-request-id");
    let id = (0..8).map(|n| char::from(ALPHABET[(bits >> (5 * n) & 31) as usize]));
    format!("sir-{}", id.collect::<String>())
}

/// What every status says for people (EC2 guide, spot-request-status; the words are ours).
fn message(status: &str) -> &'static str {
    match status {
        "pending-evaluation" => "Your Spot request has been submitted for review, and is pending evaluation.",
        "fulfilled" => "Your Spot request is fulfilled.",
        "capacity-not-available" => "There is no Spot capacity available that matches your request.",
        "price-too-low" => "Your maximum price is lower than the current Spot price.",
        "bad-parameters" => "Your Spot request could not be fulfilled because of its parameters.",
        "schedule-expired" => "Your Spot request expired before it was fulfilled.",
        "canceled-before-fulfillment" => "Your Spot request was canceled before it was fulfilled.",
        "request-canceled-and-instance-running" => {
            "Your Spot request was canceled; its instance keeps running."
        }
        "instance-terminated-by-user" => "Your Spot Instance was terminated at your request.",
        "instance-terminated-no-capacity" => {
            "Your Spot Instance was terminated because there is no Spot capacity available."
        }
        "instance-terminated-by-price" => {
            "Your Spot Instance was terminated because the Spot price exceeded your maximum price."
        }
        "instance-terminated-by-experiment" => {
            "Your Spot Instance was terminated by an experiment of the Fault Injection Service."
        }
        "instance-stopped-no-capacity" => {
            "Your Spot Instance was stopped because there is no Spot capacity available."
        }
        "instance-stopped-by-price" => {
            "Your Spot Instance was stopped because the Spot price exceeded your maximum price."
        }
        "instance-stopped-by-experiment" => {
            "Your Spot Instance was stopped by an experiment of the Fault Injection Service."
        }
        "instance-stopped-by-user" => "Your Spot Instance was stopped at your request.",
        "marked-for-stop" | "marked-for-stop-by-experiment" => "Your Spot Instance is marked to be stopped.",
        _ => "",
    }
}

fn set(cx: &mut Engine, id: &str, state: State, status: &'static str) {
    let now = cx.now;
    let Some(mut row) = cx.ec2.spot_requests.edit(&id.to_owned()) else { return };
    row.state = state;
    row.status = status;
    row.message = message(status).to_owned();
    row.status_at = now;
    let ended = matches!(state, State::Closed | State::Cancelled | State::Failed);
    if ended && status != "request-canceled-and-instance-running" {
        row.due_at = Some(now + REMEMBERED);
    }
}

/// A launch has brought the instance that was asked for. `specification` is `None` for a request that is known already.
pub(in crate::ec2) fn fulfilled(
    cx: &mut Engine,
    instance: InstanceId,
    kind: SpotInstanceType,
    launch: Option<Box<RunInstancesRequest>>,
) {
    let now = cx.now;
    let Some(row) = cx.ec2.instances.get(&instance) else { return };
    let Some(spot) = row.spot.clone() else { return };
    let (zone, specification) = (row.zone, specification(row));
    if cx.ec2.spot_requests.contains(&spot.request) {
        set(cx, &spot.request, State::Active, "fulfilled");
        let mut known = cx.ec2.spot_requests.edit(&spot.request).expect("the request is known");
        known.instance = Some(instance);
        known.zone = Some(zone);
        known.due_at = None;
        if kind == SpotInstanceType::OneTime {
            known.launch = None;
        }
    } else {
        cx.ec2.spot_requests.insert(SpotRequest {
            id: spot.request.clone(),
            kind,
            state: State::Active,
            status: "fulfilled",
            message: message("fulfilled").to_owned(),
            status_at: now,
            created_at: now,
            valid_until: None,
            instance: Some(instance),
            zone: Some(zone),
            max_price: spot.max_price,
            interruption_behavior: spot.interruption_behavior,
            specification: Box::new(specification),
            launch: launch.filter(|_| kind == SpotInstanceType::Persistent),
            fault: None,
            tags: BTreeMap::new(),
            client_token: None,
            due_at: None,
        });
    }
    cx.announce(Event::SpotRequestFulfilled { request: spot.request, instance });
}

fn specification(row: &Instance) -> LaunchSpecification {
    LaunchSpecification {
        image_id: Some(row.image.clone()),
        instance_type: Some(row.instance_type.name.clone()),
        key_name: row.key_name.clone(),
        ebs_optimized: Some(row.ebs_optimized),
        placement: Some(SpotPlacement {
            availability_zone: Some(row.zone.name.into()),
            ..SpotPlacement::default()
        }),
        subnet_id: Some(row.subnet.clone()),
        monitoring: Some(RunInstancesMonitoringEnabled { enabled: row.monitoring }),
        ..LaunchSpecification::default()
    }
}

/// The notice goes out: the request says so at once, while its instance still runs (spec spot.md §5).
pub(super) fn noticed(cx: &mut Engine, id: &str, behavior: Behavior, cause: Cause) {
    let Some(row) = cx.ec2.spot_requests.get(&id.to_owned()) else { return };
    let persistent = row.kind == SpotInstanceType::Persistent && row.state != State::Cancelled;
    let (state, status) = match (behavior, cause) {
        (Behavior::Terminate, cause) => {
            let state = if persistent { State::Open } else { State::Closed };
            let status = match cause {
                Cause::Capacity => "instance-terminated-no-capacity",
                Cause::Experiment => "instance-terminated-by-experiment",
                Cause::Price => "instance-terminated-by-price",
            };
            (state, status)
        }
        (_, Cause::Experiment) => (State::Active, "marked-for-stop-by-experiment"),
        (_, _) => (State::Active, "marked-for-stop"),
    };
    set(cx, id, state, status);
}

/// The instance has stopped; `None` when its user wanted it.
pub(in crate::ec2) fn stopped(cx: &mut Engine, id: &str, cause: Option<Cause>) {
    let status = match cause {
        Some(Cause::Capacity) => "instance-stopped-no-capacity",
        Some(Cause::Experiment) => "instance-stopped-by-experiment",
        Some(Cause::Price) => "instance-stopped-by-price",
        None => "instance-stopped-by-user",
    };
    set(cx, id, State::Disabled, status);
}

/// The instance is terminated: a persistent request asks for another when EC2 took it.
pub(in crate::ec2) fn ended(cx: &mut Engine, id: &str, taken: bool) {
    let at = cx.now + EVALUATE_EVERY;
    let Some(row) = cx.ec2.spot_requests.get(&id.to_owned()) else { return };
    let state = row.state;
    if !taken {
        let state = if state == State::Cancelled { state } else { State::Closed };
        return set(cx, id, state, "instance-terminated-by-user");
    }
    if state == State::Open
        && let Some(mut row) = cx.ec2.spot_requests.edit(&id.to_owned())
    {
        row.due_at = Some(at);
    }
}

pub(in crate::ec2) fn request(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::RequestSpotInstancesRequest,
) -> Result<shapes::RequestSpotInstancesResponse, Refusal> {
    if let Some(token) = &request.client_token {
        let made: Vec<&SpotRequest> =
            cx.ec2.spot_requests.iter().filter(|row| row.client_token.as_ref() == Some(token)).collect();
        if !made.is_empty() {
            let rows = made.into_iter().map(described).collect();
            return Ok(shapes::RequestSpotInstancesResponse { spot_instance_requests: Some(rows) });
        }
    }
    let given = request.launch_specification.ok_or_else(|| missing("LaunchSpecification"))?;
    let count = request.instance_count.unwrap_or(1);
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(invalid(format!(
            "Value ({count}) for parameter instanceCount is invalid. Expecting a positive integer up to {COUNT_MAX}."
        )));
    }
    if request.block_duration_minutes.is_some() {
        return Err(Refusal::new(
            "Unsupported",
            "Spot Instances with a defined duration are no longer offered.",
        ));
    }
    let kind = request.r#type.unwrap_or(SpotInstanceType::OneTime);
    let behavior = request.instance_interruption_behavior.unwrap_or(Behavior::Terminate);
    let now = cx.now;
    if request.valid_until.is_some_and(|until| until <= now) {
        return Err(invalid("The request's ValidUntil is in the past."));
    }
    let options = SpotMarketOptions {
        max_price: request.spot_price.clone(),
        spot_instance_type: Some(kind),
        block_duration_minutes: None,
        valid_until: None,
        instance_interruption_behavior: Some(behavior),
    };
    let launch = launch_of(&given, options);
    let max_price = run::check(cx, caller, &launch)?;
    let tags = tag::of_specifications(caller, request.tag_specifications, &["spot-instances-request"])?
        .remove("spot-instances-request")
        .unwrap_or_default();
    dry_run(request.dry_run)?;
    let valid_until =
        request.valid_until.or_else(|| (kind == SpotInstanceType::OneTime).then_some(now + VALIDITY));
    let mut rows = Vec::new();
    for _ in 0..count {
        let row = SpotRequest {
            id: request_id(cx),
            kind,
            state: State::Open,
            status: "pending-evaluation",
            message: message("pending-evaluation").to_owned(),
            status_at: now,
            created_at: now,
            valid_until,
            instance: None,
            zone: None,
            max_price,
            interruption_behavior: behavior,
            specification: Box::new(asked(cx, &given)),
            launch: Some(Box::new(launch.clone())),
            fault: None,
            tags: tags.clone(),
            client_token: request.client_token.clone(),
            due_at: Some(request.valid_from.unwrap_or(now).max(now) + FIRST_EVALUATION),
        };
        rows.push(described(&row));
        cx.ec2.spot_requests.insert(row);
    }
    Ok(shapes::RequestSpotInstancesResponse { spot_instance_requests: Some(rows) })
}

/// RunInstances for one instance of a request.
fn launch_of(given: &RequestSpotLaunchSpecification, options: SpotMarketOptions) -> RunInstancesRequest {
    RunInstancesRequest {
        image_id: given.image_id.clone(),
        instance_type: given.instance_type.clone(),
        min_count: 1,
        max_count: 1,
        key_name: given.key_name.clone(),
        security_group_ids: given.security_group_ids.clone(),
        security_groups: given.security_groups.clone(),
        subnet_id: given.subnet_id.clone(),
        user_data: given.user_data.clone(),
        ebs_optimized: given.ebs_optimized,
        iam_instance_profile: given.iam_instance_profile.clone(),
        network_interfaces: given.network_interfaces.clone(),
        monitoring: given.monitoring.clone(),
        placement: given.placement.as_ref().map(|placement| shapes::Placement {
            availability_zone: placement.availability_zone.clone(),
            availability_zone_id: placement.availability_zone_id.clone(),
            ..shapes::Placement::default()
        }),
        instance_market_options: Some(InstanceMarketOptionsRequest {
            market_type: Some(MarketType::Spot),
            spot_options: Some(options),
        }),
        ..RunInstancesRequest::default()
    }
}

/// The specification as it is described before there is an instance.
fn asked(cx: &Engine, given: &RequestSpotLaunchSpecification) -> LaunchSpecification {
    let groups = given.security_group_ids.iter().flatten().map(|id| shapes::GroupIdentifier {
        group_id: Some(id.clone()),
        group_name: cx.ec2.security_groups().get(id).map(|group| group.name.clone()),
    });
    LaunchSpecification {
        image_id: given.image_id.clone(),
        instance_type: given.instance_type.clone(),
        key_name: given.key_name.clone(),
        ebs_optimized: given.ebs_optimized,
        iam_instance_profile: given.iam_instance_profile.clone(),
        network_interfaces: given.network_interfaces.clone(),
        placement: given.placement.clone(),
        security_groups: Some(groups.collect()),
        subnet_id: given.subnet_id.clone(),
        monitoring: given.monitoring.clone(),
        ..LaunchSpecification::default()
    }
}

/// An open request is looked at, an ended one is forgotten.
pub(in crate::ec2) fn evaluate(cx: &mut Engine, id: &String) {
    let now = cx.now;
    let Some(row) = cx.ec2.spot_requests.get(id) else { return };
    if row.state != State::Open {
        cx.ec2.spot_requests.remove(id);
        return;
    }
    if row.valid_until.is_some_and(|until| until <= now) {
        return set(cx, id, State::Cancelled, "schedule-expired");
    }
    let Some(launch) = row.launch.clone() else { return set(cx, id, State::Closed, row.status) };
    let (again, until) = (now + EVALUATE_EVERY, row.valid_until);
    let Err(refusal) = run::fulfil(cx, *launch, id) else { return };
    let status = match &*refusal.code {
        "InsufficientInstanceCapacity" => "capacity-not-available",
        "SpotMaxPriceTooLow" => "price-too-low",
        _ => {
            if let Some(mut row) = cx.ec2.spot_requests.edit(id) {
                row.fault = Some((refusal.code.to_string(), refusal.message.to_string()));
            }
            return set(cx, id, State::Failed, "bad-parameters");
        }
    };
    set(cx, id, State::Open, status);
    if let Some(mut row) = cx.ec2.spot_requests.edit(id) {
        row.due_at = Some(until.map_or(again, |until| until.min(again)));
    }
}

fn known(cx: &Engine, ids: &[String]) -> Result<(), Refusal> {
    let unknown = ids.iter().find(|id| !cx.ec2.spot_requests.contains(id));
    unknown.map_or(Ok(()), |id| {
        Err(Refusal::new(
            "InvalidSpotInstanceRequestID.NotFound",
            format!("The spot instance request ID '{id}' does not exist"),
        ))
    })
}

pub(in crate::ec2) fn cancel(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CancelSpotInstanceRequestsRequest,
) -> Result<shapes::CancelSpotInstanceRequestsResponse, Refusal> {
    known(cx, &request.spot_instance_request_ids)?;
    dry_run(request.dry_run)?;
    let mut cancelled = Vec::new();
    for id in request.spot_instance_request_ids {
        let state = cx.ec2.spot_requests.get(&id).map(|row| row.state);
        match state {
            Some(State::Open) => set(cx, &id, State::Cancelled, "canceled-before-fulfillment"),
            Some(State::Active | State::Disabled) => {
                set(cx, &id, State::Cancelled, "request-canceled-and-instance-running");
                if let Some(mut row) = cx.ec2.spot_requests.edit(&id) {
                    row.launch = None;
                }
            }
            _ => {}
        }
        cancelled.push(CancelledSpotInstanceRequest {
            spot_instance_request_id: Some(id),
            state: Some(match state {
                Some(State::Closed) => CancelSpotInstanceRequestState::Closed,
                _ => CancelSpotInstanceRequestState::Cancelled,
            }),
        });
    }
    Ok(shapes::CancelSpotInstanceRequestsResponse { cancelled_spot_instance_requests: Some(cancelled) })
}

pub(in crate::ec2) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeSpotInstanceRequestsRequest,
) -> Result<shapes::DescribeSpotInstanceRequestsResponse, Refusal> {
    dry_run(request.dry_run)?;
    at_least_five(request.max_results)?;
    let ids = request.spot_instance_request_ids.unwrap_or_default();
    known(cx, &ids)?;
    let filters = Filters::new(request.filters.as_ref(), FILTERS)?;
    let rows = cx.ec2.spot_requests.iter().filter(|row| {
        (ids.is_empty() || ids.contains(&row.id))
            && filters.fit(&row.tags, |name, put| fields(row, name, put))
    });
    let page = page_of(rows, |row| row.id.clone(), request.next_token.as_deref(), request.max_results)?;
    Ok(shapes::DescribeSpotInstanceRequestsResponse {
        spot_instance_requests: Some(page.items.into_iter().map(described).collect()),
        next_token: page.next,
    })
}

/// Six decimals, as the API writes prices.
fn price(price: MicroDollars) -> String {
    format!("{}.{:06}", price.0 / 1_000_000, price.0 % 1_000_000)
}

fn described(row: &SpotRequest) -> shapes::SpotInstanceRequest {
    let on_demand = || {
        let kind = capstan_model::catalogue::instance_type(row.specification.instance_type.as_deref()?)?;
        let zone = row.zone?;
        let (region, _) = capstan_model::zone(zone.name)?;
        kind.on_demand_price(region.name)
    };
    shapes::SpotInstanceRequest {
        create_time: Some(row.created_at),
        fault: row.fault.as_ref().map(|(code, message)| SpotInstanceStateFault {
            code: Some(code.clone()),
            message: Some(message.clone()),
        }),
        instance_id: row.instance.map(|id| id.to_string()),
        launch_specification: Some((*row.specification).clone()),
        launched_availability_zone: row.zone.map(|zone| zone.name.into()),
        launched_availability_zone_id: row.zone.map(|zone| zone.id.into()),
        product_description: Some(RIProductDescription::LinuxUnix),
        spot_instance_request_id: Some(row.id.clone()),
        // Who sets no price pays up to On-Demand, and the API shows that.
        spot_price: row.max_price.or_else(on_demand).map(price),
        state: Some(row.state),
        status: Some(SpotInstanceStatus {
            code: Some(row.status.to_owned()),
            message: Some(row.message.clone()),
            update_time: Some(row.status_at),
        }),
        tags: tag::listed(&row.tags),
        r#type: Some(row.kind),
        valid_until: row.valid_until,
        instance_interruption_behavior: Some(row.interruption_behavior),
        ..shapes::SpotInstanceRequest::default()
    }
}

fn fields(row: &SpotRequest, name: &str, put: &mut dyn FnMut(&str)) {
    match name {
        "create-time" => put(&row.created_at.iso_millis()),
        "fault-code" => row.fault.iter().for_each(|(code, _)| put(code)),
        "fault-message" => row.fault.iter().for_each(|(_, message)| put(message)),
        "instance-id" => row.instance.iter().for_each(|id| put(&id.to_string())),
        "launch.image-id" => row.specification.image_id.iter().for_each(|id| put(id)),
        "launch.instance-type" => row.specification.instance_type.iter().for_each(|kind| put(kind)),
        "launched-availability-zone" => row.zone.iter().for_each(|zone| put(zone.name)),
        "product-description" => put("Linux/UNIX"),
        "spot-instance-request-id" => put(&row.id),
        "spot-price" => row.max_price.iter().for_each(|max| put(&price(*max))),
        "state" => put(row.state.as_str()),
        "status-code" => put(row.status),
        "status-message" => put(&row.message),
        "type" => put(row.kind.as_str()),
        "valid-until" => row.valid_until.iter().for_each(|until| put(&until.iso_millis())),
        _ => {}
    }
}

/// Filters of DescribeSpotInstanceRequests. Those that `fields` has nothing for are about what no request has here.
const FILTERS: &[&str] = &[
    "availability-zone-group",
    "create-time",
    "fault-code",
    "fault-message",
    "instance-id",
    "launch-group",
    "launch.block-device-mapping.delete-on-termination",
    "launch.block-device-mapping.device-name",
    "launch.block-device-mapping.snapshot-id",
    "launch.block-device-mapping.volume-size",
    "launch.block-device-mapping.volume-type",
    "launch.group-id",
    "launch.group-name",
    "launch.image-id",
    "launch.instance-type",
    "launch.kernel-id",
    "launch.key-name",
    "launch.monitoring-enabled",
    "launch.ramdisk-id",
    "launched-availability-zone",
    "network-interface.addresses.primary",
    "network-interface.delete-on-termination",
    "network-interface.description",
    "network-interface.device-index",
    "network-interface.group-id",
    "network-interface.network-interface-id",
    "network-interface.private-ip-address",
    "network-interface.subnet-id",
    "product-description",
    "spot-instance-request-id",
    "spot-price",
    "state",
    "status-code",
    "status-message",
    "type",
    "valid-from",
    "valid-until",
    TAGS,
];
