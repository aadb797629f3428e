//! What the API says at one moment.

use std::collections::BTreeSet;

use capstan_model::{Span, Time};
use capstan_shapes::{autoscaling, cloudwatch, ecs, elbv2};

use super::screen::Source;
use super::stack::{CLUSTER, ON_DEMAND, Provider, SERVICE, SPOT, Stack};
use crate::api::text;

#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) now: Time,
    /// Of the service; empty before it is created.
    pub(super) tasks: Vec<Task>,
    pub(super) instances: Vec<Instance>,
    pub(super) deployments: usize,
    /// Targets that get requests.
    pub(super) healthy: usize,
    /// Ids of Spot Instances that have got their notice.
    pub(super) warned: BTreeSet<String>,
    /// Service events, EC2's signals and what changed the size of groups, the earliest first.
    pub(super) news: Vec<News>,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) provider: String,
    pub(super) zone: String,
    pub(super) runs: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) zone: String,
    pub(super) provider: String,
    pub(super) drains: bool,
    /// Running and pending.
    pub(super) tasks: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) at: Time,
    pub(super) source: Source,
    /// The service, or a group's capacity provider.
    pub(super) name: &'static str,
    pub(super) text: String,
}

impl View {
    pub(super) fn running(&self) -> usize {
        self.tasks.iter().filter(|task| task.runs).count()
    }

    pub(super) fn running_on(&self, provider: Provider) -> usize {
        self.tasks.iter().filter(|task| task.runs && task.provider == provider.name).count()
    }

    /// So many tasks and no others run, all in one deployment and behind the load balancer.
    pub(super) fn settled(&self, count: usize) -> bool {
        self.tasks.len() == count && self.running() == count && self.deployments == 1 && self.healthy == count
    }

    /// An alarm has made the provider's group smaller since then.
    pub(super) fn shrinks(&self, provider: Provider, since: Time) -> bool {
        self.news.iter().any(|news| {
            news.source == Source::Group
                && news.name == provider.name
                && news.at >= since
                && news.text.starts_with("AlarmLow")
        })
    }

    /// Ids of instances that their groups began to terminate since then.
    pub(super) fn terminating(&self, since: Time) -> BTreeSet<String> {
        let news = self.news.iter().filter(|news| news.at >= since);
        news.filter_map(|news| news.text.strip_prefix(TERMINATING)).map(str::to_owned).collect()
    }

    /// The service has said so since then.
    pub(super) fn steady(&self, since: Time) -> bool {
        self.news.iter().any(|news| {
            news.source == Source::Service
                && news.at >= since
                && news.text.ends_with("has reached a steady state.")
        })
    }
}

impl Stack {
    pub(super) async fn now(&self) -> Result<Time, String> {
        self.api.control.look(|engine| engine.now()).await.ok_or_else(|| "the server has stopped".to_owned())
    }

    pub(super) async fn view(&self) -> Result<View, String> {
        let services = self.call(ecs::DescribeServicesRequest {
            cluster: text(CLUSTER),
            services: vec![SERVICE.to_owned()],
            ..Default::default()
        });
        let service = services.await?.services.unwrap_or_default().into_iter().next();
        let tasks = match service {
            Some(_) => self.tasks().await?,
            None => Vec::new(),
        };
        let service = service.unwrap_or_default();
        let mut news: Vec<News> = service.events.unwrap_or_default().into_iter().map(service_news).collect();
        let now = self.now().await?;
        for provider in [ON_DEMAND, SPOT] {
            news.extend(self.group_news(provider).await?);
            news.extend(self.reservation(provider, now).await?);
        }
        let mut signals = self.signals().await?;
        signals.news.reverse();
        news.extend(signals.news);
        // Events come newest first; those of one moment keep their order, and causes come before what they cause.
        news.reverse();
        news.sort_by_key(|news| (news.at, news.source, news.text.starts_with(TERMINATING)));
        Ok(View {
            now,
            tasks,
            instances: self.instances().await?,
            deployments: service.deployments.map_or(0, |deployments| deployments.len()),
            healthy: self.healthy().await?,
            warned: signals.warned,
            news,
        })
    }

    async fn tasks(&self) -> Result<Vec<Task>, String> {
        let list = ecs::ListTasksRequest {
            cluster: text(CLUSTER),
            service_name: text(SERVICE),
            ..Default::default()
        };
        let arns = self.call(list).await?.task_arns.unwrap_or_default();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let describe =
            ecs::DescribeTasksRequest { cluster: text(CLUSTER), tasks: arns, ..Default::default() };
        let tasks = self.call(describe).await?.tasks.unwrap_or_default().into_iter();
        Ok(tasks
            .map(|task| Task {
                provider: task.capacity_provider_name.unwrap_or_default(),
                zone: task.availability_zone.unwrap_or_default(),
                runs: task.last_status.as_deref() == Some("RUNNING"),
            })
            .collect())
    }

    async fn instances(&self) -> Result<Vec<Instance>, String> {
        let mut arns = Vec::new();
        // Without a status the list leaves out instances that drain.
        for status in [ecs::ContainerInstanceStatus::Active, ecs::ContainerInstanceStatus::Draining] {
            let list = ecs::ListContainerInstancesRequest {
                cluster: text(CLUSTER),
                status: Some(status),
                ..Default::default()
            };
            arns.extend(self.call(list).await?.container_instance_arns.unwrap_or_default());
        }
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let describe = ecs::DescribeContainerInstancesRequest {
            cluster: text(CLUSTER),
            container_instances: arns,
            ..Default::default()
        };
        let instances = self.call(describe).await?.container_instances.unwrap_or_default();
        let mut instances: Vec<Instance> = instances.into_iter().map(instance).collect();
        instances.sort_by(|a, b| (&a.provider, &a.zone, &a.id).cmp(&(&b.provider, &b.zone, &b.id)));
        Ok(instances)
    }

    async fn healthy(&self) -> Result<usize, String> {
        let describe = elbv2::DescribeTargetHealthRequest {
            target_group_arn: self.target_group.clone(),
            ..Default::default()
        };
        let targets = self.call(describe).await?.target_health_descriptions.unwrap_or_default();
        let healthy = |target: &&elbv2::TargetHealthDescription| {
            target.target_health.as_ref().and_then(|health| health.state)
                == Some(elbv2::TargetHealthStateEnum::Healthy)
        };
        Ok(targets.iter().filter(healthy).count())
    }

    async fn group_news(&self, provider: Provider) -> Result<Vec<News>, String> {
        let describe = autoscaling::DescribeScalingActivitiesRequest {
            auto_scaling_group_name: text(provider.group),
            ..Default::default()
        };
        let activities = self.call(describe).await?.activities;
        let mut news: Vec<News> = Vec::new();
        for activity in activities {
            let replaces = activity.cause.contains(REPLACING);
            let told = activity.description.and_then(|text| match text.strip_prefix(LAUNCHING) {
                Some(id) => replaces.then(|| format!("replacement launched: {id}")),
                None => text.starts_with(TERMINATING).then_some(text),
            });
            let at = activity.start_time;
            news.extend(told.map(|text| News { at, source: Source::Group, name: provider.name, text }));
            // Each instance has an activity, and those of one decision the same cause.
            for told in resized(&activity.cause, provider) {
                if !news.contains(&told) {
                    news.push(told);
                }
            }
        }
        Ok(news)
    }

    /// Each change of what managed scaling goes by: how many instances the tasks need, in percent of those there are.
    async fn reservation(&self, provider: Provider, now: Time) -> Result<Vec<News>, String> {
        let dimension = |name: &str, value: &str| cloudwatch::Dimension {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let get = cloudwatch::GetMetricStatisticsRequest {
            namespace: "AWS/ECS/ManagedScaling".to_owned(),
            metric_name: "CapacityProviderReservation".to_owned(),
            dimensions: Some(vec![
                dimension("CapacityProviderName", provider.name),
                dimension("ClusterName", CLUSTER),
            ]),
            start_time: now - Span::from_hours(1),
            end_time: now,
            period: 60,
            statistics: Some(vec![cloudwatch::Statistic::Average]),
            ..Default::default()
        };
        let points = self.call(get).await?.datapoints.unwrap_or_default().into_iter();
        let mut points: Vec<(Time, f64)> =
            points.filter_map(|point| Some((point.timestamp?, point.average?))).collect();
        points.sort_by_key(|(at, _)| *at);
        points.dedup_by(|later, earlier| later.1 == earlier.1);
        let news = |(at, value): &(Time, f64)| News {
            // A point bears the beginning of its minute and is there at its end.
            at: *at + Span::from_mins(1),
            source: Source::Metric,
            name: provider.name,
            text: format!("CapacityProviderReservation {value:.0}%"),
        };
        Ok(points.iter().map(news).rev().collect())
    }
}

fn instance(instance: ecs::ContainerInstance) -> Instance {
    let attribute = |name: &str| {
        let attributes = instance.attributes.iter().flatten();
        attributes.filter(|a| a.name == name).find_map(|a| a.value.clone()).unwrap_or_default()
    };
    Instance {
        kind: attribute("ecs.instance-type"),
        zone: attribute("ecs.availability-zone"),
        arn: instance.container_instance_arn.unwrap_or_default(),
        id: instance.ec2_instance_id.unwrap_or_default(),
        provider: instance.capacity_provider_name.unwrap_or_default(),
        drains: instance.status.as_deref() == Some("DRAINING"),
        tasks: instance.running_tasks_count.unwrap_or(0) + instance.pending_tasks_count.unwrap_or(0),
    }
}

fn service_news(event: ecs::ServiceEvent) -> News {
    News {
        at: event.created_at.unwrap_or_default(),
        source: Source::Service,
        name: "service",
        text: brief(&event.message.unwrap_or_default()),
    }
}

/// The description of that activity of a group, before the id.
const TERMINATING: &str = "Terminating EC2 instance: ";
const LAUNCHING: &str = "Launching a new EC2 instance: ";
/// The cause of a launch that makes up for an instance which is gone.
const REPLACING: &str = "in response to an unhealthy instance needing to be replaced.";
/// Up to so many tasks of a list are told by their ids; of a longer list one is.
const TASKS_TOLD: usize = 3;

/// An event in the room that a terminal has: no `(service NAME)`, which is always the same, the first digits of task
/// ids, of long lists the first ones, of ARNs the names.
fn brief(message: &str) -> String {
    let message = message.strip_prefix(&format!("(service {SERVICE}) ")).unwrap_or(message);
    let told = if message.matches("(task ").count() > TASKS_TOLD { 1 } else { TASKS_TOLD };
    let mut text = String::new();
    let mut rest = message;
    let mut tasks = 0;
    while let Some((before, after)) = rest.split_once("(task ") {
        let Some((id, tail)) = after.split_once(')') else { break };
        tasks += 1;
        if tasks <= told {
            text.push_str(&format!("{before}(task {})", id.get(..8).unwrap_or(id)));
        }
        rest = tail;
    }
    if tasks > told {
        text.push_str(&format!(" and {} more", tasks - told));
    }
    text.push_str(rest);
    match text.split_once("(target-group arn:") {
        Some((before, after)) => {
            let (arn, tail) = after.split_once(')').unwrap_or((after, ""));
            // …:targetgroup/NAME/ID
            let name = arn.split('/').nth(1).unwrap_or(arn);
            format!("{before}(target-group {name}){tail}")
        }
        None => text,
    }
}

/// The sentences of a cause (`At TIME a monitor alarm … changing the desired capacity from 4 to 7.  At …`) that tell
/// why the group changed its size.
fn resized(cause: &str, provider: Provider) -> Vec<News> {
    let told = |sentence: &str| {
        let (time, clause) = sentence.strip_prefix("At ")?.split_once(' ')?;
        let (_, change) = clause.split_once("changing the desired capacity ")?;
        let change = change.trim_end_matches('.');
        let who = ["AlarmHigh", "AlarmLow"].into_iter().find(|alarm| clause.contains(alarm));
        let text = format!("{}: desired capacity {change}", who.unwrap_or("a user's call"));
        Some(News { at: Time::parse_iso(time)?, source: Source::Group, name: provider.name, text })
    };
    cause.split("  ").filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_events() {
        let check = |message: &str, expect: &str| {
            assert_eq!(brief(&format!("(service {SERVICE}) {message}")), expect);
        };
        let task = |digit: char| format!("(task {})", String::from(digit).repeat(32));
        check("has reached a steady state.", "has reached a steady state.");
        check(&format!("has started 1 tasks: {}.", task('a')), "has started 1 tasks: (task aaaaaaaa).");
        check(
            &format!(
                "has started 5 tasks: {} {} {} {} {}.",
                task('a'),
                task('b'),
                task('c'),
                task('d'),
                task('e')
            ),
            "has started 5 tasks: (task aaaaaaaa) and 4 more.",
        );
        check(
            "deregistered 3 targets in (target-group arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/ecsdemo/0123)",
            "deregistered 3 targets in (target-group ecsdemo)",
        );
        check("(task broken", "(task broken");
    }

    #[test]
    fn reads_causes() {
        let cause = "At 2022-09-27T21:11:42Z a monitor alarm TargetTracking-ecs-spot-AlarmHigh-0a1b in state ALARM triggered policy ECSManagedAutoScalingPolicy-2c3d changing the desired capacity from 4 to 7.  At 2022-09-27T21:11:44Z an instance was started in response to a difference between desired and actual capacity, increasing the capacity from 4 to 7.";
        let news = resized(cause, SPOT);
        assert_eq!(news.len(), 1);
        assert_eq!(news[0].text, "AlarmHigh: desired capacity from 4 to 7");
        assert_eq!(news[0].at.iso_secs(), "2022-09-27T21:11:42Z");
        assert_eq!(resized("", SPOT), []);
        assert_eq!(resized("At noon", SPOT), []);
    }
}
