//! Targets: registration, health, draining (ALB guide, load-balancer-target-groups, target-group-health-checks).

use std::net::Ipv4Addr;
use std::sync::Arc;

use capstan_model::{InstanceId, Span};
use capstan_shapes::elbv2::{TargetHealthReasonEnum as Reason, TargetHealthStateEnum as State};
use capstan_shapes::{Refusal, elbv2 as shapes};

use super::rows::{LoadBalancer, Name, Target, TargetGroup, TargetHealth, TargetIndex};
use super::{group_changed, network, target_group, validation};
use crate::kernel::{Event, Row as _};
use crate::{Caller, Engine, HealthReport};

/// Of a group, and of all groups of a load balancer (ALB quotas).
const TARGETS_MAX: usize = 1_000;

type Key = (Name, String, u16);

impl TargetHealth {
    fn of(state: State, reason: Reason, description: &str) -> Self {
        Self { state, reason: Some(reason), description: Some(description.to_owned()) }
    }

    fn healthy() -> Self {
        Self { state: State::Healthy, reason: None, description: None }
    }

    /// A registration is complete at once here; what takes time is the first check.
    fn initial() -> Self {
        Self::of(State::Initial, Reason::ElbInitialHealthChecking, "Initial health checks in progress")
    }

    fn draining() -> Self {
        Self::of(
            State::Draining,
            Reason::TargetDeregistrationInProgress,
            "Target deregistration is in progress",
        )
    }

    fn not_registered() -> Self {
        Self::of(State::Unused, Reason::TargetNotRegistered, "Target is not registered to the target group")
    }

    fn not_in_use() -> Self {
        Self::of(
            State::Unused,
            Reason::TargetNotInUse,
            "Target group is not configured to receive traffic from the load balancer",
        )
    }

    fn zone_not_in_use() -> Self {
        Self::of(
            State::Unused,
            Reason::TargetNotInUse,
            "Target is in an Availability Zone that is not enabled for the load balancer",
        )
    }
}

/// The state of a target that nobody has checked yet.
fn unchecked(balancer: Option<&LoadBalancer>, zone: Option<&str>) -> TargetHealth {
    let Some(balancer) = balancer else { return TargetHealth::not_in_use() };
    let enabled = |zone: &str| balancer.subnets.iter().any(|subnet| subnet.zone == zone);
    if zone.is_none_or(enabled) { TargetHealth::initial() } else { TargetHealth::zone_not_in_use() }
}

pub(super) fn register(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::RegisterTargetsRequest,
) -> Result<shapes::RegisterTargetsResponse, Refusal> {
    let group = target_group::find(cx, &request.target_group_arn)?;
    let arn = group.arn.clone();
    if request.targets.is_empty() {
        return Err(validation("At least one target must be specified"));
    }
    let balancer = cx.elb.load_balancer_of(&arn);
    // All is checked before anything is registered.
    let mut rows: Vec<Target> = Vec::new();
    for described in request.targets {
        let target = target(cx, group, balancer, described)?;
        if !rows.iter().any(|row| row.key() == target.key()) {
            rows.push(target);
        }
    }
    let new = rows.iter().filter(|row| !cx.elb.targets.contains(&row.key())).count();
    let count = |group: &Name| cx.elb.targets.count_by(&TargetIndex::Group(group.clone()));
    let behind = balancer.map_or(0, |balancer| {
        let mut used = super::action::used_groups(cx, balancer);
        used.sort_unstable();
        used.dedup();
        used.iter().map(count).sum()
    });
    if new > 0 && count(&arn).max(behind) + new > TARGETS_MAX {
        let message = format!("The maximum number of targets, '{TARGETS_MAX}', has been reached");
        return Err(Refusal::of(&shapes::TOO_MANY_TARGETS_EXCEPTION, message));
    }
    let mut changed = false;
    for row in rows {
        let key = row.key();
        // A target that is registered stays as it is; one that drains or could not be used begins anew.
        let known = cx.elb.targets.get(&key);
        if known.is_some_and(|known| known.is_in_service() || known.health == row.health) {
            continue;
        }
        let state = row.health.state;
        cx.elb.targets.insert(row);
        announce(cx, &key, state);
        changed = true;
    }
    if changed {
        group_changed(cx, &arn);
    }
    Ok(shapes::RegisterTargetsResponse {})
}

fn target(
    cx: &Engine,
    group: &TargetGroup,
    balancer: Option<&LoadBalancer>,
    described: shapes::TargetDescription,
) -> Result<Target, Refusal> {
    let port = port(group, &described)?;
    let zone_given = described.availability_zone;
    let zone = if group.target_type == shapes::TargetTypeEnum::Instance {
        if let Some(zone) = zone_given {
            return Err(validation(format!(
                "You cannot specify an Availability Zone, here '{zone}', for a target of type 'instance'"
            )));
        }
        Some(network::instance_zone(cx, &described.id)?)
    } else {
        address_zone(cx, group, &described.id, zone_given.as_deref())?
    };
    Ok(Target {
        target_group: group.arn.clone(),
        id: described.id,
        port,
        health: unchecked(balancer, zone.as_deref()),
        zone,
        zone_given,
        registered_at: cx.now,
        drains_until: None,
    })
}

fn port(group: &TargetGroup, described: &shapes::TargetDescription) -> Result<u16, Refusal> {
    let port = described.port.unwrap_or_else(|| i32::from(group.port));
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| validation(format!("The port '{port}' of target '{}' is not valid", described.id)))
}

/// The zone of an address of the VPC. Addresses elsewhere must be private, and said to be for all zones.
fn address_zone(
    cx: &Engine,
    group: &TargetGroup,
    id: &str,
    given: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let invalid = |message: String| Refusal::of(&shapes::INVALID_TARGET_EXCEPTION, message);
    let Ok(address) = id.parse::<Ipv4Addr>() else {
        return Err(invalid(format!("The IP address '{id}' is not a valid IPv4 address")));
    };
    if let Some(zone) = network::address_zone(cx, &group.vpc, address) {
        return Ok(Some(zone));
    }
    let shared = address.octets()[0] == 100 && (64..128).contains(&address.octets()[1]);
    if !(address.is_private() || shared) {
        return Err(invalid(format!(
            "The IP address '{id}' is not in the VPC '{}' nor in a private range (RFC 1918, RFC 6598)",
            group.vpc
        )));
    }
    match given {
        Some("all") => Ok(None),
        Some(zone) => Ok(Some(zone.to_owned())),
        None => Err(validation(format!(
            "You must specify an Availability Zone, or 'all', for the IP address '{id}', which is outside of the VPC '{}'",
            group.vpc
        ))),
    }
}

pub(super) fn deregister(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeregisterTargetsRequest,
) -> Result<shapes::DeregisterTargetsResponse, Refusal> {
    let group = target_group::find(cx, &request.target_group_arn)?;
    let arn = group.arn.clone();
    let delay = Span::from_secs(group.attributes.number("deregistration_delay.timeout_seconds"));
    let mut leaving: Vec<Key> = Vec::new();
    for described in &request.targets {
        match described.port {
            Some(_) => leaving.push((arn.clone(), described.id.clone(), port(group, described)?)),
            // Without a port, every registration of the id.
            None => {
                let ours = cx.elb.targets.by(&TargetIndex::Id(described.id.clone()));
                leaving.extend(ours.map(Target::key).filter(|key| key.0 == arn));
            }
        }
    }
    let mut changed = false;
    // A target that is not registered, or drains already, is no error and no change. Whoever waits for the former to
    // leave is told that it has.
    for key in leaving {
        let Some(target) = cx.elb.targets.get(&key) else {
            announce(cx, &key, State::Unused);
            continue;
        };
        if target.is_draining() {
            continue;
        }
        changed = true;
        if target.health.state == State::Unused {
            remove(cx, &key);
            continue;
        }
        let until = cx.now + delay;
        if let Some(mut target) = cx.elb.targets.edit(&key) {
            target.health = TargetHealth::draining();
            target.drains_until = Some(until);
        }
        announce(cx, &key, State::Draining);
    }
    if changed {
        group_changed(cx, &arn);
    }
    Ok(shapes::DeregisterTargetsResponse {})
}

/// The deregistration delay of a target is over.
pub(super) fn drained(cx: &mut Engine, key: &Key) {
    remove(cx, key);
    group_changed(cx, &key.0);
}

/// Takes a target out of its group and says so.
pub(super) fn remove(cx: &mut Engine, key: &Key) {
    cx.elb.targets.remove(key);
    announce(cx, key, State::Unused);
}

fn announce(cx: &mut Engine, key: &Key, state: State) {
    let (target_group, target, port) = (key.0.to_string(), key.1.clone(), key.2);
    cx.announce(Event::TargetState { target_group, target, port, state: state.as_str() });
}

/// A health checker has changed its mind. Targets that are not in service are not its business.
pub(crate) fn target_health(cx: &mut Engine, group: &str, target: &str, port: u16, health: HealthReport) {
    let key: Key = (Arc::from(group), target.to_owned(), port);
    let Some(target) = cx.elb.targets.get(&key).filter(|target| target.is_in_service()) else { return };
    let health = match health {
        HealthReport::Healthy => TargetHealth::healthy(),
        HealthReport::Unhealthy { reason, description } => TargetHealth {
            state: State::Unhealthy,
            reason: Some(Reason::parse(&reason).unwrap_or(Reason::TargetFailedHealthChecks)),
            description: Some(description),
        },
    };
    let (before, state) = (target.health.state, health.state);
    if target.health == health {
        return;
    }
    if let Some(mut target) = cx.elb.targets.edit(&key) {
        target.health = health;
    }
    if before != state {
        announce(cx, &key, state);
    }
}

/// An instance that has stopped or is gone gets no traffic any more, wherever it is registered.
pub(super) fn instance_state(cx: &mut Engine, instance: InstanceId, state: &str) {
    let description = match state {
        "stopped" => "Target is in the stopped state",
        "terminated" => "Target is in the terminated state",
        _ => return,
    };
    let health = TargetHealth::of(State::Unused, Reason::TargetInvalidState, description);
    for key in cx.elb.targets.keys_by(&TargetIndex::Id(instance.to_string())) {
        // One that drains goes on until its delay is over.
        let Some(target) = cx.elb.targets.get(&key).filter(|target| !target.is_draining()) else { continue };
        let before = target.health.state;
        if let Some(mut target) = cx.elb.targets.edit(&key) {
            target.health = health.clone();
        }
        if before != State::Unused {
            announce(cx, &key, State::Unused);
        }
        group_changed(cx, &key.0);
    }
}

/// Looks again whether a group's targets can get traffic, after listeners, rules or zones have changed.
pub(super) fn refresh(cx: &mut Engine, group: &Name) {
    for key in cx.elb.targets.keys_by(&TargetIndex::Group(group.clone())) {
        let Some(target) = cx.elb.targets.get(&key) else { continue };
        let health = unchecked(cx.elb.load_balancer_of(group), target.zone.as_deref());
        let was_idle = target.health.reason == Some(Reason::TargetNotInUse);
        let idle = health.reason == Some(Reason::TargetNotInUse);
        let changes = if was_idle { health != target.health } else { idle && target.is_in_service() };
        if !changes {
            continue;
        }
        let (before, state) = (target.health.state, health.state);
        if let Some(mut target) = cx.elb.targets.edit(&key) {
            target.health = health;
        }
        if before != state {
            announce(cx, &key, state);
        }
    }
}

pub(super) fn describe_health(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeTargetHealthRequest,
) -> Result<shapes::DescribeTargetHealthResponse, Refusal> {
    let group = target_group::find(cx, &request.target_group_arn)?;
    let include = request.include.unwrap_or_default();
    let anomalies = include.iter().any(|include| {
        use shapes::DescribeTargetHealthInputIncludeEnum as Include;
        matches!(include, Include::AnomalyDetection | Include::All)
    });
    let told = match request.targets.filter(|targets| !targets.is_empty()) {
        None => cx.elb.targets_of(&group.arn).map(|target| shown(group, target, anomalies)).collect(),
        Some(asked) => {
            let mut told = Vec::new();
            for described in asked {
                let port = port(group, &described)?;
                let key = (group.arn.clone(), described.id.clone(), port);
                told.push(match cx.elb.targets.get(&key) {
                    Some(target) => shown(group, target, anomalies),
                    None => shapes::TargetHealthDescription {
                        target: Some(shapes::TargetDescription { port: Some(i32::from(port)), ..described }),
                        health_check_port: Some(group.health_check.port_of(port).to_string()),
                        target_health: Some(shown_health(&TargetHealth::not_registered())),
                        ..shapes::TargetHealthDescription::default()
                    },
                });
            }
            told
        }
    };
    Ok(shapes::DescribeTargetHealthResponse { target_health_descriptions: Some(told) })
}

fn shown(group: &TargetGroup, target: &Target, anomalies: bool) -> shapes::TargetHealthDescription {
    use shapes::{
        TargetAdministrativeOverrideReasonEnum as OverrideReason,
        TargetAdministrativeOverrideStateEnum as Override,
    };
    let by_address = group.target_type == shapes::TargetTypeEnum::Ip;
    let zone = target.zone_given.clone().or_else(|| target.zone.clone());
    shapes::TargetHealthDescription {
        target: Some(shapes::TargetDescription {
            id: target.id.clone(),
            port: Some(i32::from(target.port)),
            availability_zone: zone.filter(|_| by_address),
            quic_server_id: None,
        }),
        health_check_port: Some(group.health_check.port_of(target.port).to_string()),
        target_health: Some(shown_health(&target.health)),
        anomaly_detection: anomalies.then_some(shapes::AnomalyDetection {
            result: Some(shapes::AnomalyResultEnum::Normal),
            mitigation_in_effect: Some(shapes::MitigationInEffectEnum::No),
        }),
        administrative_override: Some(shapes::AdministrativeOverride {
            state: Some(Override::NoOverride),
            reason: Some(OverrideReason::AdministrativeOverrideNoOverride),
            description: Some("No override is currently active on target".to_owned()),
        }),
    }
}

fn shown_health(health: &TargetHealth) -> shapes::TargetHealth {
    shapes::TargetHealth {
        state: Some(health.state),
        reason: health.reason,
        description: health.description.clone(),
    }
}
