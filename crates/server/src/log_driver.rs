//! The log driver `awslogs`: what containers print becomes events of CloudWatch Logs.
//!
//! As on AWS it is the instance that calls the API. A log group that does not exist is not made unless the container says
//! so; its lines are dropped with a warning then (AWS would not start the task).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_agent::{ForwardedLine, LogDestination};
use capstan_engine::Caller;
use capstan_model::InstanceId;
use capstan_shapes::{Refusal, Response, ecs, logs};
use tokio::sync::mpsc;

use crate::Control;
use crate::clock::Running;

/// Lines that wait for the driver; more are dropped.
pub(crate) const LINES_MAX: usize = 10_000;
/// Of one PutLogEvents: less than its limit of 1,048,576, because a line is at most 16 KiB.
const BATCH_BYTES_MAX: usize = 1_000_000;
const BATCH_LINES_MAX: usize = 1_000;

/// Where the lines of a container of that task go (ECS developer guide, awslogs): `prefix/container/task-id`. Without a
/// prefix AWS takes the id of the Docker container; ours is the task's with the container's name.
pub(crate) fn destination(container: &ecs::ContainerDefinition, task: &str) -> Option<LogDestination> {
    let log = container.log_configuration.as_ref()?;
    if log.log_driver != ecs::LogDriver::Awslogs {
        return None;
    }
    let options = log.options.as_ref()?;
    let name = container.name.as_deref().unwrap_or_default();
    let stream = match options.get("awslogs-stream-prefix") {
        Some(prefix) => format!("{prefix}/{name}/{task}"),
        None => format!("{name}/{task}"),
    };
    Some(LogDestination {
        group: options.get("awslogs-group")?.clone(),
        stream,
        create_group: options.get("awslogs-create-group").is_some_and(|text| text == "true"),
    })
}

/// Puts lines as they come, until the runtime is gone.
pub(crate) async fn run(control: Control, clock: Running, mut lines: mpsc::Receiver<ForwardedLine>) {
    let mut driver = Driver { control, lost: BTreeSet::new() };
    let mut received = Vec::new();
    while lines.recv_many(&mut received, BATCH_LINES_MAX).await > 0 {
        // The clock of the server may run faster than that of the lines.
        let timestamp = clock.now().as_millis();
        let mut batches: BTreeMap<(InstanceId, Arc<LogDestination>), Vec<logs::InputLogEvent>> =
            BTreeMap::new();
        for ForwardedLine { instance, destination, line } in received.drain(..) {
            // CloudWatch Logs takes no empty events.
            if !line.text.is_empty() {
                let event = logs::InputLogEvent { timestamp, message: line.text };
                batches.entry((instance, destination)).or_default().push(event);
            }
        }
        for ((instance, destination), events) in batches {
            for events in chunks(events) {
                driver.put(instance, &destination, events).await;
            }
        }
    }
}

/// In pieces that one request may have.
fn chunks(events: Vec<logs::InputLogEvent>) -> Vec<Vec<logs::InputLogEvent>> {
    let (mut chunks, mut bytes) = (vec![Vec::new()], 0);
    for event in events {
        let of_event = event.message.len() + 26;
        if bytes + of_event > BATCH_BYTES_MAX {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += of_event;
        chunks.last_mut().expect("there is one").push(event);
    }
    chunks
}

struct Driver {
    control: Control,
    /// Groups that were warned about.
    lost: BTreeSet<String>,
}

impl Driver {
    async fn put(&mut self, instance: InstanceId, to: &LogDestination, log_events: Vec<logs::InputLogEvent>) {
        let caller = Caller::Agent(instance);
        let request = logs::PutLogEventsRequest {
            log_group_name: to.group.clone(),
            log_stream_name: to.stream.clone(),
            log_events,
            ..logs::PutLogEventsRequest::default()
        };
        let mut answer = self.control.call(caller.clone(), request.clone().into()).await;
        if is_not_found(&answer) {
            self.make_room(&caller, to).await;
            answer = self.control.call(caller, request.into()).await;
        }
        if let Err(refusal) = answer
            && self.lost.insert(to.group.clone())
        {
            tracing::warn!(group = to.group, stream = to.stream, %refusal, "what containers print is lost");
        }
    }

    /// What is already there is no matter: then putting tells what is wrong.
    async fn make_room(&self, caller: &Caller, to: &LogDestination) {
        let stream = logs::CreateLogStreamRequest {
            log_group_name: to.group.clone(),
            log_stream_name: to.stream.clone(),
        };
        let made = self.control.call(caller.clone(), stream.clone().into()).await;
        if is_not_found(&made) && to.create_group {
            let group = logs::CreateLogGroupRequest {
                log_group_name: to.group.clone(),
                ..logs::CreateLogGroupRequest::default()
            };
            let _ = self.control.call(caller.clone(), group.into()).await;
            let _ = self.control.call(caller.clone(), stream.into()).await;
        }
    }
}

fn is_not_found(answer: &Result<Response, Refusal>) -> bool {
    answer.as_ref().is_err_and(|refusal| refusal.code == logs::RESOURCE_NOT_FOUND_EXCEPTION.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_by_prefix_container_and_task() {
        let check = |driver: ecs::LogDriver, options: &[(&str, &str)], expect: Option<(&str, bool)>| {
            let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let log = ecs::LogConfiguration {
                log_driver: driver,
                options: Some(options.collect()),
                ..ecs::LogConfiguration::default()
            };
            let container = ecs::ContainerDefinition {
                name: Some("web".to_owned()),
                log_configuration: Some(log),
                ..ecs::ContainerDefinition::default()
            };
            let found = destination(&container, "t1");
            let found = found.as_ref().map(|to| (to.stream.as_str(), to.create_group));
            assert_eq!(found, expect, "{container:?}");
        };
        let awslogs = ecs::LogDriver::Awslogs;
        check(awslogs, &[("awslogs-group", "g"), ("awslogs-stream-prefix", "p")], Some(("p/web/t1", false)));
        check(awslogs, &[("awslogs-group", "g"), ("awslogs-create-group", "true")], Some(("web/t1", true)));
        check(awslogs, &[], None);
        check(ecs::LogDriver::JsonFile, &[("awslogs-group", "g")], None);
    }

    #[test]
    fn batches_stay_below_the_limit() {
        let event = |bytes: usize| logs::InputLogEvent { timestamp: 0, message: "x".repeat(bytes) };
        let pieces = chunks((0..100).map(|_| event(16_384)).collect());
        assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), 100);
        for piece in &pieces {
            assert!(piece.iter().map(|event| event.message.len() + 26).sum::<usize>() <= BATCH_BYTES_MAX);
        }
        assert_eq!(pieces.len(), 2);
    }
}
