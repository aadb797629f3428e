//! Scaling policies: put, describe, delete, and the alarms that target tracking owns.

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::{autoscaling as shapes, cloudwatch};

use super::rows::{
    Adjustment, AdjustmentKind, Name, OwnAlarm, Policy, PolicyIndex, PolicyKind, Step, TargetTracking,
};
use super::{invalid, invalid_token, number};
use crate::kernel::{millionths, page};
use crate::{Caller, Engine};

/// Policies of a group, and steps of a policy (Auto Scaling quotas).
const PER_GROUP_MAX: usize = 50;
const STEPS_MAX: usize = 20;

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

fn step(request: &shapes::PutScalingPolicyRequest) -> Result<PolicyKind, Refusal> {
    if request.cooldown.is_some() || request.scaling_adjustment.is_some() {
        return Err(invalid(
            "Cooldown and ScalingAdjustment are only supported for policies of type SimpleScaling",
        ));
    }
    let steps = steps(request.step_adjustments.as_deref().unwrap_or_default())?;
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

/// Reads steps: no gap, no overlap, at most one open end on each side (ASG guide, as-scaling-simple-step).
fn steps(given: &[shapes::StepAdjustment]) -> Result<Vec<Step>, Refusal> {
    if given.is_empty() || given.len() > STEPS_MAX {
        return Err(invalid(format!(
            "A policy of type StepScaling needs from 1 to {STEPS_MAX} StepAdjustments"
        )));
    }
    let mut steps: Vec<Step> = given
        .iter()
        .map(|each| Step {
            lower: each.metric_interval_lower_bound.map(millionths),
            upper: each.metric_interval_upper_bound.map(millionths),
            amount: each.scaling_adjustment.into(),
            shape: each.clone(),
        })
        .collect();
    steps.sort_by_key(|step| step.lower.unwrap_or(i64::MIN));
    for step in &steps {
        let empty = matches!((step.lower, step.upper), (Some(lower), Some(upper)) if lower >= upper);
        if empty || (step.lower.is_none() && step.upper.is_none()) {
            return Err(invalid("Each StepAdjustment needs bounds, the lower one below the upper one"));
        }
    }
    for pair in steps.windows(2) {
        match (pair[0].upper, pair[1].lower) {
            (Some(upper), Some(lower)) if upper == lower => {}
            (Some(upper), Some(lower)) if upper < lower => {
                return Err(invalid("There is a gap between the StepAdjustments"));
            }
            _ => return Err(invalid("The StepAdjustments overlap")),
        }
    }
    let (first, last) = (&steps[0], &steps[steps.len() - 1]);
    if first.lower.is_some_and(|lower| lower < 0) {
        return Err(invalid("With a negative lower bound, one step must have no lower bound"));
    }
    if last.upper.is_some_and(|upper| upper > 0) {
        return Err(invalid("With a positive upper bound, one step must have no upper bound"));
    }
    Ok(steps)
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
        || request.cooldown.is_some()
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
        _ => (own_alarm(cx, group, "AlarmHigh"), own_alarm(cx, group, "AlarmLow")),
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
        if by_target && resource_label(predefined).is_none() {
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

/// The values of the dimensions LoadBalancer and TargetGroup out of `app/NAME/ID/targetgroup/NAME/ID`.
fn resource_label(predefined: &shapes::PredefinedMetricSpecification) -> Option<(String, String)> {
    let label = predefined.resource_label.as_deref()?;
    let at = label.find("/targetgroup/")?;
    let (balancer, group) = (&label[..at], &label[at + 1..]);
    (balancer.split('/').count() == 3 && group.split('/').count() == 3)
        .then(|| (balancer.to_owned(), group.to_owned()))
}

fn own_alarm(cx: &mut Engine, group: &str, side: &str) -> OwnAlarm {
    let uuid = cx.chance.uuid("autoscaling.alarm-name");
    let name = format!("TargetTracking-{group}-{side}-{uuid}");
    let arn = cx.arn("cloudwatch", format!("alarm:{name}"));
    OwnAlarm { name, arn }
}

/// What an alarm looks at.
#[derive(Default)]
struct Metric {
    namespace: Option<String>,
    name: Option<String>,
    statistic: Option<cloudwatch::Statistic>,
    dimensions: Vec<(String, String)>,
    unit: Option<cloudwatch::StandardUnit>,
    period: i32,
    queries: Option<Vec<cloudwatch::MetricDataQuery>>,
}

fn metric(group: &str, configuration: &shapes::TargetTrackingConfiguration) -> Metric {
    if let Some(predefined) = &configuration.predefined_metric_specification {
        let of_group = |name: &str, unit| Metric {
            namespace: Some("AWS/EC2".to_owned()),
            name: Some(name.to_owned()),
            statistic: Some(cloudwatch::Statistic::Average),
            dimensions: vec![("AutoScalingGroupName".to_owned(), group.to_owned())],
            unit,
            period: 60,
            queries: None,
        };
        return match predefined.predefined_metric_type {
            shapes::MetricType::ASGAverageCPUUtilization => {
                of_group("CPUUtilization", Some(cloudwatch::StandardUnit::Percent))
            }
            shapes::MetricType::ASGAverageNetworkIn => of_group("NetworkIn", None),
            shapes::MetricType::ASGAverageNetworkOut => of_group("NetworkOut", None),
            shapes::MetricType::ALBRequestCountPerTarget => {
                let (balancer, target_group) = resource_label(predefined).unwrap_or_default();
                Metric {
                    namespace: Some("AWS/ApplicationELB".to_owned()),
                    name: Some("RequestCountPerTarget".to_owned()),
                    statistic: Some(cloudwatch::Statistic::Sum),
                    dimensions: vec![
                        ("LoadBalancer".to_owned(), balancer),
                        ("TargetGroup".to_owned(), target_group),
                    ],
                    unit: None,
                    period: 60,
                    queries: None,
                }
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

/// Makes the two alarms of a target tracking policy what they shall be: above the target for scale-out, below nine
/// tenths of it for scale-in; for ECS managed scaling the target itself both ways, and one minute for scale-out.
fn put_alarms(cx: &mut Engine, policy: &Policy) -> Result<(), Refusal> {
    let PolicyKind::TargetTracking(tracking) = &policy.kind else { return Ok(()) };
    let target = tracking.configuration.target_value;
    let sides = if tracking.managed_by_ecs {
        [(true, target, 1), (false, target, 15)]
    } else {
        // Nine tenths of the published target, as exported alarms show them (70 → 63).
        [(true, target, 3), (false, millionths(target) as f64 * 9.0 / 10_000_000.0, 15)]
    };
    for (high, threshold, periods) in sides {
        let metric = metric(&policy.group, &tracking.configuration);
        let alarm = if high { &tracking.alarm_high } else { &tracking.alarm_low };
        let dimensions = metric.dimensions.into_iter();
        let dimensions = dimensions.map(|(name, value)| cloudwatch::Dimension { name, value });
        let period = metric.queries.is_none().then_some(metric.period);
        let request = cloudwatch::PutMetricAlarmRequest {
            alarm_name: alarm.name.clone(),
            alarm_description: Some(format!(
                "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {}.",
                policy.arn
            )),
            actions_enabled: Some(true),
            alarm_actions: Some(vec![policy.arn.to_string()]),
            metric_name: metric.name,
            namespace: metric.namespace,
            statistic: metric.statistic,
            dimensions: metric.queries.is_none().then(|| dimensions.collect()),
            period,
            unit: metric.unit,
            evaluation_periods: Some(periods),
            threshold: Some(threshold),
            comparison_operator: Some(if high {
                cloudwatch::ComparisonOperator::GreaterThanThreshold
            } else {
                cloudwatch::ComparisonOperator::LessThanThreshold
            }),
            treat_missing_data: Some("missing".to_owned()),
            metrics: metric.queries,
            ..Default::default()
        };
        cx.call(Caller::AUTOSCALING, request)?;
    }
    Ok(())
}

fn delete_alarms(cx: &mut Engine, tracking: &TargetTracking) {
    let alarm_names = vec![tracking.alarm_high.name.clone(), tracking.alarm_low.name.clone()];
    // Alarms that a user has deleted meanwhile are no reason to keep the policy.
    let _ = cx.call(Caller::AUTOSCALING, cloudwatch::DeleteAlarmsRequest { alarm_names });
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
    let shape = |name: &str, arn: &str| shapes::Alarm {
        alarm_name: Some(name.to_owned()),
        alarm_arn: Some(arn.to_owned()),
    };
    if let PolicyKind::TargetTracking(tracking) = &policy.kind {
        let own = [&tracking.alarm_high, &tracking.alarm_low];
        return own.into_iter().map(|alarm| shape(&alarm.name, &alarm.arn)).collect();
    }
    let invokes = |actions: &[String]| actions.iter().any(|action| **action == *policy.arn);
    let alarms = cx.cloudwatch.alarms().iter().filter(|alarm| {
        let settings = &alarm.settings;
        invokes(&settings.alarm_actions)
            || invokes(&settings.ok_actions)
            || invokes(&settings.insufficient_data_actions)
    });
    alarms.map(|alarm| shape(&alarm.name, &cx.arn("cloudwatch", format!("alarm:{}", alarm.name)))).collect()
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
            shape.step_adjustments = Some(steps.iter().map(|step| step.shape.clone()).collect());
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
