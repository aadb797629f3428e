//! Rules of listeners.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::rows::{Listener, ListenerIndex, Name, Rule};
use super::{action, changed, condition, hex_id, invalid_marker, listener, tag, validation};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Of a load balancer, default rules not counted (ALB quotas).
const RULES_MAX: usize = 100;
const PAGE: i32 = 400;

/// Rules sort by priority, the default rule last.
const DEFAULT_RANK: i32 = i32::MAX;

/// A rule that may be changed, or AWS's refusal; default rules may not.
fn find<'a>(cx: &'a Engine, arn: &str) -> Result<&'a Rule, Refusal> {
    let arn: Name = Arc::from(arn);
    if let Some(rule) = cx.elb.rules.get(&arn) {
        return Ok(rule);
    }
    if cx.elb.listeners.count_by(&ListenerIndex::DefaultRule(arn.clone())) > 0 {
        let message = format!(
            "Default rule '{arn}' cannot be modified or deleted; modify the listener's default action"
        );
        return Err(Refusal::of(&shapes::OPERATION_NOT_PERMITTED_EXCEPTION, message));
    }
    Err(not_found())
}

fn not_found() -> Refusal {
    Refusal::of(&shapes::RULE_NOT_FOUND_EXCEPTION, "One or more rules not found")
}

fn in_use(priority: i32) -> Refusal {
    let message = format!("Priority '{priority}' is currently in use");
    Refusal::of(&shapes::PRIORITY_IN_USE_EXCEPTION, message)
}

fn no_transforms(transforms: Option<&Vec<shapes::RuleTransform>>) -> Result<(), Refusal> {
    match transforms.and_then(|transforms| transforms.first()) {
        Some(transform) => {
            Err(validation(format!("Transforms of type '{}' are not built yet", transform.r#type)))
        }
        None => Ok(()),
    }
}

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateRuleRequest,
) -> Result<shapes::CreateRuleResponse, Refusal> {
    no_transforms(request.transforms.as_ref())?;
    let listener = listener::find(cx, &request.listener_arn)?;
    let (arn, load_balancer) = (listener.arn.clone(), listener.load_balancer.clone());
    let conditions = condition::read(request.conditions)?;
    let action = action::read(cx, &load_balancer, request.actions)?;
    let tags = tag::read(caller, request.tags)?;
    let priority = request.priority;
    if listener::rule_with_priority(cx, &arn, priority).is_some() {
        return Err(in_use(priority));
    }
    if listener::rules_behind(cx, &load_balancer) >= RULES_MAX {
        let message =
            format!("The maximum number of rules has been reached on load balancer '{load_balancer}'");
        return Err(Refusal::of(&shapes::TOO_MANY_RULES_EXCEPTION, message));
    }
    let id = hex_id(cx, "elb.rule-id");
    let place = arn.rsplit_once(":listener/").map_or("", |(_, place)| place);
    let row = Rule {
        arn: cx.arn("elasticloadbalancing", format_args!("listener-rule/{place}/{id}")).into(),
        listener: arn,
        priority,
        conditions,
        action,
        tags,
    };
    let told = shown(&row);
    let groups = action::groups_of(None, Some(&row.action));
    cx.elb.rules.insert(row);
    listener::after_change(cx, &groups);
    Ok(shapes::CreateRuleResponse { rules: Some(vec![told]) })
}

fn shown(rule: &Rule) -> shapes::Rule {
    shapes::Rule {
        rule_arn: Some(rule.arn.to_string()),
        priority: Some(rule.priority.to_string()),
        conditions: Some(rule.conditions.iter().map(condition::shown).collect()),
        actions: Some(action::shown(&rule.action)),
        is_default: Some(false),
        transforms: Some(Vec::new()),
    }
}

fn shown_default(listener: &Listener) -> shapes::Rule {
    shapes::Rule {
        rule_arn: Some(listener.default_rule.to_string()),
        priority: Some("default".to_owned()),
        conditions: Some(Vec::new()),
        actions: Some(action::shown(&listener.default_action)),
        is_default: Some(true),
        transforms: Some(Vec::new()),
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeRulesRequest,
) -> Result<shapes::DescribeRulesResponse, Refusal> {
    // In the order of listener and priority, the default rule last.
    let mut chosen: BTreeMap<(Name, i32), shapes::Rule> = BTreeMap::new();
    match (&request.listener_arn, &request.rule_arns) {
        (Some(_), Some(_)) => {
            return Err(validation("You cannot specify both a listener ARN and a list of rule ARNs"));
        }
        (Some(arn), None) => {
            let listener = listener::find(cx, arn)?;
            let rules = cx.elb.rules_of(&listener.arn);
            chosen.extend(rules.map(|rule| ((rule.listener.clone(), rule.priority), shown(rule))));
            chosen.insert((listener.arn.clone(), DEFAULT_RANK), shown_default(listener));
        }
        (None, Some(arns)) => {
            for arn in arns.iter().map(|arn| Name::from(arn.as_str())) {
                if let Some(rule) = cx.elb.rules.get(&arn) {
                    chosen.insert((rule.listener.clone(), rule.priority), shown(rule));
                } else {
                    let index = ListenerIndex::DefaultRule(arn);
                    let listener = cx.elb.listeners.by(&index).next().ok_or_else(not_found)?;
                    chosen.insert((listener.arn.clone(), DEFAULT_RANK), shown_default(listener));
                }
            }
        }
        (None, None) => {
            return Err(validation("You must specify either rule ARNs or a listener ARN"));
        }
    }
    let size = usize::try_from(request.page_size.unwrap_or(PAGE)).unwrap_or(1);
    let key = |((listener, rank), _): &((Name, i32), shapes::Rule)| format!("{listener}\0{rank:010}");
    let page = page(chosen, key, request.marker.as_deref(), size).map_err(|()| invalid_marker())?;
    Ok(shapes::DescribeRulesResponse {
        rules: Some(page.items.into_iter().map(|(_, rule)| rule).collect()),
        next_marker: page.next,
    })
}

pub(super) fn modify(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::ModifyRuleRequest,
) -> Result<shapes::ModifyRuleResponse, Refusal> {
    no_transforms(request.transforms.as_ref())?;
    let rule = find(cx, &request.rule_arn)?;
    let arn = rule.arn.clone();
    let before = rule.action.clone();
    let balancer = listener::find(cx, &rule.listener)?.load_balancer.clone();
    let conditions = request.conditions.map(condition::read).transpose()?;
    let after = match request.actions {
        Some(actions) => action::read(cx, &balancer, actions)?,
        None => before.clone(),
    };
    let groups = action::groups_of(Some(&before), Some(&after));
    if let Some(mut rule) = cx.elb.rules.edit(&arn) {
        rule.action = after;
        if let Some(conditions) = conditions {
            rule.conditions = conditions;
        }
    }
    listener::after_change(cx, &groups);
    Ok(shapes::ModifyRuleResponse { rules: Some(vec![shown(find(cx, &arn)?)]) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DeleteRuleRequest,
) -> Result<shapes::DeleteRuleResponse, Refusal> {
    let rule = find(cx, &request.rule_arn)?;
    let (arn, groups) = (rule.arn.clone(), action::groups_of(Some(&rule.action), None));
    cx.elb.rules.remove(&arn);
    listener::after_change(cx, &groups);
    Ok(shapes::DeleteRuleResponse {})
}

pub(super) fn set_priorities(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::SetRulePrioritiesRequest,
) -> Result<shapes::SetRulePrioritiesResponse, Refusal> {
    // Where each named rule goes; all of them move at once, so two may change places.
    let mut moves: BTreeMap<Name, i32> = BTreeMap::new();
    let mut taken: BTreeMap<(Name, i32), Name> = BTreeMap::new();
    for pair in request.rule_priorities {
        let rule = find(cx, pair.rule_arn.as_deref().unwrap_or_default())?;
        let Some(priority) = pair.priority else {
            return Err(validation(format!("A priority must be specified for rule '{}'", rule.arn)));
        };
        if moves.insert(rule.arn.clone(), priority).is_some() {
            return Err(validation(format!("The rule '{}' is specified more than once", rule.arn)));
        }
        if taken.insert((rule.listener.clone(), priority), rule.arn.clone()).is_some() {
            return Err(in_use(priority));
        }
    }
    for (listener, priority) in taken.keys() {
        let holder = listener::rule_with_priority(cx, listener, *priority);
        if holder.is_some_and(|holder| !moves.contains_key(&holder)) {
            return Err(in_use(*priority));
        }
    }
    for (arn, priority) in &moves {
        if let Some(mut rule) = cx.elb.rules.edit(arn) {
            rule.priority = *priority;
        }
    }
    changed(cx);
    let rules = moves.keys().filter_map(|arn| cx.elb.rules.get(arn)).map(shown).collect();
    Ok(shapes::SetRulePrioritiesResponse { rules: Some(rules) })
}
