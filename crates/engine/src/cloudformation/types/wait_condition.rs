//! CloudFormation's own: wait conditions, and the handles that things outside a stack signal them by.

use std::collections::BTreeMap;

use capstan_model::Span;
use capstan_shapes::Refusal;
use serde_json::{Map, Value as Json};

use super::super::resource::{Handler, Progress, Resource, always, no_attributes, scalar};
use super::super::rows::StackId;
use super::super::signal;
use super::common::attributes;
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::CloudFormation::WaitCondition",
        inert: None,
        create: |_, resource| Ok(format!("{}/{}", resource.stack_id, resource.logical_id)),
        update: |_, _, _| Ok(()),
        delete: |_, _| Ok(Progress::Done),
        stable: stable_condition,
        attributes: condition_attributes,
    },
    Handler {
        type_name: "AWS::CloudFormation::WaitConditionHandle",
        inert: None,
        create: |cx, resource| Ok(signal::handle_url(cx, &resource.stack_id, &resource.logical_id)),
        update: |_, _, _| Ok(()),
        delete: delete_handle,
        stable: always,
        attributes: no_attributes,
    },
];

/// The stack and the logical id of the handle that a condition waits on.
fn handle(resource: &Resource) -> Option<(StackId, String)> {
    signal::of_url(resource.text("Handle")?)
}

fn stable_condition(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    // Without a handle it is the creation policy that waits.
    let Some((stack, logical_id)) = handle(resource) else { return Ok(Progress::Done) };
    let number =
        |property: &str| resource.get(property).map(scalar).and_then(|text| text.parse::<i64>().ok());
    let wanted = usize::try_from(number("Count").unwrap_or(1)).unwrap_or(1);
    let signals = signal::of(cx, &stack, &logical_id);
    if let Some(failure) = signals.iter().find(|signal| !signal.success) {
        let (reason, id) = (failure.reason.clone().unwrap_or_default(), &failure.unique_id);
        let message = format!("WaitCondition received failed message: '{reason}' for uniqueId: {id}");
        return Err(Refusal::new("GeneralServiceException", message));
    }
    if signals.len() >= wanted {
        return Ok(Progress::Done);
    }
    let received = signals.len();
    let key = (StackId::from(resource.stack_id.as_str()), resource.logical_id.clone());
    let since = cx.cloudformation.resources.get(&key).and_then(|row| row.work).map(|work| work.since);
    // Seconds; at most twelve hours (CloudFormation guide, AWS::CloudFormation::WaitCondition).
    let timeout = Span::from_secs(number("Timeout").unwrap_or(0).clamp(0, 43_200));
    if since.is_some_and(|since| cx.now - since >= timeout) {
        let message =
            format!("WaitCondition timed out. Received {received} conditions when expecting {wanted}");
        return Err(Refusal::new("NotStabilized", message));
    }
    Ok(Progress::InProgress)
}

/// `Data`: what each signal brought, by its unique id, as JSON in a text.
fn condition_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let signals = handle(resource).map(|(stack, logical_id)| signal::of(cx, &stack, &logical_id));
    let data: BTreeMap<String, String> = signals
        .into_iter()
        .flatten()
        .map(|signal| (signal.unique_id, signal.data.unwrap_or_default()))
        .collect();
    attributes([("Data", serde_json::json!(data).to_string())])
}

fn delete_handle(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    signal::forget(cx, &resource.stack_id, &resource.logical_id);
    Ok(Progress::Done)
}
