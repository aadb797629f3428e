//! Metrics of clusters, services and groups, over the stack of the first workshop page.

mod support;

use std::collections::BTreeMap;

use capstan_engine::ecs::Usage;
use capstan_engine::{Fact, Input};
use capstan_model::{Span, Time};
use capstan_shapes::{autoscaling, cloudwatch, ecs};
use capstan_simulator::World;
use support::*;

const MINUTE: Span = Span::from_mins(1);

/// The average of the minute that ended last, for each metric of a namespace, by name and dimension values.
fn latest(world: &mut World, namespace: &str) -> BTreeMap<String, f64> {
    let request =
        cloudwatch::ListMetricsRequest { namespace: Some(namespace.to_owned()), ..Default::default() };
    let metrics = world.call(request).expect("metrics").metrics.unwrap_or_default();
    let minute = world.now().floor(MINUTE) - MINUTE;
    let mut told = BTreeMap::new();
    for metric in metrics {
        let dimensions = metric.dimensions.clone().unwrap_or_default();
        let values: Vec<String> = dimensions.iter().map(|dimension| dimension.value.clone()).collect();
        if let Some(point) = points(world, namespace, &metric, minute, MINUTE).first() {
            let name = metric.metric_name.unwrap_or_default();
            told.insert(format!("{name} {}", values.join(" ")), point.average.unwrap_or(f64::NAN));
        }
    }
    told
}

fn points(
    world: &mut World,
    namespace: &str,
    metric: &cloudwatch::Metric,
    from: Time,
    span: Span,
) -> Vec<cloudwatch::Datapoint> {
    let request = cloudwatch::GetMetricStatisticsRequest {
        namespace: namespace.to_owned(),
        metric_name: metric.metric_name.clone().unwrap_or_default(),
        dimensions: metric.dimensions.clone(),
        start_time: from,
        end_time: from + span,
        period: 60,
        statistics: Some(vec![cloudwatch::Statistic::Average]),
        ..Default::default()
    };
    world.call(request).expect("statistics").datapoints.unwrap_or_default()
}

fn insights(world: &mut World, value: &str) {
    let name = Some(ecs::ClusterSettingName::ContainerInsights);
    world
        .call(ecs::UpdateClusterSettingsRequest {
            cluster: CLUSTER.to_owned(),
            settings: vec![ecs::ClusterSetting { name, value: Some(value.to_owned()) }],
        })
        .expect("settings");
}

fn assert_told(told: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        assert_eq!(told.get(*name), Some(value), "{name} in {told:#?}");
    }
}

#[test]
fn counts_are_told_where_container_insights_are_on() {
    let mut world = world(7).checked();
    workshop(&mut world);
    world.advance(Span::from_mins(10));
    assert!(latest(&mut world, "ECS/ContainerInsights").is_empty(), "they are off");
    // One task of 256 units and 512 MiB on two m5.large and two t3.small of 2 vCPU each.
    let reserved = latest(&mut world, "AWS/ECS");
    assert_eq!(
        reserved.get("CPUReservation container-demo"),
        Some(&(256.0 / 8_192.0 * 100.0)),
        "{reserved:?}"
    );
    assert!(
        !reserved.keys().any(|name| name.contains("Utilization")),
        "virtual tasks use nothing: {reserved:?}"
    );

    insights(&mut world, "enabled");
    world.advance(Span::from_mins(2));
    let told = latest(&mut world, "ECS/ContainerInsights");
    let by_service = format!("container-demo {SERVICE}");
    assert_told(
        &told,
        &[
            ("ContainerInstanceCount container-demo", 4.0),
            ("TaskCount container-demo", 1.0),
            ("ServiceCount container-demo", 1.0),
            ("CpuReserved container-demo", 256.0),
            ("MemoryReserved container-demo", 512.0),
            (&format!("DesiredTaskCount {by_service}"), 1.0),
            (&format!("RunningTaskCount {by_service}"), 1.0),
            (&format!("PendingTaskCount {by_service}"), 0.0),
            (&format!("DeploymentCount {by_service}"), 1.0),
            (&format!("TaskSetCount {by_service}"), 0.0),
            (&format!("CpuReserved {by_service}"), 256.0),
            (&format!("MemoryReserved {by_service}"), 512.0),
        ],
    );

    // More tasks than there is room for: some wait, and then all run.
    update(&mut world, |request| request.desired_count = Some(20));
    world.advance(MINUTE);
    let told = latest(&mut world, "ECS/ContainerInsights");
    let value = |name: &str| told.get(&format!("{name} {by_service}")).copied().unwrap_or(f64::NAN);
    assert!(value("PendingTaskCount") > 0.0, "{told:?}");
    assert_eq!(value("PendingTaskCount") + value("RunningTaskCount"), 20.0, "{told:?}");
    assert_told(&told, &[("TaskCount container-demo", 20.0)]);
    world.advance(Span::from_mins(15));
    let told = latest(&mut world, "ECS/ContainerInsights");
    assert_told(
        &told,
        &[(&format!("RunningTaskCount {by_service}"), 20.0), ("CpuReserved container-demo", 20.0 * 256.0)],
    );

    insights(&mut world, "disabled");
    world.advance(Span::from_mins(2));
    assert!(latest(&mut world, "ECS/ContainerInsights").is_empty());
}

#[test]
fn what_tasks_use_is_told_as_far_as_it_was_measured() {
    let mut world = world(8).checked();
    workshop(&mut world);
    insights(&mut world, "enhanced");
    world.advance(Span::from_mins(10));
    let task = world.engine().ecs().tasks().iter().next().map(|task| task.id).expect("a task");
    // 64 CPU units and 128 MiB.
    let usage = Usage { cpu_milli_units: 64_000, memory_kib: 128 * 1_024 };
    let _ = world.input(Input::Fact(Fact::TaskUsage { task, usage }));
    world.advance(MINUTE);
    let by_service = format!("container-demo {SERVICE}");
    let told = latest(&mut world, "AWS/ECS");
    assert_told(
        &told,
        &[
            ("CPUUtilization container-demo", 64.0 / 8_192.0 * 100.0),
            (&format!("CPUUtilization {by_service}"), 25.0),
            (&format!("MemoryUtilization {by_service}"), 25.0),
        ],
    );
    let told = latest(&mut world, "ECS/ContainerInsights");
    assert_told(
        &told,
        &[("CpuUtilized container-demo", 64.0), (&format!("MemoryUtilized {by_service}"), 128.0)],
    );
    // A task that has stopped uses nothing.
    update(&mut world, |request| request.desired_count = Some(0));
    world.advance(Span::from_mins(5));
    assert!(!latest(&mut world, "AWS/ECS").keys().any(|name| name.contains("Utilization")));
}

#[test]
fn a_group_tells_its_figures_while_they_are_collected() {
    let mut world = world(9).checked();
    workshop(&mut world);
    let enable = autoscaling::EnableMetricsCollectionRequest {
        auto_scaling_group_name: "spot".to_owned(),
        granularity: "1Minute".to_owned(),
        ..Default::default()
    };
    world.call(enable).expect("metrics");
    world.advance(Span::from_mins(10));
    let told = latest(&mut world, "AWS/AutoScaling");
    assert_eq!(told.len(), 20, "{told:?}");
    assert_told(
        &told,
        &[
            ("GroupMinSize spot", 0.0),
            ("GroupMaxSize spot", 10.0),
            ("GroupDesiredCapacity spot", 2.0),
            ("GroupInServiceInstances spot", 2.0),
            ("GroupPendingInstances spot", 0.0),
            ("GroupTerminatingInstances spot", 0.0),
            ("GroupTotalInstances spot", 2.0),
            ("GroupTotalCapacity spot", 2.0),
            ("WarmPoolDesiredCapacity spot", 0.0),
            ("GroupAndWarmPoolTotalCapacity spot", 2.0),
        ],
    );
}
