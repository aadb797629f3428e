//! Stacks through the engine's door.

mod change_sets;
mod faults;
mod identity;
mod machine;
mod network;
mod records;
mod services;
pub(super) mod thing;

use std::fmt::Write as _;

use capstan_model::{Span, Time};
use capstan_shapes::cloudformation::{
    Capability, CreateStackRequest, DeleteStackRequest, DescribeStackEventsRequest, DescribeStacksRequest,
    Stack, UpdateStackRequest,
};

use crate::testing::{call, ok, pass};
use crate::{Config, Engine, Fact, Input};

fn engine() -> Engine {
    Engine::new(Config::new(1), Time::from_secs(1_000_000))
}

fn create(engine: &mut Engine, name: &str, template: &str) -> String {
    let request = CreateStackRequest {
        stack_name: name.to_owned(),
        template_body: Some(template.to_owned()),
        capabilities: Some(vec![Capability::CapabilityNamedIam]),
        ..Default::default()
    };
    ok(engine, request).stack_id.unwrap()
}

fn update(engine: &mut Engine, name: &str, template: &str) {
    let request = UpdateStackRequest {
        stack_name: name.to_owned(),
        template_body: Some(template.to_owned()),
        capabilities: Some(vec![Capability::CapabilityNamedIam]),
        ..Default::default()
    };
    ok(engine, request);
}

fn delete(engine: &mut Engine, name: &str) {
    ok(engine, DeleteStackRequest { stack_name: name.to_owned(), ..Default::default() });
}

fn describe(engine: &mut Engine, name: &str) -> Stack {
    let request = DescribeStacksRequest { stack_name: Some(name.to_owned()), next_token: None };
    ok(engine, request).stacks.unwrap().remove(0)
}

/// Says that every instance that waits for its machine has got it.
fn start_instances(engine: &mut Engine) {
    let waiting: Vec<_> = engine.ec2().instances().iter().map(|instance| instance.id).collect();
    for instance in waiting {
        let _ = engine.step(engine.now(), Input::Fact(Fact::InstanceRunning { instance }));
    }
}

/// Lets time pass until nothing is done to the stack.
fn settle(engine: &mut Engine, name: &str) -> String {
    for _ in 0..20_000 {
        let status = describe(engine, name).stack_status.as_str();
        if !status.ends_with("IN_PROGRESS") {
            return status.to_owned();
        }
        pass(engine, Span::from_secs(1));
    }
    panic!("{name} does not come to rest");
}

/// The stack's events from the oldest on, each as `LOGICALID STATUS PHYSICALID reason`.
fn history(engine: &mut Engine, name: &str) -> String {
    let mut events = Vec::new();
    let mut next_token = None;
    loop {
        let request = DescribeStackEventsRequest { stack_name: name.to_owned(), next_token };
        let page = call(engine, request).unwrap_or_else(|refusal| panic!("{refusal}"));
        events.extend(page.stack_events.unwrap());
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    let mut text = String::new();
    for event in events.into_iter().rev() {
        let physical_id = event.physical_resource_id.unwrap_or_default();
        let physical_id =
            if physical_id.starts_with("arn:aws:cloudformation") { "stack" } else { &physical_id };
        let reason = event.resource_status_reason.unwrap_or_default();
        let line = format!(
            "{} {} {physical_id} {reason}",
            event.logical_resource_id.unwrap_or_default(),
            event.resource_status.unwrap_or_default()
        );
        writeln!(text, "{}", line.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
    }
    text
}

/// Holds the history against lines that are written with indentation.
fn check_history(engine: &mut Engine, name: &str, expected: &str) {
    let expected: String = expected.trim().lines().map(|line| format!("{}\n", line.trim())).collect();
    let found = history(engine, name);
    // Tokens differ from run to run of the code, not of the machine.
    let found: String = found
        .lines()
        .map(|line| match line.split_once("(RequestToken: ") {
            Some((before, after)) => {
                format!("{before}({}\n", after.split_once(", ").map_or(after, |(_, code)| code))
            }
            None => format!("{line}\n"),
        })
        .collect();
    assert!(found == expected, "found:\n{found}\nexpected:\n{expected}");
}
