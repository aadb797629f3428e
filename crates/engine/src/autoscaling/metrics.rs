//! Group metrics: `AWS/AutoScaling`, one point a minute for each metric that is switched on.

use std::collections::BTreeSet;

use capstan_model::Span;
use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::invalid;
use super::rows::{Group, GroupInstanceIndex, Name};
use crate::kernel::Amounts;
use crate::{Caller, Engine, cloudwatch};

const MINUTE: Span = Span::from_mins(1);

/// Metrics of a group; those of warm pools are always zero, as no group has one.
const NAMES: &[&str] = &[
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "GroupInServiceCapacity",
    "GroupPendingCapacity",
    "GroupStandbyCapacity",
    "GroupTerminatingCapacity",
    "GroupTotalCapacity",
    "WarmPoolDesiredCapacity",
    "WarmPoolWarmedCapacity",
    "WarmPoolPendingCapacity",
    "WarmPoolTerminatingCapacity",
    "WarmPoolTotalCapacity",
    "GroupAndWarmPoolDesiredCapacity",
    "GroupAndWarmPoolTotalCapacity",
];

fn meant(names: Option<Vec<String>>) -> Result<BTreeSet<String>, Refusal> {
    let names = names.unwrap_or_default();
    if let Some(bad) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(invalid(format!("{bad} is not a valid metric. Valid values are: {}", NAMES.join(", "))));
    }
    if names.is_empty() {
        return Ok(NAMES.iter().map(|&name| name.to_owned()).collect());
    }
    Ok(names.into_iter().collect())
}

pub(super) fn enable(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::EnableMetricsCollectionRequest,
) -> Result<shapes::EnableMetricsCollectionResponse, Refusal> {
    if request.granularity != "1Minute" {
        return Err(invalid("The only valid granularity is 1Minute"));
    }
    let name = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let metrics = meant(request.metrics)?;
    let next = cx.now.next_multiple(MINUTE);
    if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
        row.metrics.extend(metrics);
        row.metrics_at = Some(row.metrics_at.unwrap_or(next));
    }
    Ok(shapes::EnableMetricsCollectionResponse {})
}

pub(super) fn disable(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DisableMetricsCollectionRequest,
) -> Result<shapes::DisableMetricsCollectionResponse, Refusal> {
    let name = super::group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    let metrics = meant(request.metrics)?;
    if let Some(mut row) = cx.autoscaling.groups.edit(&name) {
        row.metrics.retain(|metric| !metrics.contains(metric));
        if row.metrics.is_empty() {
            row.metrics_at = None;
        }
    }
    Ok(shapes::DisableMetricsCollectionResponse {})
}

/// Puts the points of the minute that has just ended.
pub(super) fn put(cx: &mut Engine, name: &Name) {
    let now = cx.now;
    let Some(mut row) = cx.autoscaling.groups.edit(name) else { return };
    row.metrics_at = (!row.metrics.is_empty()).then(|| now.next_multiple(MINUTE));
    let group = row.clone();
    drop(row);
    let index = GroupInstanceIndex::Group(name.clone());
    let instances = i64::try_from(cx.autoscaling.instances.count_by(&index)).unwrap_or(i64::MAX);
    let sums = cx.autoscaling.instances.sum(&index);
    for metric in &group.metrics {
        let value = value(metric, &group, instances, &sums);
        let dimensions = [("AutoScalingGroupName", &**name)];
        cloudwatch::put(cx, "AWS/AutoScaling", metric, &dimensions, value as f64, now - MINUTE);
    }
}

/// The sums are those of [`GroupInstance`](super::GroupInstance).
fn value(metric: &str, group: &Group, instances: i64, sums: &Amounts) -> i64 {
    match metric {
        "GroupMinSize" => group.min,
        "GroupMaxSize" => group.max,
        "GroupDesiredCapacity" | "GroupAndWarmPoolDesiredCapacity" => group.desired,
        "GroupInServiceInstances" => sums[0],
        "GroupInServiceCapacity" => sums[1],
        "GroupPendingInstances" => sums[2],
        "GroupPendingCapacity" => sums[3],
        "GroupStandbyInstances" => sums[4],
        "GroupStandbyCapacity" => sums[5],
        "GroupTerminatingInstances" => sums[6],
        "GroupTerminatingCapacity" => sums[7],
        "GroupTotalInstances" => instances,
        "GroupTotalCapacity" | "GroupAndWarmPoolTotalCapacity" => sums[8],
        _ => 0,
    }
}
