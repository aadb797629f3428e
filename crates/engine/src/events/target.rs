//! Targets of rules.

use std::sync::Arc;

use capstan_model::Arn;
use capstan_shapes::{Refusal, events as shapes};

use super::rows::{Rule, RuleIndex};
use super::{bus, input, limit_exceeded, page_of, rule, validation};
use crate::{Caller, Engine};

/// Targets of a rule (EventBridge quotas).
const TARGETS_MAX: usize = 5;
const TARGETS_PER_CALL_MAX: usize = 10;

/// Targets with ids that are there already are replaced.
pub(super) fn put(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::PutTargetsRequest,
) -> Result<shapes::PutTargetsResponse, Refusal> {
    if request.targets.len() > TARGETS_PER_CALL_MAX {
        return Err(limit_exceeded());
    }
    for target in &request.targets {
        check(cx, target)?;
    }
    let key = rule::find(cx, &request.rule, request.event_bus_name.as_deref())?;
    rule::may_change(cx, caller, &key, false)?;
    let mut row = cx.events.rules.edit(&key).expect("it was found");
    let mut targets = row.targets.clone();
    for target in request.targets {
        targets.insert(target.id.clone(), Arc::new(target));
    }
    if targets.len() > TARGETS_MAX {
        return Err(limit_exceeded());
    }
    row.targets = targets;
    Ok(shapes::PutTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}

fn check(cx: &Engine, target: &shapes::Target) -> Result<(), Refusal> {
    let id = &target.id;
    let Some(arn) = Arn::parse(&target.arn) else {
        return Err(validation(format!(
            "Parameter {} is not valid. Reason: Provided Arn is not in correct format.",
            target.arn
        )));
    };
    let needs =
        |member: &str| Err(validation(format!("Parameter(s) {member} must be specified for target: {id}.")));
    match (arn.service, &target.ecs_parameters) {
        ("ecs", None) => return needs("EcsParameters"),
        ("ecs", Some(parameters)) => {
            if target.role_arn.is_none() {
                return Err(validation(format!("RoleArn is required for target {}.", target.arn)));
            }
            if parameters.launch_type.is_some()
                && parameters.capacity_provider_strategy.as_ref().is_some_and(|items| !items.is_empty())
            {
                return Err(validation(format!(
                    "Only one of LaunchType and CapacityProviderStrategy may be specified for target: {id}."
                )));
            }
        }
        (service, Some(_)) => {
            return Err(validation(format!(
                "EcsParameters do not go with a target of {service}: {}.",
                target.arn
            )));
        }
        ("sqs", None) if arn.resource.ends_with(".fifo") && target.sqs_parameters.is_none() => {
            return needs("SqsParameters");
        }
        _ => {}
    }
    if let Some(dead_letter) = target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref()) {
        let queue = Arn::parse(dead_letter).filter(|arn| arn.service == "sqs");
        if queue
            .is_none_or(|queue| queue.resource.ends_with(".fifo") || queue.region != cx.config.region.name)
        {
            return Err(validation(format!(
                "Parameter {dead_letter} is not valid. Reason: A dead-letter queue is a standard SQS queue of the rule's region."
            )));
        }
    }
    input::check(target).map_err(validation)
}

pub(super) fn remove(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::RemoveTargetsRequest,
) -> Result<shapes::RemoveTargetsResponse, Refusal> {
    let key = rule::find(cx, &request.rule, request.event_bus_name.as_deref())?;
    rule::may_change(cx, caller, &key, request.force == Some(true))?;
    if let Some(mut row) = cx.events.rules.edit(&key) {
        for id in &request.ids {
            row.targets.remove(id);
        }
    }
    Ok(shapes::RemoveTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListTargetsByRuleRequest,
) -> Result<shapes::ListTargetsByRuleResponse, Refusal> {
    let key = rule::find(cx, &request.rule, request.event_bus_name.as_deref())?;
    let row = cx.events.rules.get(&key).expect("it was found");
    let page = page_of(
        row.targets.values(),
        |target| target.id.clone(),
        request.next_token.as_deref(),
        request.limit,
    )?;
    Ok(shapes::ListTargetsByRuleResponse {
        targets: Some(page.items.into_iter().map(|target| (**target).clone()).collect()),
        next_token: page.next,
    })
}

pub(super) fn list_rule_names(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListRuleNamesByTargetRequest,
) -> Result<shapes::ListRuleNamesByTargetResponse, Refusal> {
    let bus = bus::find(cx, request.event_bus_name.as_deref())?;
    let names = |rule: &&Rule| rule.targets.values().any(|target| target.arn == request.target_arn);
    let rules = cx.events.rules.by(&RuleIndex::Bus(bus)).filter(names);
    let page =
        page_of(rules, |rule| rule.key.name.to_string(), request.next_token.as_deref(), request.limit)?;
    Ok(shapes::ListRuleNamesByTargetResponse {
        rule_names: Some(page.items.into_iter().map(|rule| rule.key.name.to_string()).collect()),
        next_token: page.next,
    })
}
