//! A stack's history, newest last; EventBridge hears of it too.

use std::sync::Arc;

use capstan_shapes::cloudformation::{ResourceStatus, StackStatus};
use serde_json::json;

use super::rows::{StackEvent, StackId};
use crate::Engine;
use crate::events::{Published, publish};

pub(super) const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// Something that happened to a resource.
pub(super) struct Happened<'a> {
    pub(super) logical_id: &'a str,
    pub(super) physical_id: &'a str,
    pub(super) resource_type: &'a str,
    pub(super) status: ResourceStatus,
    pub(super) reason: Option<String>,
    /// JSON.
    pub(super) properties: Option<Arc<str>>,
}

/// Gives the stack a status and tells of it.
pub(super) fn stack(cx: &mut Engine, id: &StackId, status: StackStatus, reason: Option<String>) {
    let Some(mut row) = cx.cloudformation.stacks.edit(id) else { return };
    row.status = status;
    row.status_reason.clone_from(&reason);
    let name = row.name.clone();
    drop(row);
    // Every status of a stack is one of a resource, too.
    let shown = ResourceStatus::parse(status.as_str()).unwrap_or_default();
    tell(cx, id, &name, id, STACK_TYPE, status.as_str(), reason.as_deref());
    let happened = Happened {
        logical_id: &name,
        physical_id: id,
        resource_type: STACK_TYPE,
        status: shown,
        reason,
        properties: None,
    };
    record(cx, id, happened);
}

pub(super) fn resource(cx: &mut Engine, id: &StackId, happened: Happened<'_>) {
    let status = happened.status.as_str();
    tell(
        cx,
        id,
        happened.logical_id,
        happened.physical_id,
        happened.resource_type,
        status,
        happened.reason.as_deref(),
    );
    record(cx, id, happened);
}

fn record(cx: &mut Engine, id: &StackId, happened: Happened<'_>) {
    let event = cx.chance.uuid("cloudformation.event");
    let Some(mut stack) = cx.cloudformation.stacks.edit(id) else { return };
    stack.events += 1;
    let number = stack.events;
    let operation = stack.operation.as_ref();
    let token = operation.and_then(|operation| operation.token.clone());
    let operation = operation.map(|operation| operation.id.clone());
    drop(stack);
    let is_stack = happened.resource_type == STACK_TYPE;
    cx.cloudformation.events.insert(StackEvent {
        stack: StackId::clone(id),
        number,
        id: if is_stack { event } else { format!("{}-{}-{event}", happened.logical_id, happened.status) },
        time: cx.now,
        logical_id: happened.logical_id.to_owned(),
        physical_id: happened.physical_id.to_owned(),
        resource_type: happened.resource_type.to_owned(),
        status: happened.status,
        reason: happened.reason,
        properties: happened.properties,
        token,
        operation,
    });
}

/// `CloudFormation Stack Status Change` and `CloudFormation Resource Status Change` (EventBridge's reference of
/// CloudFormation's events).
fn tell(
    cx: &mut Engine,
    id: &StackId,
    logical_id: &str,
    physical_id: &str,
    resource_type: &str,
    status: &str,
    reason: Option<&str>,
) {
    let is_stack = resource_type == STACK_TYPE;
    let kind =
        if is_stack { "CloudFormation Stack Status Change" } else { "CloudFormation Resource Status Change" };
    publish(cx, "aws.cloudformation", kind, |_| {
        let details = json!({ "status": status, "status-reason": reason.unwrap_or_default() });
        let detail = if is_stack {
            json!({ "stack-id": id.as_ref(), "status-details": details })
        } else {
            json!({
                "stack-id": id.as_ref(),
                "logical-resource-id": logical_id,
                "physical-resource-id": physical_id,
                "resource-type": resource_type,
                "status-details": details,
            })
        };
        Published { resources: vec![id.to_string()], detail, time: None }
    });
}
