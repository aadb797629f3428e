//! Auto Scaling groups: create, update, delete, describe, and the desired capacity by request.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::lifecycle::{self, Exit};
use super::rows::{
    ActivityIndex, Group, GroupInstance, GroupInstanceIndex, Name, PolicyIndex, Settings, Source, TargetGroup,
};
use super::{activity, balance, capacity, hook, instance, invalid, invalid_token, number};
use super::{tag, target_group, template, termination, zones};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Groups of an account in a region (Auto Scaling quotas).
pub(super) const PER_REGION_MAX: usize = 500;

const COOLDOWN_DEFAULT: i32 = 300;

/// `DefaultInstanceWarmup` in seconds; −1 takes it back.
const WARMUP: std::ops::RangeInclusive<i32> = -1..=3600;

/// The group of that name.
pub(super) fn find<'a>(cx: &'a Engine, name: &str) -> Result<&'a Group, Refusal> {
    cx.autoscaling.groups.get(&Name::from(name)).ok_or_else(|| {
        invalid(format!("AutoScalingGroup name not found - AutoScalingGroup {name} not found"))
    })
}

/// The group of that name, to be changed: not one that is on its way out.
fn find_alive<'a>(cx: &'a Engine, name: &str) -> Result<&'a Group, Refusal> {
    let group = find(cx, name)?;
    if group.deleting {
        return Err(Refusal::of(
            &shapes::SCALING_ACTIVITY_IN_PROGRESS_FAULT,
            format!("AutoScalingGroup {name} is pending delete and cannot be changed."),
        ));
    }
    Ok(group)
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateAutoScalingGroupRequest,
) -> Result<shapes::CreateAutoScalingGroupResponse, Refusal> {
    let name: Name = request.auto_scaling_group_name.as_str().into();
    if name.contains(':') {
        return Err(invalid("The name of an Auto Scaling group must not contain a colon."));
    }
    if let Some(group) = cx.autoscaling.groups.get(&name) {
        let state = if group.deleting { "is pending delete" } else { "already exists" };
        return Err(Refusal::of(
            &shapes::ALREADY_EXISTS_FAULT,
            format!("AutoScalingGroup by this name already exists - A group with the name {name} {state}"),
        ));
    }
    if cx.autoscaling.groups.len() >= PER_REGION_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_FAULT,
            format!("The number of Auto Scaling groups would exceed the limit of {PER_REGION_MAX}."),
        ));
    }
    let source = template::source(
        cx,
        request.launch_template.as_ref(),
        request.mixed_instances_policy.as_ref(),
        request.launch_configuration_name.as_deref(),
        request.instance_id.as_deref(),
    )?;
    let source = source.ok_or_else(|| {
        invalid(
            "Valid requests must contain either launchTemplate, launchConfiguration, InstanceId or MixedInstancesPolicy \
             parameter.",
        )
    })?;
    let (min, max) = (i64::from(request.min_size), i64::from(request.max_size));
    let desired = request.desired_capacity.map_or(min, i64::from);
    check_sizes(min, max, desired)?;
    if request.load_balancer_names.as_ref().is_some_and(|names| !names.is_empty()) {
        return Err(invalid(
            "Provided Load Balancers may not be valid. Please ensure they exist and try again.",
        ));
    }
    let zones = zones::read(
        cx,
        request.vpc_zone_identifier.as_deref(),
        request.availability_zones.as_deref(),
        request.availability_zone_ids.as_deref(),
    )?;
    let mut arns = request.target_group_arns.unwrap_or_default();
    arns.extend(target_group::of_sources(request.traffic_sources.as_deref())?);
    target_group::check(cx, &arns)?;
    let mut unique = BTreeSet::new();
    arns.retain(|arn| unique.insert(arn.clone()));
    let tags = tag::read_for_group(caller, &name, request.tags.as_deref().unwrap_or_default())?;
    let hooks = request.lifecycle_hook_specification_list.unwrap_or_default();
    let hooks = hooks.into_iter().map(|given| hook::read(&name, given.into(), None));
    let hooks: Vec<_> = hooks.collect::<Result<_, _>>()?;
    let uuid = cx.chance.uuid("autoscaling.group-id");
    let arn = cx.arn("autoscaling", format!("autoScalingGroup:{uuid}:autoScalingGroupName/{name}"));
    let mut group = Group {
        name: name.clone(),
        arn: arn.into(),
        created: cx.now,
        min,
        max,
        desired,
        source,
        zones,
        vpc_zone_identifier: request.vpc_zone_identifier.filter(|subnets| !subnets.is_empty()),
        health_check_type: "EC2".to_owned(),
        health_check_grace: Span::ZERO,
        default_cooldown: Span::from_secs(request.default_cooldown.unwrap_or(COOLDOWN_DEFAULT).into()),
        default_instance_warmup: None,
        termination_policies: vec!["Default".to_owned()],
        new_instances_protected: request.new_instances_protected_from_scale_in.unwrap_or(false),
        target_groups: arns.into_iter().map(|arn| TargetGroup { arn, in_service: false }).collect(),
        suspended: BTreeMap::new(),
        tags,
        metrics: BTreeSet::new(),
        deleting: false,
        settings: Settings {
            capacity_rebalance: request.capacity_rebalance,
            placement_group: request.placement_group,
            service_linked_role_arn: request.service_linked_role_arn,
            max_instance_lifetime: request.max_instance_lifetime,
            context: request.context,
            desired_capacity_type: request.desired_capacity_type,
            instance_maintenance_policy: request.instance_maintenance_policy,
            zone_distribution: request.availability_zone_distribution,
            zone_impairment_policy: request.availability_zone_impairment_policy,
            capacity_reservation: request.capacity_reservation_specification,
            instance_lifecycle_policy: request.instance_lifecycle_policy,
            deletion_protection: request.deletion_protection,
        },
        warm_pool: None,
        reconcile_at: None,
        metrics_at: None,
        triggers: Vec::new(),
        launch_warmup: None,
        replacements: 0,
        balance_wanted: false,
        balance_at: None,
        cooldown_until: None,
        decision: None,
    };
    apply_checks(&mut group, request.health_check_type, request.health_check_grace_period)?;
    apply_warmup(&mut group, request.default_instance_warmup)?;
    apply_policies(&mut group, request.termination_policies)?;
    cx.autoscaling.groups.insert(group);
    for hook in hooks {
        cx.autoscaling.hooks.insert(hook);
    }
    if desired > 0 {
        let clause = format!(
            "a user request created an AutoScalingGroup changing the desired capacity from 0 to {desired}."
        );
        let trigger = activity::sentence(cx.now, clause);
        capacity::request(cx, &name, Some(trigger));
    }
    Ok(shapes::CreateAutoScalingGroupResponse {})
}

fn check_sizes(min: i64, max: i64, desired: i64) -> Result<(), Refusal> {
    for (what, size) in [("Min", min), ("Max", max), ("Desired", desired)] {
        if size < 0 {
            return Err(invalid(format!("{what} size {size} must be greater than or equal to 0.")));
        }
    }
    if min > max {
        return Err(invalid(format!("Max bound, {max}, must be greater than or equal to min bound, {min}")));
    }
    if !(min..=max).contains(&desired) {
        return Err(invalid(format!(
            "Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}"
        )));
    }
    Ok(())
}

fn apply_checks(group: &mut Group, kind: Option<String>, grace: Option<i32>) -> Result<(), Refusal> {
    if let Some(kind) = kind {
        let known = ["EC2", "ELB", "EBS", "VPC_LATTICE"];
        if kind.split(',').any(|each| !known.contains(&each.trim())) {
            return Err(invalid(format!(
                "Invalid HealthCheckType {kind}. Valid values are: {}",
                known.join(", ")
            )));
        }
        group.health_check_type = kind;
    }
    if let Some(secs) = grace {
        if secs < 0 {
            return Err(invalid("HealthCheckGracePeriod must not be negative."));
        }
        group.health_check_grace = Span::from_secs(secs.into());
    }
    Ok(())
}

fn apply_warmup(group: &mut Group, secs: Option<i32>) -> Result<(), Refusal> {
    match secs {
        Some(secs) if !WARMUP.contains(&secs) => {
            Err(invalid("DefaultInstanceWarmup must be from 0 to 3600 seconds, or -1."))
        }
        Some(-1) => {
            group.default_instance_warmup = None;
            Ok(())
        }
        Some(secs) => {
            group.default_instance_warmup = Some(Span::from_secs(secs.into()));
            Ok(())
        }
        None => Ok(()),
    }
}

fn apply_policies(group: &mut Group, policies: Option<Vec<String>>) -> Result<(), Refusal> {
    let Some(policies) = policies else { return Ok(()) };
    for name in &policies {
        if name.starts_with("arn:") {
            return Err(invalid(format!(
                "The custom termination policy {name} cannot be called: Lambda functions are not available."
            )));
        }
        if termination::policy(name).is_none() {
            return Err(invalid(format!("Invalid termination policy: {name}")));
        }
    }
    group.termination_policies = if policies.is_empty() { vec!["Default".to_owned()] } else { policies };
    Ok(())
}

pub(super) fn update(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UpdateAutoScalingGroupRequest,
) -> Result<shapes::UpdateAutoScalingGroupResponse, Refusal> {
    let before = find_alive(cx, &request.auto_scaling_group_name)?.clone();
    let mut group = before.clone();
    if let Some(source) = new_source(cx, &before, &request)? {
        group.source = source;
    }
    group.min = request.min_size.map_or(before.min, i64::from);
    group.max = request.max_size.map_or(before.max, i64::from);
    // Without a desired capacity of its own a request moves it into the new limits.
    group.desired = match request.desired_capacity {
        Some(desired) => i64::from(desired),
        None if group.min <= group.max => before.desired.clamp(group.min, group.max),
        None => before.desired,
    };
    check_sizes(group.min, group.max, group.desired)?;
    let moved = request.vpc_zone_identifier.is_some()
        || request.availability_zones.is_some()
        || request.availability_zone_ids.is_some();
    if moved {
        let subnets = request.vpc_zone_identifier.clone();
        group.zones = zones::read(
            cx,
            subnets.as_deref(),
            request.availability_zones.as_deref(),
            request.availability_zone_ids.as_deref(),
        )?;
        group.vpc_zone_identifier = subnets.filter(|subnets| !subnets.is_empty());
    }
    if let Some(secs) = request.default_cooldown {
        group.default_cooldown = Span::from_secs(secs.into());
    }
    apply_checks(&mut group, request.health_check_type, request.health_check_grace_period)?;
    apply_warmup(&mut group, request.default_instance_warmup)?;
    apply_policies(&mut group, request.termination_policies)?;
    if let Some(protected) = request.new_instances_protected_from_scale_in {
        group.new_instances_protected = protected;
    }
    let settings = &mut group.settings;
    keep(&mut settings.capacity_rebalance, request.capacity_rebalance);
    keep(&mut settings.placement_group, request.placement_group);
    keep(&mut settings.service_linked_role_arn, request.service_linked_role_arn);
    keep(&mut settings.max_instance_lifetime, request.max_instance_lifetime);
    keep(&mut settings.context, request.context);
    keep(&mut settings.desired_capacity_type, request.desired_capacity_type);
    keep(&mut settings.instance_maintenance_policy, request.instance_maintenance_policy);
    keep(&mut settings.zone_distribution, request.availability_zone_distribution);
    keep(&mut settings.zone_impairment_policy, request.availability_zone_impairment_policy);
    keep(&mut settings.capacity_reservation, request.capacity_reservation_specification);
    keep(&mut settings.instance_lifecycle_policy, request.instance_lifecycle_policy);
    keep(&mut settings.deletion_protection, request.deletion_protection);
    let redistributed = group.source != before.source;
    let (name, desired) = (group.name.clone(), group.desired);
    let clause = format!(
        "a user request update of AutoScalingGroup constraints to min: {}, max: {}, desired: {desired}",
        group.min, group.max
    );
    group.desired = before.desired;
    cx.autoscaling.groups.insert(group);
    capacity::set_desired(cx, &name, desired, &clause, None);
    if moved || redistributed {
        balance::want(cx, &name);
    }
    Ok(shapes::UpdateAutoScalingGroupResponse {})
}

/// Minimum, maximum and desired capacity, as far as they are given, with who asks for them: `scheduled action NAME`.
pub(super) fn resize(
    cx: &mut Engine,
    name: &Name,
    [min, max, desired]: [Option<i32>; 3],
    asks: &str,
) -> Result<(), Refusal> {
    let before = find_alive(cx, name)?;
    let min = min.map_or(before.min, i64::from);
    let max = max.map_or(before.max, i64::from);
    let wanted = desired.map_or(before.desired, i64::from);
    // A desired capacity outside of the limits becomes the nearer one.
    let desired = if min <= max { wanted.clamp(min, max) } else { wanted };
    check_sizes(min, max, desired)?;
    if let Some(mut row) = cx.autoscaling.groups.edit(name) {
        (row.min, row.max) = (min, max);
    }
    let clause = format!(
        "a {asks} update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired}"
    );
    capacity::set_desired(cx, name, desired, &clause, None);
    Ok(())
}

fn new_source(
    cx: &Engine,
    before: &Group,
    request: &shapes::UpdateAutoScalingGroupRequest,
) -> Result<Option<Source>, Refusal> {
    if let (Some(policy), None, None) =
        (&request.mixed_instances_policy, &request.launch_template, &request.launch_configuration_name)
    {
        return template::mixed(cx, policy, before.mixed()).map(|policy| Some(Source::Mixed(policy)));
    }
    template::source(
        cx,
        request.launch_template.as_ref(),
        request.mixed_instances_policy.as_ref(),
        request.launch_configuration_name.as_deref(),
        None,
    )
}

fn keep<T>(setting: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *setting = given;
    }
}

pub(super) fn set_desired(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetDesiredCapacityRequest,
) -> Result<shapes::SetDesiredCapacityResponse, Refusal> {
    let group = find_alive(cx, &request.auto_scaling_group_name)?;
    let (name, desired) = (group.name.clone(), i64::from(request.desired_capacity));
    if desired > group.max {
        return Err(invalid(format!(
            "New SetDesiredCapacity value {desired} is above max value {} for the AutoScalingGroup.",
            group.max
        )));
    }
    if desired < group.min {
        return Err(invalid(format!(
            "New SetDesiredCapacity value {desired} is below min value {} for the AutoScalingGroup.",
            group.min
        )));
    }
    if request.honor_cooldown == Some(true) {
        let until = group.cooldown_until.filter(|until| *until > cx.now);
        let next = cx.now + group.default_cooldown;
        if let Some(until) = until {
            return Err(Refusal::of(
                &shapes::SCALING_ACTIVITY_IN_PROGRESS_FAULT,
                format!(
                    "The cooldown of AutoScalingGroup {name} blocks this action until {}.",
                    until.iso_secs()
                ),
            ));
        }
        if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
            row.cooldown_until = Some(next);
        }
    }
    capacity::set_desired(cx, &name, desired, "a user request explicitly set group desired capacity", None);
    Ok(shapes::SetDesiredCapacityResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteAutoScalingGroupRequest,
) -> Result<shapes::DeleteAutoScalingGroupResponse, Refusal> {
    let group = find(cx, &request.auto_scaling_group_name)?;
    let (name, deleting) = (group.name.clone(), group.deleting);
    let force = request.force_delete.unwrap_or(false);
    let protection = group.settings.deletion_protection.unwrap_or(shapes::DeletionProtection::None);
    let protected = match protection {
        shapes::DeletionProtection::None => false,
        shapes::DeletionProtection::PreventForceDeletion => force,
        shapes::DeletionProtection::PreventAllDeletion => true,
    };
    if protected {
        return Err(Refusal::of(
            &shapes::RESOURCE_IN_USE_FAULT,
            format!(
                "AutoScalingGroup {name} has deletion protection {protection}. Change it before you delete the group."
            ),
        ));
    }
    let instances = instance::all(cx, &name);
    if !force {
        if deleting {
            return Ok(shapes::DeleteAutoScalingGroupResponse {});
        }
        if !instances.is_empty() {
            return Err(Refusal::of(
                &shapes::RESOURCE_IN_USE_FAULT,
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still \
                 in the group.",
            ));
        }
        if cx.autoscaling.activities.count_by(&ActivityIndex::InProgress(name.clone())) > 0 {
            return Err(Refusal::of(
                &shapes::SCALING_ACTIVITY_IN_PROGRESS_FAULT,
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            ));
        }
    }
    if instances.is_empty() {
        forget(cx, &name);
        return Ok(shapes::DeleteAutoScalingGroupResponse {});
    }
    if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
        row.deleting = true;
        row.desired = 0;
        row.min = 0;
        row.max = 0;
        row.reconcile_at = None;
        row.metrics_at = None;
        row.triggers.clear();
    }
    drop_policies(cx, &name);
    let mut left: i64 = capacity::current(cx, &name).map(|row| row.weight).sum();
    for id in instances {
        let row = cx.autoscaling.instances.get(&id).expect("the instance was listed");
        if row.is_terminating() {
            // Hooks and draining do not hold up a forced deletion.
            lifecycle::hurry(cx, id);
            continue;
        }
        let after = left - if row.is_current() { row.weight } else { 0 };
        let clause = format!(
            "instance {id} was taken out of service in response to a user request, shrinking the capacity from {left} to \
             {after}."
        );
        left = after;
        let cause = activity::cause(&[activity::sentence(cx.now, clause)]);
        lifecycle::terminate(cx, id, cause, Exit::Forced);
    }
    Ok(shapes::DeleteAutoScalingGroupResponse {})
}

/// Removes a group that has no instances, with all that belongs to it but its activities.
pub(super) fn forget(cx: &mut Engine, name: &Name) {
    drop_policies(cx, name);
    let room = &mut cx.autoscaling;
    for key in room.hooks.keys_by(name) {
        room.hooks.remove(&key);
    }
    for key in room.scheduled_actions.keys_by(name) {
        room.scheduled_actions.remove(&key);
    }
    let topics = room.notifications.iter().filter(|row| row.group == *name);
    for key in topics.map(|row| (row.group.clone(), row.topic.clone())).collect::<Vec<_>>() {
        room.notifications.remove(&key);
    }
    cx.autoscaling.groups.remove(name);
}

fn drop_policies(cx: &mut Engine, name: &Name) {
    for key in cx.autoscaling.policies.keys_by(&PolicyIndex::Group(name.clone())) {
        super::policy::remove(cx, &key);
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeAutoScalingGroupsRequest,
) -> Result<shapes::DescribeAutoScalingGroupsResponse, Refusal> {
    let names: BTreeSet<&str> =
        request.auto_scaling_group_names.iter().flatten().map(String::as_str).collect();
    let filters = request.filters.as_deref().unwrap_or_default();
    if let Some(bad) = filters.iter().find(|filter| !tag::is_group_filter(filter)) {
        return Err(invalid(format!(
            "Filter type {} is not correct. Allowed Filter types are: tag-key tag-value tag:<tag-key>",
            bad.name.as_deref().unwrap_or_default()
        )));
    }
    let rows: Vec<&Group> = if names.is_empty() {
        cx.autoscaling.groups.iter().collect()
    } else {
        // Names that do not exist are left out, without an error.
        names.iter().filter_map(|name| cx.autoscaling.groups.get(&Name::from(*name))).collect()
    };
    let rows = rows.into_iter().filter(|group| tag::group_passes(group, filters));
    let size = usize::try_from(request.max_records.unwrap_or(50)).unwrap_or(50).min(100);
    let page = page(rows, |group| group.name.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| invalid_token())?;
    let with_instances = request.include_instances.unwrap_or(true);
    Ok(shapes::DescribeAutoScalingGroupsResponse {
        auto_scaling_groups: page.items.into_iter().map(|group| shape(cx, group, with_instances)).collect(),
        next_token: page.next,
    })
}

fn shape(cx: &Engine, group: &Group, with_instances: bool) -> shapes::AutoScalingGroup {
    let instances: Vec<&GroupInstance> =
        cx.autoscaling.instances.by(&GroupInstanceIndex::Group(group.name.clone())).collect();
    let zones: Vec<String> = group.zones.iter().map(|zone| zone.name.to_string()).collect();
    let arns: Vec<String> = group.target_groups.iter().map(|each| each.arn.clone()).collect();
    let sources = arns.iter().map(|arn| shapes::TrafficSourceIdentifier {
        identifier: arn.clone(),
        r#type: Some("elbv2".to_owned()),
    });
    let suspended = group.suspended.iter().map(|(process, reason)| shapes::SuspendedProcess {
        process_name: Some(process.clone()),
        suspension_reason: Some(reason.clone()),
    });
    let metrics = group.metrics.iter().map(|metric| shapes::EnabledMetric {
        metric: Some(metric.clone()),
        granularity: Some("1Minute".to_owned()),
    });
    let settings = &group.settings;
    shapes::AutoScalingGroup {
        auto_scaling_group_name: group.name.to_string(),
        auto_scaling_group_arn: Some(group.arn.to_string()),
        launch_configuration_name: match &group.source {
            Source::Configuration(name) => Some(name.to_string()),
            Source::Mixed(_) | Source::Template(_) => None,
        },
        launch_template: match &group.source {
            Source::Template(template) => Some(template::spec_shape(template)),
            Source::Configuration(_) | Source::Mixed(_) => None,
        },
        mixed_instances_policy: group.mixed().map(template::mixed_shape),
        min_size: number(group.min),
        max_size: number(group.max),
        desired_capacity: number(group.desired),
        predicted_capacity: None,
        default_cooldown: number(group.default_cooldown.as_secs()),
        availability_zone_ids: Some(zones.iter().filter_map(|zone| zones::id(zone)).collect()),
        availability_zones: zones,
        load_balancer_names: Some(Vec::new()),
        traffic_sources: Some(sources.collect()),
        target_group_arns: Some(arns),
        health_check_type: group.health_check_type.clone(),
        health_check_grace_period: Some(number(group.health_check_grace.as_secs())),
        instances: with_instances.then(|| instances.iter().map(|row| instance::shape(row)).collect()),
        created_time: group.created,
        suspended_processes: Some(suspended.collect()),
        placement_group: settings.placement_group.clone(),
        vpc_zone_identifier: Some(group.vpc_zone_identifier.clone().unwrap_or_default()),
        enabled_metrics: Some(metrics.collect()),
        status: group.deleting.then(|| "Delete in progress".to_owned()),
        tags: Some(tag::shapes_of(group)),
        termination_policies: Some(group.termination_policies.clone()),
        new_instances_protected_from_scale_in: Some(group.new_instances_protected),
        service_linked_role_arn: Some(settings.service_linked_role_arn.clone().unwrap_or_else(|| role(cx))),
        max_instance_lifetime: settings.max_instance_lifetime.filter(|secs| *secs > 0),
        capacity_rebalance: settings.capacity_rebalance,
        warm_pool_configuration: group.warm_pool.clone(),
        warm_pool_size: group.warm_pool.as_ref().map(|_| 0),
        context: settings.context.clone(),
        desired_capacity_type: settings.desired_capacity_type.clone(),
        default_instance_warmup: group.default_instance_warmup.map(|span| number(span.as_secs())),
        instance_maintenance_policy: settings.instance_maintenance_policy.clone(),
        deletion_protection: settings.deletion_protection,
        availability_zone_distribution: Some(settings.zone_distribution.clone().unwrap_or(
            shapes::AvailabilityZoneDistribution {
                capacity_distribution_strategy: Some(
                    shapes::CapacityDistributionStrategy::BalancedBestEffort,
                ),
            },
        )),
        availability_zone_impairment_policy: Some(settings.zone_impairment_policy.clone().unwrap_or(
            shapes::AvailabilityZoneImpairmentPolicy {
                zonal_shift_enabled: Some(false),
                impaired_zone_health_check_behavior: Some(
                    shapes::ImpairedZoneHealthCheckBehavior::IgnoreUnhealthy,
                ),
            },
        )),
        capacity_reservation_specification: settings.capacity_reservation.clone(),
        instance_lifecycle_policy: settings.instance_lifecycle_policy.clone(),
    }
}

/// The role that Auto Scaling has in every account.
fn role(cx: &Engine) -> String {
    format!(
        "arn:aws:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
        cx.config.account
    )
}

/// What is due for a group: the comparison with its desired capacity, or its metrics.
pub(super) fn due(cx: &mut Engine, name: &Name) {
    let now = cx.now;
    let Some(group) = cx.autoscaling.groups.get(name) else { return };
    if group.reconcile_at.is_some_and(|at| at <= now) {
        capacity::reconcile(cx, name);
    } else if group.balance_at.is_some_and(|at| at <= now) {
        if let Some(mut row) = cx.autoscaling.groups.edit(name) {
            row.balance_at = None;
        }
        balance::want(cx, name);
    } else {
        super::metrics::put(cx, name);
    }
}
