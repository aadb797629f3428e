//! DescribeStacks and its neighbours.

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    DescribeStackEventsRequest, DescribeStackEventsResponse, DescribeStackResourceRequest,
    DescribeStackResourceResponse, DescribeStackResourcesRequest, DescribeStackResourcesResponse,
    DescribeStacksRequest, DescribeStacksResponse, ListStackResourcesRequest, ListStackResourcesResponse,
    ListStacksRequest, ListStacksResponse, Output, Parameter, Stack as StackShape, StackDriftInformation,
    StackDriftInformationSummary, StackDriftStatus, StackEvent as StackEventShape,
    StackResource as StackResourceShape, StackResourceDetail, StackResourceDriftInformation,
    StackResourceDriftInformationSummary, StackResourceDriftStatus, StackResourceSummary, StackSummary, Tag,
};

use super::definition::invalid;
use super::rows::{Stack, StackId, StackResource};
use super::{operation, stack};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Stacks, resources or events in one answer (API reference).
const PAGE: usize = 100;

pub(super) fn stacks(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeStacksRequest,
) -> Result<DescribeStacksResponse, Refusal> {
    if let Some(name) = request.stack_name {
        let id = stack::find(cx, &name).ok_or_else(|| stack::unknown(&name))?;
        let found = cx.cloudformation.stacks.get(&id).map(|stack| vec![shape(stack)]);
        return Ok(DescribeStacksResponse { stacks: found, next_token: None });
    }
    let all = newest_first(cx, Stack::is_live);
    let page =
        page(all, |stack| stack.id.to_string(), request.next_token.as_deref(), PAGE).map_err(bad_token)?;
    Ok(DescribeStacksResponse {
        stacks: Some(page.items.into_iter().map(shape).collect()),
        next_token: page.next,
    })
}

pub(super) fn list_stacks(
    cx: &mut Engine,
    _caller: &Caller,
    request: ListStacksRequest,
) -> Result<ListStacksResponse, Refusal> {
    let filter = request.stack_status_filter.unwrap_or_default();
    let all = newest_first(cx, |stack| filter.is_empty() || filter.contains(&stack.status));
    let page =
        page(all, |stack| stack.id.to_string(), request.next_token.as_deref(), PAGE).map_err(bad_token)?;
    let summary = |stack: &Stack| StackSummary {
        stack_id: Some(stack.id.to_string()),
        stack_name: stack.name.clone(),
        template_description: description(stack),
        creation_time: stack.created,
        last_updated_time: stack.updated,
        deletion_time: stack.deleted,
        stack_status: stack.status,
        stack_status_reason: stack.status_reason.clone(),
        drift_information: Some(StackDriftInformationSummary {
            stack_drift_status: StackDriftStatus::NotChecked,
            last_check_timestamp: None,
        }),
        ..StackSummary::default()
    };
    Ok(ListStacksResponse {
        stack_summaries: Some(page.items.into_iter().map(summary).collect()),
        next_token: page.next,
    })
}

pub(super) fn events(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeStackEventsRequest,
) -> Result<DescribeStackEventsResponse, Refusal> {
    // Other words than DescribeStacks has, and clients know both.
    let id = stack::find(cx, &request.stack_name)
        .ok_or_else(|| invalid(format!("Stack [{}] does not exist", request.stack_name)))?;
    let name = cx.cloudformation.stacks.get(&id).map(|stack| stack.name.clone()).unwrap_or_default();
    let range = (StackId::clone(&id), 0)..=(StackId::clone(&id), u32::MAX);
    let newest_first = cx.cloudformation.events.range(range).rev();
    let page = page(newest_first, |event| event.number.to_string(), request.next_token.as_deref(), PAGE)
        .map_err(bad_token)?;
    let shape = |event: &super::StackEvent| StackEventShape {
        stack_id: id.to_string(),
        event_id: event.id.clone(),
        stack_name: name.clone(),
        operation_id: event.operation.clone(),
        logical_resource_id: Some(event.logical_id.clone()),
        physical_resource_id: Some(event.physical_id.clone()),
        resource_type: Some(event.resource_type.clone()),
        timestamp: event.time,
        resource_status: Some(event.status),
        resource_status_reason: event.reason.clone(),
        resource_properties: event.properties.as_deref().map(str::to_owned),
        client_request_token: event.token.clone(),
        ..StackEventShape::default()
    };
    Ok(DescribeStackEventsResponse {
        stack_events: Some(page.items.into_iter().map(shape).collect()),
        next_token: page.next,
    })
}

pub(super) fn resource(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeStackResourceRequest,
) -> Result<DescribeStackResourceResponse, Refusal> {
    let id = existing(cx, &request.stack_name)?;
    let name = name(cx, &id);
    let key = (StackId::clone(&id), request.logical_resource_id);
    let Some(row) = cx.cloudformation.resources.get(&key) else {
        return Err(no_resource(&key.1, &request.stack_name));
    };
    let detail = StackResourceDetail {
        stack_name: Some(name),
        stack_id: Some(id.to_string()),
        logical_resource_id: row.logical_id.clone(),
        physical_resource_id: physical_id(row),
        resource_type: row.resource_type.clone(),
        last_updated_timestamp: row.changed,
        resource_status: row.status,
        resource_status_reason: row.reason.clone(),
        metadata: Some(row.metadata.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string)),
        drift_information: Some(not_checked()),
        ..StackResourceDetail::default()
    };
    Ok(DescribeStackResourceResponse { stack_resource_detail: Some(detail) })
}

pub(super) fn resources(
    cx: &mut Engine,
    _caller: &Caller,
    request: DescribeStackResourcesRequest,
) -> Result<DescribeStackResourcesResponse, Refusal> {
    let id = match (&request.stack_name, &request.physical_resource_id) {
        (Some(_), Some(_)) => {
            return Err(invalid("Only one of StackName and PhysicalResourceId may be specified"));
        }
        (Some(name), None) => existing(cx, name)?,
        (None, Some(physical_id)) => {
            let owner = cx.cloudformation.resources.by(physical_id).next();
            let owner = owner.map(|row| StackId::clone(&row.stack));
            owner.ok_or_else(|| invalid(format!("Stack for {physical_id} does not exist")))?
        }
        (None, None) => {
            return Err(invalid("Either StackName or PhysicalResourceId must be specified"));
        }
    };
    let name = name(cx, &id);
    let wanted = request.logical_resource_id.as_deref();
    let shape = |row: &StackResource| StackResourceShape {
        stack_name: Some(name.clone()),
        stack_id: Some(id.to_string()),
        logical_resource_id: row.logical_id.clone(),
        physical_resource_id: physical_id(row),
        resource_type: row.resource_type.clone(),
        timestamp: row.changed,
        resource_status: row.status,
        resource_status_reason: row.reason.clone(),
        drift_information: Some(not_checked()),
        ..StackResourceShape::default()
    };
    let found: Vec<_> = operation::resources(cx, &id)
        .filter(|row| wanted.is_none_or(|wanted| row.logical_id == wanted))
        .map(shape)
        .collect();
    match wanted {
        Some(wanted) if found.is_empty() => Err(no_resource(wanted, &name)),
        _ => Ok(DescribeStackResourcesResponse { stack_resources: Some(found) }),
    }
}

pub(super) fn list_resources(
    cx: &mut Engine,
    _caller: &Caller,
    request: ListStackResourcesRequest,
) -> Result<ListStackResourcesResponse, Refusal> {
    let id = existing(cx, &request.stack_name)?;
    let rows = operation::resources(cx, &id);
    let page =
        page(rows, |row| row.logical_id.clone(), request.next_token.as_deref(), PAGE).map_err(bad_token)?;
    let summary = |row: &StackResource| StackResourceSummary {
        logical_resource_id: row.logical_id.clone(),
        physical_resource_id: physical_id(row),
        resource_type: row.resource_type.clone(),
        last_updated_timestamp: row.changed,
        resource_status: row.status,
        resource_status_reason: row.reason.clone(),
        drift_information: Some(StackResourceDriftInformationSummary {
            stack_resource_drift_status: StackResourceDriftStatus::NotChecked,
            last_check_timestamp: None,
        }),
        module_info: None,
    };
    Ok(ListStackResourcesResponse {
        stack_resource_summaries: Some(page.items.into_iter().map(summary).collect()),
        next_token: page.next,
    })
}

/// A stack as it is described.
pub(super) fn shape(stack: &Stack) -> StackShape {
    let settings = &stack.settings;
    let definition = stack.definition.as_ref();
    let parameters = definition.into_iter().flat_map(|definition| &definition.arguments.values);
    let tags = definition.into_iter().flat_map(|definition| &definition.tags);
    StackShape {
        stack_id: Some(stack.id.to_string()),
        stack_name: stack.name.clone(),
        change_set_id: stack.change_set.clone(),
        description: description(stack),
        parameters: Some(parameters.map(|(name, argument)| parameter(name, argument)).collect()),
        creation_time: stack.created,
        deletion_time: stack.deleted,
        last_updated_time: stack.updated,
        rollback_configuration: Some(settings.rollback_configuration.clone().unwrap_or_default()),
        stack_status: stack.status,
        stack_status_reason: stack.status_reason.clone().filter(|reason| reason != "User Initiated"),
        disable_rollback: Some(settings.disable_rollback),
        notification_arns: Some(settings.notification_arns.clone()),
        timeout_in_minutes: settings.timeout,
        capabilities: Some(settings.capabilities.clone()),
        outputs: Some(stack.outputs.iter().map(output).collect()),
        role_arn: settings.role_arn.clone(),
        tags: Some(tags.map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()),
        enable_termination_protection: Some(settings.termination_protection),
        drift_information: Some(StackDriftInformation {
            stack_drift_status: StackDriftStatus::NotChecked,
            last_check_timestamp: None,
        }),
        last_operations: Some(stack.last_operations.clone()),
        ..StackShape::default()
    }
}

/// A parameter as it is described: secrets are masked, parameters from the store tell what they hold.
pub(super) fn parameter(name: &str, argument: &capstan_template::Argument) -> Parameter {
    let value = if argument.no_echo { "****".to_owned() } else { argument.value.clone() };
    Parameter {
        parameter_key: Some(name.to_owned()),
        parameter_value: Some(value),
        use_previous_value: None,
        resolved_value: argument.resolved.clone().filter(|_| !argument.no_echo),
    }
}

fn output(output: &super::rows::Output) -> Output {
    Output {
        output_key: Some(output.key.clone()),
        output_value: Some(output.value.clone()),
        description: output.description.clone(),
        export_name: output.export.clone(),
    }
}

fn description(stack: &Stack) -> Option<String> {
    stack.definition.as_ref()?.description.clone()
}

fn physical_id(row: &StackResource) -> Option<String> {
    row.made.as_ref().map(|made| made.physical_id.clone())
}

fn not_checked() -> StackResourceDriftInformation {
    StackResourceDriftInformation {
        stack_resource_drift_status: StackResourceDriftStatus::NotChecked,
        last_check_timestamp: None,
    }
}

fn newest_first(cx: &Engine, wanted: impl Fn(&Stack) -> bool) -> Vec<&Stack> {
    let mut all: Vec<&Stack> = cx.cloudformation.stacks.iter().filter(|stack| wanted(stack)).collect();
    all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    all
}

fn existing(cx: &Engine, name_or_id: &str) -> Result<StackId, Refusal> {
    stack::find(cx, name_or_id).ok_or_else(|| stack::unknown(name_or_id))
}

fn name(cx: &Engine, id: &StackId) -> String {
    cx.cloudformation.stacks.get(id).map(|stack| stack.name.clone()).unwrap_or_default()
}

fn no_resource(logical_id: &str, stack: &str) -> Refusal {
    invalid(format!("Resource {logical_id} does not exist for stack {stack}"))
}

pub(super) fn bad_token((): ()) -> Refusal {
    invalid("Invalid NextToken: give back the token of the page before as it was")
}
