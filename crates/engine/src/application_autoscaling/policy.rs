//! Scaling policies: put, described, deleted, and the alarms that target tracking owns.

use capstan_model::Span;
use capstan_shapes::{Refusal, application_autoscaling as shapes, cloudwatch};
use shapes::{PolicyType, ScalableDimension, ServiceNamespace};

use super::rows::{Name, Policy, PolicyIndex, PolicyKind, StepScaling, TargetTracking};
use super::{check_scaled, limit_exceeded, object_not_found, page_of, target, validation};
use crate::kernel::millionths;
use crate::scaling::{self, Adjustment, AdjustmentKind, Metric, OwnAlarm, Side, Step};
use crate::{Caller, Engine};

/// Policies of a target (Application Auto Scaling quotas).
const PER_TARGET_MAX: usize = 50;

/// Cooldowns of ECS services that say nothing, in seconds (API reference, TargetTrackingScalingPolicyConfiguration and
/// StepScalingPolicyConfiguration).
const COOLDOWN_DEFAULT: i32 = 300;

pub(super) fn put(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::PutScalingPolicyRequest,
) -> Result<shapes::PutScalingPolicyResponse, Refusal> {
    check_scaled(request.service_namespace, Some(request.scalable_dimension))?;
    let resource = target::find(cx, &request.resource_id)?.resource.clone();
    let name: Name = request.policy_name.as_str().into();
    let room = &cx.application_autoscaling;
    let before = room.policies.get(&(resource.clone(), name.clone())).cloned();
    if before.is_none() && room.policies.count_by(&PolicyIndex::Resource(resource.clone())) >= PER_TARGET_MAX
    {
        return Err(limit_exceeded(format!("A scalable target can have {PER_TARGET_MAX} scaling policies.")));
    }
    let given = [
        (request.step_scaling_policy_configuration.is_some(), PolicyType::StepScaling),
        (request.target_tracking_scaling_policy_configuration.is_some(), PolicyType::TargetTrackingScaling),
        (request.predictive_scaling_policy_configuration.is_some(), PolicyType::PredictiveScaling),
    ];
    let policy_type =
        request.policy_type.or_else(|| before.as_ref().map(type_of)).unwrap_or(PolicyType::StepScaling);
    if let Some((_, other)) = given.iter().find(|(given, of)| *given && *of != policy_type) {
        return Err(validation(format!(
            "A configuration for {other} does not go with the policy type {policy_type}"
        )));
    }
    let kind = match policy_type {
        PolicyType::StepScaling => PolicyKind::Step(step(request.step_scaling_policy_configuration)?),
        PolicyType::TargetTrackingScaling => {
            let configuration = request.target_tracking_scaling_policy_configuration;
            let tracking = target_tracking(cx, &resource, configuration, before.as_ref())?;
            PolicyKind::TargetTracking(Box::new(tracking))
        }
        PolicyType::PredictiveScaling => {
            return Err(validation(
                "Capstan makes no forecasts: policies of type PredictiveScaling are not built. Use TargetTrackingScaling, StepScaling or scheduled actions. See /_capstan/coverage.",
            ));
        }
    };
    let arn = match &before {
        Some(before) => before.arn.clone(),
        None => {
            let uuid = cx.chance.uuid("application-autoscaling.policy-id");
            let path = format!("scalingPolicy:{uuid}:resource/ecs/{resource}:policyName/{name}");
            cx.arn("autoscaling", path).into()
        }
    };
    let created = before.as_ref().map_or(cx.now, |before| before.created);
    let policy = Policy { resource, name, arn, created, kind };
    put_alarms(cx, &policy)?;
    if let Some(before) = before.filter(|before| type_of(before) != policy_type) {
        delete_alarms(cx, &before);
    }
    let reply = shapes::PutScalingPolicyResponse {
        policy_arn: policy.arn.to_string(),
        alarms: Some(alarms_of(cx, &policy)),
    };
    cx.application_autoscaling.policies.insert(policy);
    Ok(reply)
}

fn cooldown(seconds: Option<i32>, name: &str) -> Result<Span, Refusal> {
    match seconds.unwrap_or(COOLDOWN_DEFAULT) {
        seconds if seconds < 0 => Err(validation(format!("{name} must not be negative"))),
        seconds => Ok(Span::from_secs(seconds.into())),
    }
}

fn step(configuration: Option<shapes::StepScalingPolicyConfiguration>) -> Result<StepScaling, Refusal> {
    let configuration = configuration.ok_or_else(|| {
        validation("StepScalingPolicyConfiguration is required for a policy of type StepScaling")
    })?;
    let kind = configuration.adjustment_type.and_then(|kind| AdjustmentKind::parse(kind.as_str()));
    let kind =
        kind.ok_or_else(|| validation("AdjustmentType is required for a policy of type StepScaling"))?;
    let min_magnitude = configuration.min_adjustment_magnitude.map(i64::from);
    if min_magnitude.is_some_and(|least| least < 1 || kind != AdjustmentKind::PercentChangeInCapacity) {
        return Err(validation(
            "MinAdjustmentMagnitude must be at least 1 and is only supported with the adjustment type PercentChangeInCapacity",
        ));
    }
    let given = configuration.step_adjustments.iter().flatten().map(|step| {
        Step::new(step.metric_interval_lower_bound, step.metric_interval_upper_bound, step.scaling_adjustment)
    });
    Ok(StepScaling {
        adjustment: Adjustment { kind, min_magnitude },
        steps: scaling::read_steps(given).map_err(validation)?,
        cooldown: cooldown(configuration.cooldown, "Cooldown")?,
        configuration,
    })
}

fn target_tracking(
    cx: &mut Engine,
    resource: &Name,
    configuration: Option<shapes::TargetTrackingScalingPolicyConfiguration>,
    before: Option<&Policy>,
) -> Result<TargetTracking, Refusal> {
    let configuration = configuration.ok_or_else(|| {
        validation(
            "TargetTrackingScalingPolicyConfiguration is required for a policy of type TargetTrackingScaling",
        )
    })?;
    if configuration.target_value <= 0.0 || !configuration.target_value.is_finite() {
        return Err(validation("TargetValue must be a number above zero"));
    }
    check_metric(&configuration)?;
    let (alarm_high, alarm_low) = match before.map(|before| &before.kind) {
        Some(PolicyKind::TargetTracking(before)) => (before.alarm_high.clone(), before.alarm_low.clone()),
        _ => scaling::own_alarms(cx, "application-autoscaling.alarm-name", resource),
    };
    Ok(TargetTracking {
        target: millionths(configuration.target_value),
        scale_in: !configuration.disable_scale_in.unwrap_or(false),
        out_cooldown: cooldown(configuration.scale_out_cooldown, "ScaleOutCooldown")?,
        in_cooldown: cooldown(configuration.scale_in_cooldown, "ScaleInCooldown")?,
        alarm_high,
        alarm_low,
        scale_in_wish: None,
        configuration,
    })
}

fn check_metric(configuration: &shapes::TargetTrackingScalingPolicyConfiguration) -> Result<(), Refusal> {
    use shapes::MetricType;
    match (&configuration.predefined_metric_specification, &configuration.customized_metric_specification) {
        (Some(predefined), None) => {
            let label = predefined.resource_label.as_deref();
            match predefined.predefined_metric_type {
                MetricType::ECSServiceAverageCPUUtilization
                | MetricType::ECSServiceAverageMemoryUtilization => match label {
                    None => Ok(()),
                    Some(_) => Err(validation(format!(
                        "ResourceLabel must not be given for the predefined metric {}",
                        predefined.predefined_metric_type
                    ))),
                },
                MetricType::ALBRequestCountPerTarget => match label.and_then(scaling::resource_label) {
                    Some(_) => Ok(()),
                    None => Err(validation(
                        "ALBRequestCountPerTarget needs a ResourceLabel of the form app/NAME/ID/targetgroup/NAME/ID",
                    )),
                },
                other => Err(validation(format!(
                    "{other} is not a predefined metric of the service namespace ecs. Use ECSServiceAverageCPUUtilization, ECSServiceAverageMemoryUtilization or ALBRequestCountPerTarget"
                ))),
            }
        }
        (None, Some(custom)) => {
            let plain =
                custom.metric_name.is_some() && custom.namespace.is_some() && custom.statistic.is_some();
            let beside = custom.metric_name.is_some()
                || custom.namespace.is_some()
                || custom.statistic.is_some()
                || custom.unit.is_some()
                || custom.dimensions.as_ref().is_some_and(|dimensions| !dimensions.is_empty());
            let queries = custom.metrics.as_ref().is_some_and(|queries| !queries.is_empty());
            match (queries, plain, beside) {
                (true, _, false) | (false, true, _) => Ok(()),
                (true, ..) => Err(validation(
                    "Metrics of a CustomizedMetricSpecification does not go with MetricName, Namespace, Dimensions, Statistic or Unit",
                )),
                (false, false, _) => Err(validation(
                    "CustomizedMetricSpecification needs MetricName, Namespace and Statistic, or Metrics",
                )),
            }
        }
        _ => Err(validation(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified",
        )),
    }
}

fn metric(resource: &str, configuration: &shapes::TargetTrackingScalingPolicyConfiguration) -> Metric {
    use shapes::MetricType;
    if let Some(predefined) = &configuration.predefined_metric_specification {
        let name = match predefined.predefined_metric_type {
            MetricType::ALBRequestCountPerTarget => {
                return Metric::requests_per_target(predefined.resource_label.as_deref().unwrap_or_default());
            }
            MetricType::ECSServiceAverageMemoryUtilization => "MemoryUtilization",
            _ => "CPUUtilization",
        };
        let (cluster, service) =
            resource.strip_prefix("service/").and_then(|rest| rest.split_once('/')).unwrap_or_default();
        let dimensions = [("ClusterName", cluster), ("ServiceName", service)];
        return Metric::average("AWS/ECS", name, &dimensions, Some(cloudwatch::StandardUnit::Percent));
    }
    let Some(custom) = &configuration.customized_metric_specification else { return Metric::default() };
    let dimensions = custom.dimensions.iter().flatten().map(|each| (each.name.clone(), each.value.clone()));
    let queries = custom.metrics.as_ref().filter(|queries| !queries.is_empty());
    Metric {
        namespace: custom.namespace.clone(),
        name: custom.metric_name.clone(),
        statistic: custom.statistic.and_then(|statistic| cloudwatch::Statistic::parse(statistic.as_str())),
        dimensions: dimensions.collect(),
        unit: custom.unit.as_deref().and_then(cloudwatch::StandardUnit::parse),
        period: 60,
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
                namespace: stat.metric.namespace.clone(),
                metric_name: stat.metric.metric_name.clone(),
                dimensions: Some(dimensions.collect()),
            },
            // Target tracking looks at one-minute aggregates.
            period: 60,
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
        period: None,
        account_id: None,
    }
}

fn put_alarms(cx: &mut Engine, policy: &Policy) -> Result<(), Refusal> {
    let PolicyKind::TargetTracking(tracking) = &policy.kind else { return Ok(()) };
    let metric = metric(&policy.resource, &tracking.configuration);
    let sides = Side::generic(tracking.configuration.target_value);
    let alarms = [&tracking.alarm_high, &tracking.alarm_low];
    let caller = Caller::APPLICATION_AUTOSCALING;
    // What CloudWatch refuses of the metric is wrong with the policy.
    scaling::put_alarms(cx, &caller, &policy.arn, alarms, &metric, sides)
        .map_err(|refusal| validation(refusal.message))
}

fn delete_alarms(cx: &mut Engine, policy: &Policy) {
    if let PolicyKind::TargetTracking(tracking) = &policy.kind {
        let alarms = [&tracking.alarm_high, &tracking.alarm_low];
        scaling::delete_alarms(cx, &Caller::APPLICATION_AUTOSCALING, alarms);
    }
}

/// Removes the policies of a target with the alarms that they own.
pub(super) fn remove_all(cx: &mut Engine, resource: &Name) {
    for key in cx.application_autoscaling.policies.keys_by(&PolicyIndex::Resource(resource.clone())) {
        if let Some(policy) = cx.application_autoscaling.policies.remove(&key) {
            delete_alarms(cx, &policy);
        }
    }
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteScalingPolicyRequest,
) -> Result<shapes::DeleteScalingPolicyResponse, Refusal> {
    check_scaled(request.service_namespace, Some(request.scalable_dimension))?;
    let key = (Name::from(request.resource_id.as_str()), Name::from(request.policy_name.as_str()));
    let policy = cx.application_autoscaling.policies.remove(&key);
    let policy = policy.ok_or_else(|| {
        object_not_found(&format!("scaling policy {} found", request.policy_name), &request.resource_id)
    })?;
    delete_alarms(cx, &policy);
    Ok(shapes::DeleteScalingPolicyResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeScalingPoliciesRequest,
) -> Result<shapes::DescribeScalingPoliciesResponse, Refusal> {
    check_scaled(request.service_namespace, request.scalable_dimension)?;
    let names = request.policy_names.unwrap_or_default();
    let wanted = |policy: &&Policy| {
        request.resource_id.as_deref().is_none_or(|id| *id == *policy.resource)
            && (names.is_empty() || names.iter().any(|name| **name == *policy.name || **name == *policy.arn))
    };
    let rows = cx.application_autoscaling.policies.iter().filter(wanted);
    // A character that no name may hold keeps the order of the keys that of the table.
    let key = |policy: &&Policy| format!("{}\u{1}{}", policy.resource, policy.name);
    let page = page_of(rows, key, request.next_token.as_deref(), request.max_results)?;
    Ok(shapes::DescribeScalingPoliciesResponse {
        scaling_policies: Some(page.items.into_iter().map(|policy| shape(cx, policy)).collect()),
        next_token: page.next,
    })
}

fn type_of(policy: &Policy) -> PolicyType {
    match policy.kind {
        PolicyKind::Step(_) => PolicyType::StepScaling,
        PolicyKind::TargetTracking(_) => PolicyType::TargetTrackingScaling,
    }
}

/// The alarms that a policy shows: its own ones, or those of users that name it among their actions.
fn alarms_of(cx: &Engine, policy: &Policy) -> Vec<shapes::Alarm> {
    let alarms = match &policy.kind {
        PolicyKind::TargetTracking(tracking) => vec![tracking.alarm_high.clone(), tracking.alarm_low.clone()],
        PolicyKind::Step(_) => scaling::alarms_naming(cx, &policy.arn),
    };
    let shape = |alarm: OwnAlarm| shapes::Alarm { alarm_name: alarm.name, alarm_arn: alarm.arn };
    alarms.into_iter().map(shape).collect()
}

fn shape(cx: &Engine, policy: &Policy) -> shapes::ScalingPolicy {
    let (step, tracking) = match &policy.kind {
        PolicyKind::Step(step) => (Some(step.configuration.clone()), None),
        PolicyKind::TargetTracking(tracking) => (None, Some(tracking.configuration.clone())),
    };
    shapes::ScalingPolicy {
        policy_arn: policy.arn.to_string(),
        policy_name: policy.name.to_string(),
        service_namespace: ServiceNamespace::Ecs,
        resource_id: policy.resource.to_string(),
        scalable_dimension: ScalableDimension::EcsServiceDesiredCount,
        policy_type: type_of(policy),
        step_scaling_policy_configuration: step,
        target_tracking_scaling_policy_configuration: tracking,
        predictive_scaling_policy_configuration: None,
        alarms: Some(alarms_of(cx, policy)),
        creation_time: policy.created,
    }
}
