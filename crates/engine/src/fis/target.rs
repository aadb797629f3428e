//! Which resources an experiment takes: those that fit, then as many of them as asked for, at random, once at the start.

use std::collections::BTreeMap;

use capstan_shapes::fis::ExperimentTarget;
use capstan_shapes::{Refusal, Schema, Shape, Value, autoscaling, ec2, ecs};

use super::plan::Selection;
use super::{Failure, filter};
use crate::{Caller, Engine};

/// A resource that may be a target, as its service describes it.
struct Candidate {
    arn: String,
    tags: BTreeMap<String, String>,
    schema: &'static Schema,
    value: Value,
}

/// ARNs of the resources of that target, sorted. Empty when nothing fits.
pub(super) fn resolve(
    cx: &mut Engine,
    name: &str,
    target: &ExperimentTarget,
    selection: Selection,
) -> Result<Vec<String>, Failure> {
    let resource_type = target.resource_type.as_deref().unwrap_or_default();
    let arns = target.resource_arns.clone().unwrap_or_default();
    let mut fitting = match resource_type {
        // There is no IAM that could tell which roles exist.
        "aws:iam:role" => arns,
        _ => {
            let found = candidates(cx, resource_type, target).map_err(|refusal| Failure {
                code: "DependentServiceFailure",
                location: format!("targets.{name}"),
                reason: format!("Unable to resolve the target. {refusal}"),
            })?;
            let fits = |candidate: &Candidate| fits(candidate, target, &arns);
            found.into_iter().filter(fits).map(|candidate| candidate.arn).collect()
        }
    };
    fitting.sort();
    fitting.dedup();
    Ok(chosen(cx, fitting, selection))
}

fn fits(candidate: &Candidate, target: &ExperimentTarget, arns: &[String]) -> bool {
    let by_arn = arns.is_empty() || arns.contains(&candidate.arn);
    let mut tags = target.resource_tags.iter().flatten();
    let by_tag = tags.all(|(key, value)| candidate.tags.get(key) == Some(value));
    let by_filter = target.filters.iter().flatten().all(|filter| {
        let (path, values) = (filter.path.as_deref(), filter.values.as_deref());
        let values = values.unwrap_or_default();
        filter::matches(candidate.schema, &candidate.value, path.unwrap_or_default(), values)
    });
    by_arn && by_tag && by_filter
}

/// As many as the selection says, by a draw without replacement; in their order.
fn chosen(cx: &mut Engine, mut all: Vec<String>, selection: Selection) -> Vec<String> {
    let count = selection.of(all.len());
    draw(cx, &mut all, count);
    all.sort();
    all
}

/// Leaves `count` of the items, drawn at random.
pub(super) fn draw<T>(cx: &mut Engine, items: &mut Vec<T>, count: usize) {
    if count >= items.len() {
        return;
    }
    for at in 0..count {
        let left = u64::try_from(items.len() - at).unwrap_or(1);
        let draw = usize::try_from(cx.chance.below("fis.selection", left)).unwrap_or_default();
        items.swap(at, at + draw);
    }
    items.truncate(count);
}

/// Every resource of the type, and of the target's parameters, that lives.
fn candidates(
    cx: &mut Engine,
    resource_type: &str,
    target: &ExperimentTarget,
) -> Result<Vec<Candidate>, Refusal> {
    let parameter =
        |name: &str| target.parameters.as_ref().and_then(|given| given.get(name)).map(String::as_str);
    match resource_type {
        "aws:ec2:instance" => instances(cx, |instance| {
            let state = instance.state.as_ref().and_then(|state| state.name);
            !matches!(state, Some(ec2::InstanceStateName::ShuttingDown | ec2::InstanceStateName::Terminated))
        }),
        // Only a running instance can be interrupted.
        "aws:ec2:spot-instance" => instances(cx, |instance| {
            let state = instance.state.as_ref().and_then(|state| state.name);
            instance.instance_lifecycle == Some(ec2::InstanceLifecycleType::Spot)
                && state == Some(ec2::InstanceStateName::Running)
        }),
        "aws:ec2:autoscaling-group" => groups(cx),
        "aws:ec2:subnet" => subnets(cx, parameter("availabilityZoneIdentifier"), parameter("vpc")),
        "aws:ecs:cluster" => clusters(cx),
        "aws:ecs:task" => tasks(cx, parameter("cluster"), parameter("service")),
        _ => Ok(Vec::new()),
    }
}

fn ec2_tags(tags: &Option<Vec<ec2::Tag>>) -> BTreeMap<String, String> {
    let tags = tags.iter().flatten();
    tags.filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))).collect()
}

fn ecs_tags(tags: &Option<Vec<ecs::Tag>>) -> BTreeMap<String, String> {
    let tags = tags.iter().flatten();
    tags.filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))).collect()
}

fn value(shape: impl Shape) -> Value {
    shape.write().unwrap_or(Value::Record(Vec::new()))
}

fn instances(cx: &mut Engine, wanted: impl Fn(&ec2::Instance) -> bool) -> Result<Vec<Candidate>, Refusal> {
    let reply = cx.call(Caller::FIS, ec2::DescribeInstancesRequest::default())?;
    let all = reply.reservations.into_iter().flatten().flat_map(|each| each.instances.unwrap_or_default());
    let candidate = |instance: ec2::Instance| Candidate {
        arn: cx.arn("ec2", format_args!("instance/{}", instance.instance_id.clone().unwrap_or_default())),
        tags: ec2_tags(&instance.tags),
        schema: &ec2::INSTANCE,
        value: value(instance),
    };
    Ok(all.filter(wanted).map(candidate).collect())
}

fn groups(cx: &mut Engine) -> Result<Vec<Candidate>, Refusal> {
    let mut found = Vec::new();
    let mut next_token = None;
    loop {
        let request = autoscaling::DescribeAutoScalingGroupsRequest {
            next_token: next_token.take(),
            max_records: Some(100),
            ..Default::default()
        };
        let reply = cx.call(Caller::FIS, request)?;
        found.extend(reply.auto_scaling_groups.into_iter().map(|group| {
            let tags = group.tags.iter().flatten();
            let tag = |tag: &autoscaling::TagDescription| {
                Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))
            };
            Candidate {
                arn: group.auto_scaling_group_arn.clone().unwrap_or_default(),
                tags: tags.filter_map(tag).collect(),
                schema: &autoscaling::AUTO_SCALING_GROUP,
                value: value(group),
            }
        }));
        next_token = reply.next_token;
        if next_token.is_none() {
            return Ok(found);
        }
    }
}

fn subnets(cx: &mut Engine, zone: Option<&str>, vpc: Option<&str>) -> Result<Vec<Candidate>, Refusal> {
    let reply = cx.call(Caller::FIS, ec2::DescribeSubnetsRequest::default())?;
    let of = |subnet: &ec2::Subnet| {
        let zones = [subnet.availability_zone.as_deref(), subnet.availability_zone_id.as_deref()];
        zone.is_none_or(|zone| zones.contains(&Some(zone)))
            && vpc.is_none_or(|vpc| subnet.vpc_id.as_deref() == Some(vpc))
    };
    let candidate = |subnet: ec2::Subnet| Candidate {
        arn: cx.arn("ec2", format_args!("subnet/{}", subnet.subnet_id.clone().unwrap_or_default())),
        tags: ec2_tags(&subnet.tags),
        schema: &ec2::SUBNET,
        value: value(subnet),
    };
    Ok(reply.subnets.into_iter().flatten().filter(of).map(candidate).collect())
}

fn clusters(cx: &mut Engine) -> Result<Vec<Candidate>, Refusal> {
    let mut found = Vec::new();
    for arns in cluster_arns(cx)?.chunks(100) {
        let request = ecs::DescribeClustersRequest {
            clusters: Some(arns.to_vec()),
            include: Some(vec![ecs::ClusterField::Tags]),
        };
        let clusters = cx.call(Caller::FIS, request)?.clusters.unwrap_or_default();
        found.extend(clusters.into_iter().map(|cluster| Candidate {
            arn: cluster.cluster_arn.clone().unwrap_or_default(),
            tags: ecs_tags(&cluster.tags),
            schema: &ecs::CLUSTER,
            value: value(cluster),
        }));
    }
    Ok(found)
}

fn cluster_arns(cx: &mut Engine) -> Result<Vec<String>, Refusal> {
    let (mut arns, mut next_token) = (Vec::new(), None);
    loop {
        let request = ecs::ListClustersRequest { next_token, max_results: Some(100) };
        let reply = cx.call(Caller::FIS, request)?;
        arns.extend(reply.cluster_arns.unwrap_or_default());
        next_token = reply.next_token;
        if next_token.is_none() {
            return Ok(arns);
        }
    }
}

/// Tasks that are meant to run.
fn tasks(cx: &mut Engine, cluster: Option<&str>, service: Option<&str>) -> Result<Vec<Candidate>, Refusal> {
    let clusters = match cluster {
        Some(cluster) => vec![cluster.to_owned()],
        None => cluster_arns(cx)?,
    };
    let mut found = Vec::new();
    for cluster in clusters {
        let mut next_token = None;
        loop {
            let request = ecs::ListTasksRequest {
                cluster: Some(cluster.clone()),
                service_name: service.map(str::to_owned),
                next_token: next_token.take(),
                ..Default::default()
            };
            let reply = cx.call(Caller::FIS, request)?;
            let arns = reply.task_arns.unwrap_or_default();
            if !arns.is_empty() {
                let request = ecs::DescribeTasksRequest {
                    cluster: Some(cluster.clone()),
                    tasks: arns,
                    include: Some(vec![ecs::TaskField::Tags]),
                };
                let tasks = cx.call(Caller::FIS, request)?.tasks.unwrap_or_default();
                found.extend(tasks.into_iter().map(|task| Candidate {
                    arn: task.task_arn.clone().unwrap_or_default(),
                    tags: ecs_tags(&task.tags),
                    schema: &ecs::TASK,
                    value: value(task),
                }));
            }
            next_token = reply.next_token;
            if next_token.is_none() {
                break;
            }
        }
    }
    Ok(found)
}
