//! The alarms that target tracking policies own (spec: autoscaling.md §12.1, application-autoscaling.md §2).

use capstan_shapes::{Refusal, cloudwatch};

use crate::kernel::millionths;
use crate::{Caller, Engine};

/// An alarm that a policy has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAlarm {
    pub name: String,
    pub arn: String,
}

/// Names for the two alarms of a policy over that group or resource: above the target, below it.
pub(crate) fn own_alarms(cx: &mut Engine, purpose: &'static str, scaled: &str) -> (OwnAlarm, OwnAlarm) {
    let mut own = |side: &str| {
        let uuid = cx.chance.uuid(purpose);
        let name = format!("TargetTracking-{scaled}-{side}-{uuid}");
        let arn = cx.arn("cloudwatch", format!("alarm:{name}"));
        OwnAlarm { name, arn }
    };
    (own("AlarmHigh"), own("AlarmLow"))
}

/// What the alarms look at: one metric, or queries of which one returns data.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metric {
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) statistic: Option<cloudwatch::Statistic>,
    pub(crate) dimensions: Vec<(String, String)>,
    pub(crate) unit: Option<cloudwatch::StandardUnit>,
    /// Seconds.
    pub(crate) period: i32,
    pub(crate) queries: Option<Vec<cloudwatch::MetricDataQuery>>,
}

impl Metric {
    /// An average of an AWS service's own metric, minute by minute.
    pub(crate) fn average(
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        unit: Option<cloudwatch::StandardUnit>,
    ) -> Self {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            statistic: Some(cloudwatch::Statistic::Average),
            dimensions: dimensions.collect(),
            unit,
            period: 60,
            queries: None,
        }
    }

    /// `ALBRequestCountPerTarget` of that resource label, which must fit.
    pub(crate) fn requests_per_target(label: &str) -> Self {
        let (balancer, group) = resource_label(label).unwrap_or_default();
        let dimensions = [("LoadBalancer", balancer.as_str()), ("TargetGroup", group.as_str())];
        let metric = Self::average("AWS/ApplicationELB", "RequestCountPerTarget", &dimensions, None);
        Self { statistic: Some(cloudwatch::Statistic::Sum), ..metric }
    }
}

/// The values of the dimensions LoadBalancer and TargetGroup out of `app/NAME/ID/targetgroup/NAME/ID`.
pub(crate) fn resource_label(label: &str) -> Option<(String, String)> {
    let at = label.find("/targetgroup/")?;
    let (balancer, group) = (&label[..at], &label[at + 1..]);
    (balancer.split('/').count() == 3 && group.split('/').count() == 3)
        .then(|| (balancer.to_owned(), group.to_owned()))
}

/// When one of the alarms goes off: beyond the threshold for so many periods.
pub(crate) struct Side {
    threshold: f64,
    periods: i32,
}

impl Side {
    /// Above the target for three minutes; below nine tenths of it for fifteen, as exported alarms show them (70 → 63).
    pub(crate) fn generic(target: f64) -> [Self; 2] {
        let low = millionths(target) as f64 * 9.0 / 10_000_000.0;
        [Self { threshold: target, periods: 3 }, Self { threshold: low, periods: 15 }]
    }

    /// ECS managed scaling: the target itself both ways, and one minute for scale-out (ecs.md §4.3).
    pub(crate) fn managed_by_ecs(target: f64) -> [Self; 2] {
        [Self { threshold: target, periods: 1 }, Self { threshold: target, periods: 15 }]
    }
}

/// Makes the two alarms of a target tracking policy what they shall be.
pub(crate) fn put_alarms(
    cx: &mut Engine,
    caller: &Caller,
    policy_arn: &str,
    alarms: [&OwnAlarm; 2],
    metric: &Metric,
    sides: [Side; 2],
) -> Result<(), Refusal> {
    let operators = [
        cloudwatch::ComparisonOperator::GreaterThanThreshold,
        cloudwatch::ComparisonOperator::LessThanThreshold,
    ];
    for ((alarm, side), operator) in alarms.into_iter().zip(sides).zip(operators) {
        let metric = metric.clone();
        let dimensions = metric.dimensions.into_iter();
        let dimensions = dimensions.map(|(name, value)| cloudwatch::Dimension { name, value });
        let request = cloudwatch::PutMetricAlarmRequest {
            alarm_name: alarm.name.clone(),
            alarm_description: Some(format!(
                "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}."
            )),
            actions_enabled: Some(true),
            alarm_actions: Some(vec![policy_arn.to_owned()]),
            metric_name: metric.name,
            namespace: metric.namespace,
            statistic: metric.statistic,
            dimensions: metric.queries.is_none().then(|| dimensions.collect()),
            period: metric.queries.is_none().then_some(metric.period),
            unit: metric.unit,
            evaluation_periods: Some(side.periods),
            threshold: Some(side.threshold),
            comparison_operator: Some(operator),
            treat_missing_data: Some("missing".to_owned()),
            metrics: metric.queries,
            ..Default::default()
        };
        cx.call(caller.clone(), request)?;
    }
    Ok(())
}

/// Deletes a policy's own alarms. One that a user has deleted meanwhile does not keep the other.
pub(crate) fn delete_alarms(cx: &mut Engine, caller: &Caller, alarms: [&OwnAlarm; 2]) {
    for alarm in alarms {
        let alarm_names = vec![alarm.name.clone()];
        let _ = cx.call(caller.clone(), cloudwatch::DeleteAlarmsRequest { alarm_names });
    }
}

/// Names and ARNs of the alarms that name the policy among their actions.
pub(crate) fn alarms_naming(cx: &Engine, policy_arn: &str) -> Vec<OwnAlarm> {
    let invokes = |actions: &[String]| actions.iter().any(|action| action == policy_arn);
    let alarms = cx.cloudwatch.alarms().iter().filter(|alarm| {
        let settings = &alarm.settings;
        invokes(&settings.alarm_actions)
            || invokes(&settings.ok_actions)
            || invokes(&settings.insufficient_data_actions)
    });
    let own = |name: &str| OwnAlarm {
        name: name.to_owned(),
        arn: cx.arn("cloudwatch", format_args!("alarm:{name}")),
    };
    alarms.map(|alarm| own(&alarm.name)).collect()
}
