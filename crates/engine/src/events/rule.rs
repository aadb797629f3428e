//! Rules.

use std::sync::Arc;

use capstan_shapes::{Refusal, events as shapes};

use super::pattern::{Invalid, Pattern};
use super::rows::{Rule, RuleIndex, RuleKey};
use super::{bus, limit_exceeded, page_of, tag, validation};
use crate::schedule::Schedule;
use crate::{Caller, Engine};

/// Rules on a bus (EventBridge quotas).
const RULES_MAX: usize = 300;

pub(super) fn arn(cx: &Engine, key: &RuleKey) -> String {
    if &*key.bus == bus::DEFAULT {
        cx.arn("events", format_args!("rule/{}", key.name))
    } else {
        cx.arn("events", format_args!("rule/{}/{}", key.bus, key.name))
    }
}

/// The rule that the request names.
pub(super) fn find(cx: &Engine, name: &str, bus: Option<&str>) -> Result<RuleKey, Refusal> {
    let key = RuleKey { bus: bus::find(cx, bus)?, name: Arc::from(name) };
    if cx.events.rules.contains(&key) {
        return Ok(key);
    }
    Err(super::not_found(format!("Rule {name} does not exist on EventBus {}.", key.bus)))
}

/// A rule that a service manages is changed by that service, or by force.
pub(super) fn may_change(cx: &Engine, caller: &Caller, key: &RuleKey, force: bool) -> Result<(), Refusal> {
    let manager = cx.events.rules.get(key).and_then(|rule| rule.managed_by);
    match (manager, caller) {
        (None, _) => Ok(()),
        (Some(manager), Caller::Service(service)) if *service == manager => Ok(()),
        (Some(_), _) if force => Ok(()),
        (Some(manager), _) => Err(Refusal::of(
            &shapes::MANAGED_RULE_EXCEPTION,
            format!("Rule {} is managed by {manager} and cannot be changed by others.", key.name),
        )),
    }
}

pub(super) fn invalid_pattern(Invalid(why): Invalid) -> Refusal {
    let message = format!("Event pattern is not valid. Reason: {why}");
    Refusal::of(&shapes::INVALID_EVENT_PATTERN_EXCEPTION, message)
}

/// A second put replaces the rule: what it does not name is gone. Targets and tags stay.
pub(super) fn put(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::PutRuleRequest,
) -> Result<shapes::PutRuleResponse, Refusal> {
    let bus = bus::find(cx, request.event_bus_name.as_deref())?;
    let event_pattern = request.event_pattern.filter(|text| !text.is_empty());
    let schedule_expression = request.schedule_expression.filter(|text| !text.is_empty());
    if event_pattern.is_none() && schedule_expression.is_none() {
        return Err(validation("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if schedule_expression.is_some() && &*bus != bus::DEFAULT {
        return Err(validation("ScheduleExpression is supported only on the default event bus."));
    }
    let pattern = event_pattern.as_deref().map(Pattern::parse).transpose().map_err(invalid_pattern)?;
    let schedule = match &schedule_expression {
        Some(text) => Some(
            // `at(…)` is for the schedules of EventBridge Scheduler, not for rules.
            Schedule::parse(text)
                .filter(|schedule| !matches!(schedule, Schedule::At(_)))
                .ok_or_else(|| validation("Parameter ScheduleExpression is not valid."))?,
        ),
        None => None,
    };
    let key = RuleKey { bus: bus.clone(), name: Arc::from(request.name) };
    may_change(cx, caller, &key, false)?;
    let before = cx.events.rules.get(&key);
    let (tags, targets) = match before {
        Some(rule) => (rule.tags.clone(), rule.targets.clone()),
        None if cx.events.rules.count_by(&RuleIndex::Bus(bus)) >= RULES_MAX => return Err(limit_exceeded()),
        None => {
            (tag::merged(caller, &Default::default(), request.tags.unwrap_or_default())?, Default::default())
        }
    };
    let managed_by = match caller {
        // CloudFormation acts for the user: what it makes is the user's.
        Caller::Service(service) if *caller != Caller::CLOUDFORMATION => Some(*service),
        _ => None,
    };
    let mut rule = Rule {
        key: key.clone(),
        state: request.state.unwrap_or(shapes::RuleState::Enabled),
        event_pattern,
        pattern: pattern.map(Arc::new),
        schedule_expression,
        schedule,
        description: request.description,
        role_arn: request.role_arn,
        managed_by,
        tags,
        targets,
        began_at: cx.now,
        fires_at: None,
    };
    rule.begin(cx.now);
    cx.events.rules.insert(rule);
    Ok(shapes::PutRuleResponse { rule_arn: Some(arn(cx, &key)) })
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeRuleRequest,
) -> Result<shapes::DescribeRuleResponse, Refusal> {
    let key = find(cx, &request.name, request.event_bus_name.as_deref())?;
    let rule = cx.events.rules.get(&key).expect("it was found");
    Ok(shapes::DescribeRuleResponse {
        name: Some(key.name.to_string()),
        arn: Some(arn(cx, &key)),
        event_pattern: rule.event_pattern.clone(),
        schedule_expression: rule.schedule_expression.clone(),
        state: Some(rule.state),
        description: rule.description.clone(),
        role_arn: rule.role_arn.clone(),
        managed_by: rule.managed_by.map(str::to_owned),
        event_bus_name: Some(key.bus.to_string()),
        created_by: Some(cx.config.account.clone()),
    })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ListRulesRequest,
) -> Result<shapes::ListRulesResponse, Refusal> {
    let bus = bus::find(cx, request.event_bus_name.as_deref())?;
    let prefix = request.name_prefix.unwrap_or_default();
    let rules = cx.events.rules.by(&RuleIndex::Bus(bus)).filter(|rule| rule.key.name.starts_with(&*prefix));
    let page =
        page_of(rules, |rule| rule.key.name.to_string(), request.next_token.as_deref(), request.limit)?;
    let shown = |rule: &Rule| shapes::Rule {
        name: Some(rule.key.name.to_string()),
        arn: Some(arn(cx, &rule.key)),
        event_pattern: rule.event_pattern.clone(),
        state: Some(rule.state),
        description: rule.description.clone(),
        schedule_expression: rule.schedule_expression.clone(),
        role_arn: rule.role_arn.clone(),
        managed_by: rule.managed_by.map(str::to_owned),
        event_bus_name: Some(rule.key.bus.to_string()),
    };
    Ok(shapes::ListRulesResponse {
        rules: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

pub(super) fn enable(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::EnableRuleRequest,
) -> Result<shapes::EnableRuleResponse, Refusal> {
    switch(cx, caller, &request.name, request.event_bus_name.as_deref(), shapes::RuleState::Enabled)?;
    Ok(shapes::EnableRuleResponse {})
}

pub(super) fn disable(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::DisableRuleRequest,
) -> Result<shapes::DisableRuleResponse, Refusal> {
    switch(cx, caller, &request.name, request.event_bus_name.as_deref(), shapes::RuleState::Disabled)?;
    Ok(shapes::DisableRuleResponse {})
}

fn switch(
    cx: &mut Engine,
    caller: &Caller,
    name: &str,
    bus: Option<&str>,
    state: shapes::RuleState,
) -> Result<(), Refusal> {
    let key = find(cx, name, bus)?;
    may_change(cx, caller, &key, false)?;
    let now = cx.now;
    if let Some(mut rule) = cx.events.rules.edit(&key)
        && rule.is_enabled() != (state == shapes::RuleState::Enabled)
    {
        rule.state = state;
        rule.begin(now);
    }
    Ok(())
}

/// A rule that is not there is deleted already.
pub(super) fn delete(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::DeleteRuleRequest,
) -> Result<shapes::DeleteRuleResponse, Refusal> {
    let bus = bus::find(cx, request.event_bus_name.as_deref())?;
    let key = RuleKey { bus, name: Arc::from(request.name) };
    may_change(cx, caller, &key, request.force == Some(true))?;
    if cx.events.rules.get(&key).is_some_and(|rule| !rule.targets.is_empty()) {
        return Err(validation("Rule can't be deleted since it has targets."));
    }
    cx.events.rules.remove(&key);
    Ok(shapes::DeleteRuleResponse {})
}
