//! Metrics of clusters and services: `AWS/ECS`, and `ECS/ContainerInsights` where the cluster's setting asks for them.
//!
//! They go out once a minute for the minute that has ended, from sums that the tables keep: nothing is counted here. A
//! cluster without instances and without Container Insights costs nothing.

use capstan_model::Span;
use capstan_shapes::cloudwatch::StandardUnit as Unit;

use super::managed_scaling::next_minute;
use super::{InstanceIndex, MetricReport, Name, ServiceIndex, TaskIndex, TaskSums};
use crate::Engine;
use crate::cloudwatch::{self, MetricId, StatisticSet};

const BY_ECS: &str = "AWS/ECS";
const INSIGHTS: &str = "ECS/ContainerInsights";
const MINUTE: Span = Span::from_mins(1);

/// Lets the cluster's metrics begin, if it has any: to be called when an instance has joined or a setting has changed.
pub(super) fn watch(cx: &mut Engine, cluster: &Name) {
    if !cx.ecs.metric_reports.contains(cluster) && is_watched(cx, cluster) {
        let at = next_minute(cx);
        cx.ecs.metric_reports.insert(MetricReport { cluster: cluster.clone(), at });
    }
}

fn is_watched(cx: &Engine, cluster: &Name) -> bool {
    cx.ecs.instances.count_by(&InstanceIndex::Cluster(cluster.clone())) > 0
        || cx.ecs.clusters.get(cluster).is_some_and(super::Cluster::insights)
}

/// A value to be published: namespace, metric, its service if it is a service's, unit.
type Datum = (&'static str, &'static str, Option<Name>, Unit, f64);

/// Publishes the metrics of the minute that has just ended.
pub(super) fn on_due(cx: &mut Engine, cluster: &Name) {
    if !is_watched(cx, cluster) {
        cx.ecs.metric_reports.remove(cluster);
        return;
    }
    let next = next_minute(cx);
    if let Some(mut report) = cx.ecs.metric_reports.edit(cluster) {
        report.at = next;
    }
    let mut data = of_cluster(cx, cluster);
    let insights = cx.ecs.clusters.get(cluster).is_some_and(super::Cluster::insights);
    let measured = TaskSums::of(&cx.ecs.tasks, &TaskIndex::Cluster(cluster.clone())).measured > 0;
    if insights {
        of_insights(cx, cluster, &mut data);
    }
    if insights || measured {
        of_services(cx, cluster, insights, &mut data);
    }
    let minute = cx.now.floor(MINUTE) - MINUTE;
    for (namespace, metric, service, unit, value) in data {
        let mut dimensions = vec![("ClusterName", &**cluster)];
        dimensions.extend(service.iter().map(|service| ("ServiceName", &**service)));
        let id = MetricId::new(namespace, metric, &dimensions);
        cloudwatch::put_set(cx, id, unit, StatisticSet::of(value), minute);
    }
}

fn percent(part: f64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64 * 100.0)
}

/// CPU units and MiB.
fn used(sums: &TaskSums) -> (f64, f64) {
    (sums.used.cpu_milli_units as f64 / 1_000.0, sums.used.memory_kib as f64 / 1_024.0)
}

/// What tasks hold and use of the instances that are ACTIVE or DRAINING (ECS guide 2023, cloudwatch-metrics).
fn of_cluster(cx: &Engine, cluster: &Name) -> Vec<Datum> {
    let [cpu, memory, cpu_left, memory_left, ..] =
        cx.ecs.instances.sum(&InstanceIndex::Cluster(cluster.clone()));
    let sums = TaskSums::of(&cx.ecs.tasks, &TaskIndex::Cluster(cluster.clone()));
    let mut shares = vec![
        ("CPUReservation", percent((cpu - cpu_left) as f64, cpu)),
        ("MemoryReservation", percent((memory - memory_left) as f64, memory)),
    ];
    if sums.measured > 0 {
        let (used_cpu, used_memory) = used(&sums);
        shares.push(("CPUUtilization", percent(used_cpu, cpu)));
        shares.push(("MemoryUtilization", percent(used_memory, memory)));
    }
    let datum =
        |(metric, share): (&'static str, Option<f64>)| Some((BY_ECS, metric, None, Unit::Percent, share?));
    shares.into_iter().filter_map(datum).collect()
}

/// What Container Insights tell of the cluster. TaskCount counts every task that is not STOPPED: those that wait for
/// capacity and those that are on their way out, too, as observed (34 with 22 wanted and 12 draining).
fn of_insights(cx: &Engine, cluster: &Name, data: &mut Vec<Datum>) {
    let tasks = &cx.ecs.tasks;
    let groups = tasks.indexes_from(TaskIndex::Group(cluster.clone(), Name::from("")));
    let of_cluster = |index: &&TaskIndex| matches!(index, TaskIndex::Group(of, _) if of == cluster);
    let task_count: usize = groups.take_while(of_cluster).map(|group| tasks.count_by(group)).sum();
    let [cpu, memory, cpu_left, memory_left, ..] =
        cx.ecs.instances.sum(&InstanceIndex::Cluster(cluster.clone()));
    let sums = TaskSums::of(tasks, &TaskIndex::Cluster(cluster.clone()));
    let counts = [
        ("ContainerInstanceCount", cx.ecs.instances.count_by(&InstanceIndex::Cluster(cluster.clone()))),
        ("ServiceCount", cx.ecs.services.count_by(&ServiceIndex::Cluster(cluster.clone()))),
        ("TaskCount", task_count),
    ];
    data.extend(counts.map(|(metric, count)| (INSIGHTS, metric, None, Unit::Count, count as f64)));
    let reserved = TaskSums { cpu: cpu - cpu_left, memory: memory - memory_left, ..sums };
    of_resources(&reserved, None, data);
}

fn of_resources(sums: &TaskSums, service: Option<&Name>, data: &mut Vec<Datum>) {
    let mut put = |metric, unit, value| data.push((INSIGHTS, metric, service.cloned(), unit, value));
    put("CpuReserved", Unit::None, sums.cpu as f64);
    put("MemoryReserved", Unit::Megabytes, sums.memory as f64);
    if sums.measured > 0 {
        let (cpu, memory) = used(sums);
        put("CpuUtilized", Unit::None, cpu);
        put("MemoryUtilized", Unit::Megabytes, memory);
    }
}

fn of_services(cx: &Engine, cluster: &Name, insights: bool, data: &mut Vec<Datum>) {
    for service in cx.ecs.services.by(&ServiceIndex::Cluster(cluster.clone())) {
        let sums = TaskSums::of(&cx.ecs.tasks, &TaskIndex::Service(service.key.clone()));
        let name = &service.key.name;
        if sums.measured > 0 {
            // Relative to what the task definitions reserve: it may exceed 100 (ECS guide 2023, cloudwatch-metrics).
            let (cpu, memory) = used(&sums);
            let shares = [
                ("CPUUtilization", percent(cpu, sums.cpu)),
                ("MemoryUtilization", percent(memory, sums.memory)),
            ];
            for (metric, share) in shares {
                data.extend(share.map(|share| (BY_ECS, metric, Some(name.clone()), Unit::Percent, share)));
            }
        }
        if insights {
            let deployments = i64::try_from(service.deployments.len()).unwrap_or(i64::MAX);
            let counts = [
                ("DesiredTaskCount", service.desired),
                ("RunningTaskCount", sums.running),
                ("PendingTaskCount", sums.pending),
                ("DeploymentCount", deployments),
                // The scheduler's own deployments have no task sets.
                ("TaskSetCount", 0),
            ];
            let datum = |(metric, count)| (INSIGHTS, metric, Some(name.clone()), Unit::Count, count as f64);
            data.extend(counts.map(datum));
            of_resources(&sums, Some(name), data);
        }
    }
}
