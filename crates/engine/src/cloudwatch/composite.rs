//! Composite alarms: alarms on the states of other alarms (CloudWatch guide, Create_Composite_Alarm).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::{Arn, Time};
use capstan_shapes::{Refusal, cloudwatch as shapes};
use serde_json::json;
use shapes::StateValue;

use super::rule_expression::{self as expression, Expression};
use super::{describe, history, tag, validation};
use crate::events::{Published, publish};
use crate::kernel::{Event, Row};
use crate::{Caller, Engine};

/// Alarms that one rule may name (CloudWatch quotas).
const CHILDREN_MAX: usize = 100;

const UNCHECKED: &str = "Unchecked: Initial alarm creation";

/// An alarm on the states of others.
#[derive(Clone, Debug)]
pub struct CompositeAlarm {
    pub name: Arc<str>,
    pub settings: CompositeSettings,
    pub configured_at: Time,
    pub state: StateValue,
    pub reason: String,
    pub reason_data: Option<String>,
    /// When the state was last set, be it to the same value.
    pub updated_at: Time,
    /// When the state last changed its value.
    pub transitioned_at: Time,
    pub tags: BTreeMap<String, String>,
}

/// What PutCompositeAlarm sets.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeSettings {
    pub description: Option<String>,
    /// As it was put.
    pub rule: String,
    pub expression: Expression,
    pub actions_enabled: bool,
    pub ok_actions: Vec<String>,
    pub alarm_actions: Vec<String>,
    pub insufficient_data_actions: Vec<String>,
    pub suppressor: Option<String>,
    /// Seconds.
    pub suppressor_wait: Option<i32>,
    /// Seconds.
    pub suppressor_extension: Option<i32>,
}

impl CompositeAlarm {
    /// Actions for the state that the alarm is in; none while actions are disabled.
    pub fn actions(&self) -> &[String] {
        let settings = &self.settings;
        match self.state {
            _ if !settings.actions_enabled => &[],
            StateValue::Alarm => &settings.alarm_actions,
            StateValue::Ok => &settings.ok_actions,
            StateValue::InsufficientData => &settings.insufficient_data_actions,
        }
    }
}

impl Row for CompositeAlarm {
    type Key = Arc<str>;
    /// An alarm that the rule names.
    type Index = Arc<str>;
    const TABLE: &'static str = "cloudwatch.composite_alarms";
    fn key(&self) -> Arc<str> {
        self.name.clone()
    }
    fn index(&self, put: &mut dyn FnMut(Arc<str>)) {
        for child in self.settings.expression.alarms() {
            put(child);
        }
    }
}

pub(super) fn put(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::PutCompositeAlarmRequest,
) -> Result<shapes::PutCompositeAlarmResponse, Refusal> {
    let name: Arc<str> = Arc::from(request.alarm_name);
    if cx.cloudwatch.alarms.contains(&name) {
        return Err(validation(format!("A metric alarm with the name {name} exists already.")));
    }
    let mut tags = BTreeMap::new();
    tag::add(caller, &mut tags, request.tags.unwrap_or_default())?;
    let expression = expression::parse(&request.alarm_rule)
        .map_err(|why| validation(format!("AlarmRule is not valid: {why}")))?;
    check_children(cx, &name, &expression)?;
    let settings = CompositeSettings {
        description: request.alarm_description,
        rule: request.alarm_rule,
        expression,
        actions_enabled: request.actions_enabled.unwrap_or(true),
        ok_actions: super::alarm::actions(request.ok_actions)?,
        alarm_actions: super::alarm::actions(request.alarm_actions)?,
        insufficient_data_actions: super::alarm::actions(request.insufficient_data_actions)?,
        suppressor: request.actions_suppressor,
        suppressor_wait: request.actions_suppressor_wait_period,
        suppressor_extension: request.actions_suppressor_extension_period,
    };
    let now = cx.now;
    let kind = if let Some(mut alarm) = cx.cloudwatch.composites.edit(&name) {
        // An update leaves the tags as they are.
        alarm.settings = settings;
        alarm.configured_at = now;
        "Update"
    } else {
        if cx.cloudwatch.alarms.len() + cx.cloudwatch.composites.len() >= super::alarm::ALARMS_MAX {
            let message = format!("The maximum limit of {} alarms is exceeded.", super::alarm::ALARMS_MAX);
            return Err(Refusal::of(&shapes::LIMIT_EXCEEDED_FAULT, message));
        }
        cx.cloudwatch.composites.insert(CompositeAlarm {
            name: name.clone(),
            settings,
            configured_at: now,
            state: StateValue::InsufficientData,
            reason: UNCHECKED.to_owned(),
            reason_data: None,
            updated_at: now,
            transitioned_at: now,
            tags,
        });
        "Create"
    };
    configured(cx, &name, kind);
    evaluate(cx, &name, None);
    Ok(shapes::PutCompositeAlarmResponse {})
}

/// Children exist, and none of them looks at this alarm, however indirectly.
fn check_children(cx: &Engine, name: &Arc<str>, expression: &Expression) -> Result<(), Refusal> {
    let children = expression.alarms();
    if children.len() > CHILDREN_MAX {
        return Err(validation(format!("AlarmRule names more than {CHILDREN_MAX} alarms.")));
    }
    let missing: Vec<&str> = children
        .iter()
        .filter(|child| state_of(cx, child).is_none() && *child != name)
        .map(|child| &**child)
        .collect();
    if !missing.is_empty() {
        return Err(validation(format!(
            "Could not save the composite alarm as alarms [{}] in the alarm rule do not exist",
            missing.join(", ")
        )));
    }
    let mut open: Vec<Arc<str>> = children.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(child) = open.pop() {
        if child == *name {
            return Err(validation(format!("AlarmRule leads back to {name} itself.")));
        }
        if seen.insert(child.clone())
            && let Some(row) = cx.cloudwatch.composites.get(&child)
        {
            open.extend(row.settings.expression.alarms());
        }
    }
    Ok(())
}

fn state_of(cx: &Engine, name: &Arc<str>) -> Option<(StateValue, Time)> {
    let metric = cx.cloudwatch.alarms.get(name).map(|alarm| (alarm.state, alarm.transitioned_at));
    metric.or_else(|| cx.cloudwatch.composites.get(name).map(|alarm| (alarm.state, alarm.transitioned_at)))
}

/// An alarm has changed its state: the composite alarms that look at it follow.
pub(super) fn child_changed(cx: &mut Engine, child: &Arc<str>) {
    for name in cx.cloudwatch.composites.keys_by(child) {
        evaluate(cx, &name, Some(child));
    }
}

/// A composite alarm is in ALARM when its rule is true, else OK.
fn evaluate(cx: &mut Engine, name: &Arc<str>, because: Option<&Arc<str>>) {
    let Some(alarm) = cx.cloudwatch.composites.get(name) else { return };
    let state = |child: &Arc<str>| state_of(cx, child).map(|(state, _)| state);
    let state = if alarm.settings.expression.holds(&state) { StateValue::Alarm } else { StateValue::Ok };
    if state == alarm.state {
        return;
    }
    let told = because.cloned().or_else(|| alarm.settings.expression.alarms().into_iter().next());
    let (reason, data) = match told.and_then(|child| state_of(cx, &child).map(|of| (child, of))) {
        Some((child, (value, at))) => {
            let arn = describe::arn(cx, &child);
            let data = json!({"triggeringAlarms": [{
                "arn": arn,
                "state": {"value": value.as_str(), "timestamp": at.iso_millis()},
            }]});
            (format!("{arn} transitioned to {value} at {}", at.iso_secs()), Some(data.to_string()))
        }
        None => (format!("The alarm rule {} is constant", alarm.settings.rule), None),
    };
    set(cx, name, state, reason, data);
}

/// Sets the state. A transition is told in the history and to alarms above.
pub(super) fn set(
    cx: &mut Engine,
    name: &Arc<str>,
    state: StateValue,
    reason: String,
    reason_data: Option<String>,
) {
    let now = cx.now;
    let Some(before) = cx.cloudwatch.composites.get(name).cloned() else { return };
    let Some(mut alarm) = cx.cloudwatch.composites.edit(name) else { return };
    alarm.state = state;
    alarm.reason = reason;
    alarm.reason_data = reason_data;
    alarm.updated_at = now;
    if before.state == state {
        return;
    }
    alarm.transitioned_at = now;
    drop(alarm);
    transition(cx, name, &before);
    cx.announce(Event::AlarmState { alarm: name.to_string(), state: state.as_str() });
    child_changed(cx, name);
}

fn transition(cx: &mut Engine, name: &Arc<str>, before: &CompositeAlarm) {
    let Some(alarm) = cx.cloudwatch.composites.get(name).cloned() else { return };
    let state = |alarm: &CompositeAlarm| {
        let mut told = json!({"stateValue": alarm.state.as_str(), "stateReason": alarm.reason});
        if let Some(data) = alarm.reason_data.as_ref().and_then(|data| serde_json::from_str(data).ok()) {
            told["stateReasonData"] = data;
        }
        told
    };
    let summary = format!("Alarm updated from {} to {}", before.state, alarm.state);
    let data = json!({"version": "1.0", "oldState": state(before), "newState": state(&alarm)}).to_string();
    history::add(cx, name, shapes::HistoryItemType::StateUpdate, summary, data);
    for action in alarm.actions() {
        // Composite alarms carry out no Auto Scaling policies (CloudWatch guide), and nothing else would be delivered.
        let summary = format!(
            "Failed to execute action {action}. Received error: \"Capstan carries out Auto Scaling policies of metric alarms only\""
        );
        let data = json!({
            "actionState": "Failed",
            "stateUpdateTimestamp": super::event::moment(alarm.updated_at),
            "stateValue": alarm.state.as_str(),
            "notificationResource": action,
        });
        history::add(cx, name, shapes::HistoryItemType::Action, summary, data.to_string());
    }
    let before = before.clone();
    publish(cx, "aws.cloudwatch", "CloudWatch Alarm State Change", |cx| {
        let state = |alarm: &CompositeAlarm| {
            let mut told = json!({
                "reason": alarm.reason,
                "timestamp": super::event::moment(alarm.updated_at),
                "value": alarm.state.as_str(),
            });
            if let Some(data) = &alarm.reason_data {
                told["reasonData"] = data.as_str().into();
            }
            told
        };
        let mut configuration = json!({"alarmRule": alarm.settings.rule});
        if let Some(description) = &alarm.settings.description {
            configuration["description"] = description.as_str().into();
        }
        let detail = json!({
            "alarmName": &*alarm.name,
            "configuration": configuration,
            "previousState": state(&before),
            "state": state(&alarm),
        });
        Published { resources: vec![describe::arn(cx, &alarm.name)], detail, time: None }
    });
}

/// Tells of a composite alarm that was put, switched or is about to be deleted.
fn configured(cx: &mut Engine, name: &Arc<str>, kind: &str) {
    let Some(alarm) = cx.cloudwatch.composites.get(name) else { return };
    let (done, member, operation) = match kind {
        "Create" => ("created", "createdAlarm", "create"),
        "Delete" => ("deleted", "deletedAlarm", "delete"),
        _ => ("updated", "updatedAlarm", "update"),
    };
    let settings = &alarm.settings;
    let configuration = json!({
        "alarmName": &*alarm.name,
        "alarmRule": settings.rule,
        "actionsEnabled": settings.actions_enabled,
        "okActions": settings.ok_actions,
        "alarmActions": settings.alarm_actions,
        "insufficientDataActions": settings.insufficient_data_actions,
    });
    let data = json!({"version": "1.0", "type": kind, member: configuration}).to_string();
    let state = json!({"timestamp": super::event::moment(alarm.updated_at), "value": alarm.state.as_str()});
    let detail = json!({"alarmName": &*alarm.name, "operation": operation, "state": state, "configuration": configuration});
    let summary = format!("Alarm \"{name}\" {done}");
    history::add(cx, name, shapes::HistoryItemType::ConfigurationUpdate, summary, data);
    let arn = describe::arn(cx, name);
    publish(cx, "aws.cloudwatch", "CloudWatch Alarm Configuration Change", |_| Published {
        resources: vec![arn.clone()],
        detail: detail.clone(),
        time: None,
    });
}

/// Takes a composite alarm away.
pub(super) fn remove(cx: &mut Engine, name: &Arc<str>) {
    configured(cx, name, "Delete");
    cx.cloudwatch.composites.remove(name);
}

/// Switches the actions on or off.
pub(super) fn switch_actions(cx: &mut Engine, name: &Arc<str>, enabled: bool) {
    let now = cx.now;
    let Some(mut alarm) = cx.cloudwatch.composites.edit(name) else { return };
    if alarm.settings.actions_enabled == enabled {
        return;
    }
    alarm.settings.actions_enabled = enabled;
    alarm.configured_at = now;
    drop(alarm);
    configured(cx, name, "Update");
}

pub(super) fn shown(cx: &Engine, alarm: &CompositeAlarm) -> shapes::CompositeAlarm {
    let settings = &alarm.settings;
    shapes::CompositeAlarm {
        alarm_name: Some(alarm.name.to_string()),
        alarm_arn: Some(describe::arn(cx, &alarm.name)),
        alarm_description: settings.description.clone(),
        alarm_rule: Some(settings.rule.clone()),
        alarm_configuration_updated_timestamp: Some(alarm.configured_at),
        actions_enabled: Some(settings.actions_enabled),
        ok_actions: Some(settings.ok_actions.clone()),
        alarm_actions: Some(settings.alarm_actions.clone()),
        insufficient_data_actions: Some(settings.insufficient_data_actions.clone()),
        state_value: Some(alarm.state),
        state_reason: Some(alarm.reason.clone()),
        state_reason_data: alarm.reason_data.clone(),
        state_updated_timestamp: Some(alarm.updated_at),
        state_transitioned_timestamp: Some(alarm.transitioned_at),
        actions_suppressor: settings.suppressor.clone(),
        actions_suppressor_wait_period: settings.suppressor_wait,
        actions_suppressor_extension_period: settings.suppressor_extension,
        ..Default::default()
    }
}

/// The name in a rule: a name, or an alarm's ARN.
pub(super) fn name_of(text: &str) -> &str {
    let arn = Arn::parse(text).filter(|arn| arn.service == "cloudwatch");
    arn.and_then(|arn| arn.resource.strip_prefix("alarm:")).unwrap_or(text)
}
