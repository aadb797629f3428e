//! EventBridge: rules with their targets.

use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::events as shapes;
use serde_json::{Map, Value as Json};

use super::super::resource::{Handler, Progress, Resource, always, call};
use super::common::{already_exists, attributes, or_undo, tag_changes};
use crate::Engine;
use crate::events::RuleKey;

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "AWS::Events::Rule",
    inert: None,
    create: create_rule,
    update: update_rule,
    delete: delete_rule,
    stable: always,
    attributes: rule_attributes,
}];

const DEFAULT_BUS: &str = "default";

/// What `Ref` gives: the name, on another bus than the default one `bus|name`.
fn split(physical_id: &str) -> (&str, &str) {
    physical_id.split_once('|').unwrap_or((DEFAULT_BUS, physical_id))
}

fn key(resource: &Resource) -> RuleKey {
    let (bus, name) = split(&resource.physical_id);
    RuleKey { bus: Arc::from(bus), name: Arc::from(name) }
}

fn rule_arn(cx: &Engine, resource: &Resource) -> String {
    match split(&resource.physical_id) {
        (DEFAULT_BUS, name) => cx.arn("events", format_args!("rule/{name}")),
        (bus, name) => cx.arn("events", format_args!("rule/{bus}/{name}")),
    }
}

fn rule_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let name = split(&resource.physical_id).1.to_owned();
    attributes([("Arn", rule_arn(cx, resource)), ("RuleName", name)])
}

fn create_rule(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "Name", 64);
    let bus = resource.text("EventBusName").unwrap_or(DEFAULT_BUS);
    let bus = bus.rsplit_once('/').map_or(bus, |(_, name)| name);
    let physical_id = if bus == DEFAULT_BUS { name.clone() } else { format!("{bus}|{name}") };
    let resource = &Resource { physical_id: physical_id.clone(), ..resource.clone() };
    // PutRule would change the one that is there.
    if cx.events().rules().contains(&key(resource)) {
        return Err(already_exists("AWS::Events::Rule", "Name", &name));
    }
    put_rule(cx, resource)?;
    let outcome = put_targets(cx, resource, &[]);
    or_undo(cx, outcome, |cx| {
        let event_bus_name = Some(bus.to_owned());
        let _gone = call(cx, shapes::DeleteRuleRequest { name, event_bus_name, force: None });
    })?;
    Ok(physical_id)
}

fn put_rule(cx: &mut Engine, resource: &Resource) -> Result<(), Refusal> {
    let mut request: shapes::PutRuleRequest = resource.request(&[])?;
    let (bus, name) = split(&resource.physical_id);
    request.name = name.to_owned();
    request.event_bus_name = Some(bus.to_owned());
    let tag = |(key, value)| shapes::Tag { key, value };
    request.tags = Some(resource.all_tags().into_iter().map(tag).collect());
    call(cx, request).map(drop)
}

/// The targets of the template, in the request's words.
fn targets(resource: &Resource) -> Result<Vec<shapes::Target>, Refusal> {
    if resource.get("Targets").is_none() {
        return Ok(Vec::new());
    }
    let mut resource = resource.clone();
    for target in resource.properties.get_mut("Targets").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(Json::Object(parameters)) = target.get_mut("EcsParameters")
            && let Some(tags) = parameters.shift_remove("TagList")
        {
            parameters.insert("Tags".to_owned(), tags);
        }
    }
    let request: shapes::PutTargetsRequest = resource.request(&[])?;
    Ok(request.targets)
}

fn put_targets(cx: &mut Engine, resource: &Resource, before: &[shapes::Target]) -> Result<(), Refusal> {
    let (bus, name) = split(&resource.physical_id);
    let (rule, event_bus_name) = (name.to_owned(), Some(bus.to_owned()));
    let after = targets(resource)?;
    let gone: Vec<String> = before
        .iter()
        .filter(|target| !after.iter().any(|other| other.id == target.id))
        .map(|target| target.id.clone())
        .collect();
    remove_targets(cx, &rule, bus, gone)?;
    let targets: Vec<_> = after.into_iter().filter(|target| !before.contains(target)).collect();
    if targets.is_empty() {
        return Ok(());
    }
    call(cx, shapes::PutTargetsRequest { rule, event_bus_name, targets }).map(drop)
}

fn remove_targets(cx: &mut Engine, rule: &str, bus: &str, ids: Vec<String>) -> Result<(), Refusal> {
    if ids.is_empty() {
        return Ok(());
    }
    let (rule, event_bus_name) = (rule.to_owned(), Some(bus.to_owned()));
    call(cx, shapes::RemoveTargetsRequest { rule, event_bus_name, ids, force: None }).map(drop)
}

fn update_rule(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    put_rule(cx, new)?;
    put_targets(cx, new, &targets(old)?)?;
    let (set, gone) = tag_changes(old, new);
    let resource_arn = rule_arn(cx, new);
    if !gone.is_empty() {
        let resource_arn = resource_arn.clone();
        call(cx, shapes::UntagResourceRequest { resource_arn, tag_keys: gone })?;
    }
    if !set.is_empty() {
        let tags = set.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect();
        call(cx, shapes::TagResourceRequest { resource_arn, tags })?;
    }
    Ok(())
}

fn delete_rule(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let Some(rule) = cx.events().rules().get(&key(resource)) else { return Ok(Progress::Done) };
    let ids = rule.targets.keys().cloned().collect();
    let (bus, name) = split(&resource.physical_id);
    remove_targets(cx, name, bus, ids)?;
    let (name, event_bus_name) = (name.to_owned(), Some(bus.to_owned()));
    call(cx, shapes::DeleteRuleRequest { name, event_bus_name, force: None })?;
    Ok(Progress::Done)
}
