//! Scaling policies: put, describe, delete, and the alarms that target tracking owns.

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::{autoscaling as shapes, cloudwatch};

use super::rows::{
    Adjustment, AdjustmentKind, Name, OwnAlarm, Policy, PolicyIndex, PolicyKind, Step, TargetTracking,
};
use super::{invalid, invalid_token, number};
use crate::kernel::{millionths, page};
use crate::scaling::{self, Metric, Side};
use crate::{Caller, Engine};

/// Policies of a group (Auto Scaling quotas).
const PER_GROUP_MAX: usize = 50;

/// What ECS names its policies, and the metric that they follow (ecs.md §4.3).
const ECS_POLICY_PREFIX: &str = "ECSManagedAutoScalingPolicy-";
const ECS_NAMESPACE: &str = "AWS/ECS/ManagedScaling";
const ECS_METRIC: &str = "CapacityProviderReservation";

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutScalingPolicyRequest,
) -> Result<shapes::PutScalingPolicyResponse, Refusal> {
    let group = find_group(cx, &request.auto_scaling_group_name)?;
    let name: Name = request.policy_name.as_str().into();
    let before = cx.autoscaling.policies.get(&(group.clone(), name.clone())).cloned();
    let count = cx.autoscaling.policies.count_by(&PolicyIndex::Group(group.clone()));
    if before.is_none() && count >= PER_GROUP_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_FAULT,
            format!(
                "The number of scaling policies of group {group} would exceed the limit of {PER_GROUP_MAX}."
            ),
        ));
    }
    let kind = match request.policy_type.as_deref().unwrap_or("SimpleScaling") {
        "SimpleScaling" => simple(&request)?,
        "StepScaling" => step(&request)?,
        "TargetTrackingScaling" => {
            let tracking = target_tracking(cx, &group, &name, &request, before.as_ref())?;
            PolicyKind::TargetTracking(Box::new(tracking))
        }
        "PredictiveScaling" => {
            let configuration = request.predictive_scaling_configuration.clone().ok_or_else(|| {
                invalid("PredictiveScalingConfiguration is required for a policy of type PredictiveScaling")
            })?;
            PolicyKind::Predictive(Box::new(configuration))
        }
        other => {
            return Err(invalid(format!(
                "{other} is not a valid policy type. Valid values are: SimpleScaling, StepScaling, TargetTrackingScaling, \
                 PredictiveScaling"
            )));
        }
    };
    let arn = match &before {
        Some(before) => before.arn.clone(),
        None => {
            let uuid = cx.chance.uuid("autoscaling.policy-id");
            let resource = format!("scalingPolicy:{uuid}:autoScalingGroupName/{group}:policyName/{name}");
            Name::from(cx.arn("autoscaling", resource))
        }
    };
    let policy = Policy { group, name, arn, enabled: request.enabled.unwrap_or(true), kind };
    put_alarms(cx, &policy)?;
    if let Some(Policy { kind: PolicyKind::TargetTracking(old), .. }) = before
        && !matches!(policy.kind, PolicyKind::TargetTracking(_))
    {
        delete_alarms(cx, &old);
    }
    let reply = shapes::PutScalingPolicyResponse {
        policy_arn: Some(policy.arn.to_string()),
        alarms: Some(alarms_of(cx, &policy)),
    };
    cx.autoscaling.policies.insert(policy);
    Ok(reply)
}

fn find_group(cx: &Engine, name: &str) -> Result<Name, Refusal> {
    let group = cx.autoscaling.groups.get(&Name::from(name)).filter(|group| !group.deleting);
    group.map(|group| group.name.clone()).ok_or_else(|| invalid(format!("Group {name} not found")))
}

fn adjustment(request: &shapes::PutScalingPolicyRequest) -> Result<Adjustment, Refusal> {
    let text = request.adjustment_type.as_deref().ok_or_else(|| {
        invalid("AdjustmentType is required for policies of type SimpleScaling and StepScaling")
    })?;
    let kind = AdjustmentKind::parse(text).ok_or_else(|| {
        let valid = AdjustmentKind::ALL.map(AdjustmentKind::as_str).join(", ");
        invalid(format!("{text} is not a valid adjustment type. Valid values are: {valid}"))
    })?;
    let min_magnitude = request.min_adjustment_magnitude.or(request.min_adjustment_step).map(i64::from);
    if min_magnitude.is_some() && kind != AdjustmentKind::PercentChangeInCapacity {
        return Err(invalid(
            "MinAdjustmentMagnitude is only supported with the adjustment type PercentChangeInCapacity",
        ));
    }
    Ok(Adjustment { kind, min_magnitude })
}

fn simple(request: &shapes::PutScalingPolicyRequest) -> Result<PolicyKind, Refusal> {
    if request.step_adjustments.as_ref().is_some_and(|steps| !steps.is_empty()) {
        return Err(invalid("StepAdjustments are only supported for policies of type StepScaling"));
    }
    let amount = request
        .scaling_adjustment
        .ok_or_else(|| invalid("ScalingAdjustment is required for policies of type SimpleScaling"))?;
    Ok(PolicyKind::Simple {
        adjustment: adjustment(request)?,
        amount: amount.into(),
        cooldown: request.cooldown.map(|secs| Span::from_secs(secs.into())),
    })
}

/// Whether the request sets a cooldown for a policy that has none. Zero says as much as nothing: Terraform sends it with
/// every update (observed).
fn has_cooldown(request: &shapes::PutScalingPolicyRequest) -> bool {
    request.cooldown.is_some_and(|secs| secs != 0)
}

fn step(request: &shapes::PutScalingPolicyRequest) -> Result<PolicyKind, Refusal> {
    if has_cooldown(request) || request.scaling_adjustment.is_some() {
        return Err(invalid(
            "Cooldown and ScalingAdjustment are only supported for policies of type SimpleScaling",
        ));
    }
    let given = request.step_adjustments.iter().flatten().map(|step| {
        Step::new(step.metric_interval_lower_bound, step.metric_interval_upper_bound, step.scaling_adjustment)
    });
    let steps = scaling::read_steps(given).map_err(invalid)?;
    let aggregation = request.metric_aggregation_type.clone().unwrap_or_else(|| "Average".to_owned());
    if !["Minimum", "Maximum", "Average"].contains(&aggregation.as_str()) {
        return Err(invalid(format!(
            "{aggregation} is not a valid metric aggregation type. Valid values are: Minimum, Maximum, Average"
        )));
    }
    Ok(PolicyKind::Step {
        adjustment: adjustment(request)?,
        steps,
        aggregation,
        warmup: request.estimated_instance_warmup.map(|secs| Span::from_secs(secs.into())),
    })
}

fn target_tracking(
    cx: &mut Engine,
    group: &Name,
    name: &Name,
    request: &shapes::PutScalingPolicyRequest,
    before: Option<&Policy>,
) -> Result<TargetTracking, Refusal> {
    let configuration = request.target_tracking_configuration.clone().ok_or_else(|| {
        invalid("TargetTrackingConfiguration is required for a policy of type TargetTrackingScaling")
    })?;
    if request.adjustment_type.is_some()
        || request.scaling_adjustment.is_some()
        || has_cooldown(request)
        || request.step_adjustments.as_ref().is_some_and(|steps| !steps.is_empty())
    {
        return Err(invalid(
            "AdjustmentType, ScalingAdjustment, Cooldown and StepAdjustments are not supported for policies of type \
             TargetTrackingScaling",
        ));
    }
    let customized = configuration.customized_metric_specification.as_ref();
    if customized.is_some() == configuration.predefined_metric_specification.is_some() {
        return Err(invalid(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified",
        ));
    }
    if configuration.target_value <= 0.0 || !configuration.target_value.is_finite() {
        return Err(invalid("TargetValue must be a number above zero"));
    }
    check_metric(&configuration)?;
    let managed_by_ecs = name.starts_with(ECS_POLICY_PREFIX)
        && customized.is_some_and(|metric| {
            metric.namespace.as_deref() == Some(ECS_NAMESPACE)
                && metric.metric_name.as_deref() == Some(ECS_METRIC)
        });
    let (alarm_high, alarm_low) = match before.map(|before| &before.kind) {
        Some(PolicyKind::TargetTracking(before)) => (before.alarm_high.clone(), before.alarm_low.clone()),
        _ => scaling::own_alarms(cx, "autoscaling.alarm-name", group),
    };
    Ok(TargetTracking {
        target: millionths(configuration.target_value),
        scale_in: !configuration.disable_scale_in.unwrap_or(false),
        warmup: request.estimated_instance_warmup.map(|secs| Span::from_secs(secs.into())),
        managed_by_ecs,
        alarm_high,
        alarm_low,
        scale_in_wish: None,
        configuration,
    })
}

fn check_metric(configuration: &shapes::TargetTrackingConfiguration) -> Result<(), Refusal> {
    if let Some(predefined) = &configuration.predefined_metric_specification {
        let by_target = predefined.predefined_metric_type == shapes::MetricType::ALBRequestCountPerTarget;
        if by_target != predefined.resource_label.is_some() {
            return Err(invalid(
                "ResourceLabel is required for the metric ALBRequestCountPerTarget, and only for it",
            ));
        }
        if predefined.resource_label.as_deref().is_some_and(|label| scaling::resource_label(label).is_none())
        {
            return Err(invalid("ResourceLabel must be of the form app/NAME/ID/targetgroup/NAME/ID"));
        }
    }
    if let Some(metric) = &configuration.customized_metric_specification
        && metric.metrics.as_ref().is_none_or(Vec::is_empty)
        && (metric.metric_name.is_none() || metric.namespace.is_none() || metric.statistic.is_none())
    {
        return Err(invalid(
            "CustomizedMetricSpecification needs MetricName, Namespace and Statistic, or Metrics",
        ));
    }
    Ok(())
}

fn metric(group: &str, configuration: &shapes::TargetTrackingConfiguration) -> Metric {
    if let Some(predefined) = &configuration.predefined_metric_specification {
        let of_group =
            |name: &str, unit| Metric::average("AWS/EC2", name, &[("AutoScalingGroupName", group)], unit);
        return match predefined.predefined_metric_type {
            shapes::MetricType::ASGAverageCPUUtilization => {
                of_group("CPUUtilization", Some(cloudwatch::StandardUnit::Percent))
            }
            shapes::MetricType::ASGAverageNetworkIn => of_group("NetworkIn", None),
            shapes::MetricType::ASGAverageNetworkOut => of_group("NetworkOut", None),
            shapes::MetricType::ALBRequestCountPerTarget => {
                Metric::requests_per_target(predefined.resource_label.as_deref().unwrap_or_default())
            }
        };
    }
    let Some(custom) = &configuration.customized_metric_specification else { return Metric::default() };
    let statistic = custom.statistic.and_then(|statistic| cloudwatch::Statistic::parse(statistic.as_str()));
    let dimensions = custom.dimensions.iter().flatten().map(|each| (each.name.clone(), each.value.clone()));
    let queries = custom.metrics.as_ref().filter(|queries| !queries.is_empty());
    Metric {
        namespace: custom.namespace.clone(),
        name: custom.metric_name.clone(),
        statistic,
        dimensions: dimensions.collect(),
        unit: custom.unit.as_deref().and_then(cloudwatch::StandardUnit::parse),
        period: custom.period.unwrap_or(60),
        queries: queries.map(|queries| queries.iter().map(query).collect()),
    }
}

fn query(given: &shapes::TargetTrackingMetricDataQuery) -> cloudwatch::MetricDataQuery {
    let stat = given.metric_stat.as_ref().map(|stat| {
        let dimensions = stat.metric.dimensions.iter().flatten();
        let dimensions = dimensions
            .map(|each| cloudwatch::Dimension { name: each.name.clone(), value: each.value.clone() });
        cloudwatch::MetricStat {
            metric: cloudwatch::Metric {
                namespace: Some(stat.metric.namespace.clone()),
                metric_name: Some(stat.metric.metric_name.clone()),
                dimensions: Some(dimensions.collect()),
            },
            period: stat.period.or(given.period).unwrap_or(60),
            stat: stat.stat.clone(),
            unit: stat.unit.as_deref().and_then(cloudwatch::StandardUnit::parse),
        }
    });
    cloudwatch::MetricDataQuery {
        id: given.id.clone(),
        metric_stat: stat,
        expression: given.expression.clone(),
        label: given.label.clone(),
        return_data: given.return_data,
        period: given.period,
        account_id: None,
    }
}

fn put_alarms(cx: &mut Engine, policy: &Policy) -> Result<(), Refusal> {
    let PolicyKind::TargetTracking(tracking) = &policy.kind else { return Ok(()) };
    let target = tracking.configuration.target_value;
    let sides = if tracking.managed_by_ecs { Side::managed_by_ecs(target) } else { Side::generic(target) };
    let metric = metric(&policy.group, &tracking.configuration);
    let alarms = [&tracking.alarm_high, &tracking.alarm_low];
    scaling::put_alarms(cx, &Caller::AUTOSCALING, &policy.arn, alarms, &metric, sides)
}

fn delete_alarms(cx: &mut Engine, tracking: &TargetTracking) {
    scaling::delete_alarms(cx, &Caller::AUTOSCALING, [&tracking.alarm_high, &tracking.alarm_low]);
}

/// Removes a policy and the alarms that it owns.
pub(super) fn remove(cx: &mut Engine, key: &(Name, Name)) {
    let Some(policy) = cx.autoscaling.policies.remove(key) else { return };
    if let PolicyKind::TargetTracking(tracking) = &policy.kind {
        delete_alarms(cx, tracking);
    }
}

/// The policy of that name or ARN.
pub(super) fn find(cx: &Engine, group: Option<&str>, name: &str) -> Result<Policy, Refusal> {
    let found = if name.starts_with("arn:") {
        cx.autoscaling.policies.by(&PolicyIndex::Arn(name.into())).next()
    } else {
        let group = group.ok_or_else(|| {
            invalid("AutoScalingGroupName is required when the policy is given by its name")
        })?;
        let group = find_group(cx, group)?;
        cx.autoscaling.policies.get(&(group, name.into()))
    };
    found.cloned().ok_or_else(|| invalid(format!("Policy {name} not found")))
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeletePolicyRequest,
) -> Result<shapes::DeletePolicyResponse, Refusal> {
    let policy = find(cx, request.auto_scaling_group_name.as_deref(), &request.policy_name)?;
    remove(cx, &(policy.group, policy.name));
    Ok(shapes::DeletePolicyResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribePoliciesRequest,
) -> Result<shapes::DescribePoliciesResponse, Refusal> {
    if let Some(group) = request.auto_scaling_group_name.as_deref() {
        super::group::find(cx, group)?;
    }
    let (names, types) = (request.policy_names.unwrap_or_default(), request.policy_types.unwrap_or_default());
    let rows = cx.autoscaling.policies.iter().filter(|policy| {
        request.auto_scaling_group_name.as_deref().is_none_or(|group| *group == *policy.group)
            && (names.is_empty() || names.iter().any(|name| **name == *policy.name || **name == *policy.arn))
            && (types.is_empty() || types.iter().any(|name| name == type_of(policy)))
    });
    let size = usize::try_from(request.max_records.unwrap_or(50)).unwrap_or(50).min(100);
    // A character that no name may hold keeps the order of the keys that of the table.
    let key = |policy: &&Policy| format!("{}\u{1}{}", policy.group, policy.name);
    let page = page(rows, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    Ok(shapes::DescribePoliciesResponse {
        scaling_policies: Some(page.items.into_iter().map(|policy| shape(cx, policy)).collect()),
        next_token: page.next,
    })
}

fn type_of(policy: &Policy) -> &'static str {
    match &policy.kind {
        PolicyKind::Predictive(_) => "PredictiveScaling",
        PolicyKind::Simple { .. } => "SimpleScaling",
        PolicyKind::Step { .. } => "StepScaling",
        PolicyKind::TargetTracking(_) => "TargetTrackingScaling",
    }
}

/// The alarms that a policy shows: its own ones, or those of users that name it among their actions.
fn alarms_of(cx: &Engine, policy: &Policy) -> Vec<shapes::Alarm> {
    let alarms = match &policy.kind {
        PolicyKind::TargetTracking(tracking) => vec![tracking.alarm_high.clone(), tracking.alarm_low.clone()],
        _ => scaling::alarms_naming(cx, &policy.arn),
    };
    let shape = |alarm: OwnAlarm| shapes::Alarm { alarm_name: Some(alarm.name), alarm_arn: Some(alarm.arn) };
    alarms.into_iter().map(shape).collect()
}

fn shape(cx: &Engine, policy: &Policy) -> shapes::ScalingPolicy {
    let secs = |span: Span| number(span.as_secs());
    let mut shape = shapes::ScalingPolicy {
        auto_scaling_group_name: Some(policy.group.to_string()),
        policy_name: Some(policy.name.to_string()),
        policy_arn: Some(policy.arn.to_string()),
        policy_type: Some(type_of(policy).to_owned()),
        alarms: Some(alarms_of(cx, policy)),
        enabled: Some(policy.enabled),
        step_adjustments: Some(Vec::new()),
        ..Default::default()
    };
    let mut adjust = |adjustment: &Adjustment| {
        shape.adjustment_type = Some(adjustment.kind.as_str().to_owned());
        shape.min_adjustment_magnitude = adjustment.min_magnitude.map(number);
    };
    match &policy.kind {
        PolicyKind::Predictive(configuration) => {
            shape.predictive_scaling_configuration = Some((**configuration).clone());
        }
        PolicyKind::Simple { adjustment, amount, cooldown } => {
            adjust(adjustment);
            shape.scaling_adjustment = Some(number(*amount));
            shape.cooldown = cooldown.map(secs);
        }
        PolicyKind::Step { adjustment, steps, aggregation, warmup } => {
            adjust(adjustment);
            shape.step_adjustments = Some(steps.iter().map(step_shape).collect());
            shape.metric_aggregation_type = Some(aggregation.clone());
            shape.estimated_instance_warmup = warmup.map(secs);
        }
        PolicyKind::TargetTracking(tracking) => {
            shape.target_tracking_configuration = Some(tracking.configuration.clone());
            shape.estimated_instance_warmup = tracking.warmup.map(secs);
        }
    }
    shape
}

fn step_shape(step: &Step) -> shapes::StepAdjustment {
    let (lower, upper) = step.bounds();
    shapes::StepAdjustment {
        metric_interval_lower_bound: lower,
        metric_interval_upper_bound: upper,
        scaling_adjustment: number(step.amount),
    }
}
