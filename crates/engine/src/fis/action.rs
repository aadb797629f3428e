//! What actions do: how each fault begins, how long it lasts, and what takes it away.

use capstan_model::{Arn, InstanceId, Span, Time};
use capstan_shapes::{Refusal, ec2, ecs};

use super::job::Job;
use super::rows::Undo;
use super::{Failure, target};
use crate::ec2::{Cause, NOTICE};
use crate::{Caller, Engine};

/// UpdateContainerInstancesState takes so many at once.
const INSTANCES_PER_CALL: usize = 10;

/// An action that has begun.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// When its fault ends; `None`: it is done.
    pub(super) until: Option<Time>,
    pub(super) undo: Vec<Undo>,
}

impl Begun {
    fn until(time: Time) -> Self {
        Self { until: Some(time), undo: Vec::new() }
    }
}

/// Begins an action on resources by their ARNs.
pub(super) fn begin(
    cx: &mut Engine,
    experiment: &str,
    name: &str,
    job: &Job,
    arns: &[String],
) -> Result<Begun, Failure> {
    let now = cx.now;
    let failure =
        |code: &'static str, reason: String| Failure { code, location: format!("actions.{name}"), reason };
    let refused = |what: &str, refusal: Refusal| {
        failure("ConfigurationFailure", format!("Unable to {what}. {}: {}", refusal.code, refusal.message))
    };
    match job {
        Job::Wait { duration }
        | Job::CapacityError { duration, .. }
        | Job::DisruptConnectivity { duration } => Ok(Begun::until(now + *duration)),
        Job::AssertAlarms { alarms, states } => {
            for alarm in alarms {
                let Some(row) = cx.cloudwatch.alarm(alarm) else {
                    return Err(failure(
                        "ConfigurationFailure",
                        format!("The alarm {alarm} does not exist."),
                    ));
                };
                if !states.contains(&row.state) {
                    let state = row.state.as_str();
                    let reason = format!("The alarm {alarm} is in the state {state}, which is not expected.");
                    return Err(failure("ConfigurationFailure", reason));
                }
            }
            Ok(Begun::default())
        }
        Job::Drain { percentage, duration } => {
            let mut undo = Vec::new();
            for arn in arns {
                let drained = drain(cx, arn, *percentage)
                    .map_err(|refusal| refused("drain container instances", refusal))?;
                undo.extend(drained);
            }
            Ok(Begun { until: Some(now + *duration), undo })
        }
        Job::Interrupt { before } => {
            let running = |id: &InstanceId| {
                let row = cx.ec2.instances().get(id);
                row.is_some_and(|row| row.is_spot() && row.state == ec2::InstanceStateName::Running)
            };
            let ids: Vec<InstanceId> =
                arns.iter().filter_map(|arn| instance_id(arn)).filter(running).collect();
            if ids.is_empty() {
                let reason =
                    "Unable to interrupt Spot Instances. None of the targets is a running Spot Instance.";
                return Err(failure("InvalidTarget", reason.to_owned()));
            }
            let notice_at = now + (*before - NOTICE).max(Span::ZERO);
            for id in ids {
                crate::ec2::interrupt(cx, id, notice_at, true, Cause::Experiment);
            }
            Ok(Begun::default())
        }
        Job::Reboot => {
            let request =
                ec2::RebootInstancesRequest { instance_ids: instance_ids(arns), ..Default::default() };
            cx.call(Caller::FIS, request).map_err(|refusal| refused("reboot instances", refusal))?;
            Ok(Begun::default())
        }
        Job::StopInstances { restart_after, .. } => {
            let instance_ids = instance_ids(arns);
            let request =
                ec2::StopInstancesRequest { instance_ids: instance_ids.clone(), ..Default::default() };
            cx.call(Caller::FIS, request).map_err(|refusal| refused("stop instances", refusal))?;
            Ok(match restart_after {
                None => Begun::default(),
                Some(span) => Begun {
                    until: Some(now + *span),
                    undo: vec![Undo::StartInstances { instances: instance_ids }],
                },
            })
        }
        Job::StopTasks => {
            for arn in arns {
                let cluster =
                    Arn::parse(arn).and_then(|arn| Some(arn.after("task")?.split_once('/')?.0.to_owned()));
                let request = ecs::StopTaskRequest {
                    cluster,
                    task: arn.clone(),
                    reason: Some(format!("Stopped by the AWS FIS experiment {experiment}")),
                };
                cx.call(Caller::FIS, request).map_err(|refusal| refused("stop tasks", refusal))?;
            }
            Ok(Begun::default())
        }
        Job::Terminate => {
            let request =
                ec2::TerminateInstancesRequest { instance_ids: instance_ids(arns), ..Default::default() };
            cx.call(Caller::FIS, request).map_err(|refusal| refused("terminate instances", refusal))?;
            Ok(Begun::default())
        }
    }
}

/// Takes an action's faults away, at its end or because its experiment stops.
pub(super) fn undo(cx: &mut Engine, name: &str, job: &Job, steps: Vec<Undo>) -> Result<(), Failure> {
    for step in steps {
        match step {
            Undo::Activate { cluster, instances } => {
                for instances in instances.chunks(INSTANCES_PER_CALL) {
                    // Instances that have gone meanwhile are told as failures of their own, not of the call; a cluster
                    // that has gone needs nothing.
                    let _ = set_status(cx, &cluster, instances, ecs::ContainerInstanceStatus::Active);
                }
            }
            Undo::StartInstances { instances } => start(cx, name, job, instances)?,
        }
    }
    Ok(())
}

fn start(cx: &mut Engine, name: &str, job: &Job, instances: Vec<String>) -> Result<(), Failure> {
    let is_there = |id: &String| {
        let row = id.parse().ok().and_then(|id| cx.ec2.instances().get(&id));
        row.is_some_and(|row| {
            !matches!(row.state, ec2::InstanceStateName::ShuttingDown | ec2::InstanceStateName::Terminated)
        })
    };
    let (there, gone): (Vec<String>, Vec<String>) = instances.into_iter().partition(is_there);
    let failure =
        |code: &'static str, reason: String| Failure { code, location: format!("actions.{name}"), reason };
    if !there.is_empty() {
        let request = ec2::StartInstancesRequest { instance_ids: there, ..Default::default() };
        cx.call(Caller::FIS, request).map_err(|refusal| {
            failure(
                "DependentServiceFailure",
                format!("Unable to start instances. {}: {}", refusal.code, refusal.message),
            )
        })?;
    }
    let lenient = matches!(job, Job::StopInstances { lenient: true, .. });
    if gone.is_empty() || lenient {
        return Ok(());
    }
    let reason = format!("Unable to start instances. Terminated meanwhile: {}", gone.join(", "));
    Err(failure("InvalidTarget", reason))
}

/// Drains that share of a cluster's active container instances: rounded down, but at least one where there is one (our
/// reading).
fn drain(cx: &mut Engine, cluster: &str, percentage: usize) -> Result<Option<Undo>, Refusal> {
    let (mut instances, mut next_token) = (Vec::new(), None);
    loop {
        let request = ecs::ListContainerInstancesRequest {
            cluster: Some(cluster.to_owned()),
            status: Some(ecs::ContainerInstanceStatus::Active),
            next_token: next_token.take(),
            ..Default::default()
        };
        let reply = cx.call(Caller::FIS, request)?;
        instances.extend(reply.container_instance_arns.unwrap_or_default());
        next_token = reply.next_token;
        if next_token.is_none() {
            break;
        }
    }
    let count = (instances.len() * percentage / 100).max(1);
    target::draw(cx, &mut instances, count);
    for instances in instances.chunks(INSTANCES_PER_CALL) {
        set_status(cx, cluster, instances, ecs::ContainerInstanceStatus::Draining)?;
    }
    let cluster = cluster.to_owned();
    Ok((!instances.is_empty()).then_some(Undo::Activate { cluster, instances }))
}

fn set_status(
    cx: &mut Engine,
    cluster: &str,
    instances: &[String],
    status: ecs::ContainerInstanceStatus,
) -> Result<(), Refusal> {
    let request = ecs::UpdateContainerInstancesStateRequest {
        cluster: Some(cluster.to_owned()),
        container_instances: instances.to_vec(),
        status,
    };
    cx.call(Caller::FIS, request).map(drop)
}

fn instance_ids(arns: &[String]) -> Vec<String> {
    arns.iter().filter_map(|arn| instance_id(arn)).map(|id| id.to_string()).collect()
}

fn instance_id(arn: &str) -> Option<InstanceId> {
    Arn::parse(arn)?.after("instance")?.parse().ok()
}
