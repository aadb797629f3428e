//! The history of alarms: what was configured, how states changed, which actions were carried out.

use std::sync::Arc;

use capstan_model::Span;
use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::rows::{Alarm, HistoryItem, Watched};
use super::{describe, evaluation, event, invalid_token, json};
use crate::kernel::page;
use crate::{Caller, Engine};

/// CloudWatch keeps histories for 30 days.
const KEPT: Span = Span::from_hours(30 * 24);
const PAGE: i32 = 100;

pub(super) fn add(
    cx: &mut Engine,
    alarm: &Arc<str>,
    kind: shapes::HistoryItemType,
    summary: String,
    data: String,
) {
    let composite = cx.cloudwatch.composites.contains(alarm);
    let alarm_type =
        if composite { shapes::AlarmType::CompositeAlarm } else { shapes::AlarmType::MetricAlarm };
    let serial = cx.cloudwatch.history_serial;
    cx.cloudwatch.history_serial += 1;
    cx.cloudwatch.history.insert(HistoryItem {
        at: cx.now,
        serial,
        alarm: alarm.clone(),
        alarm_type,
        kind,
        summary,
        data,
        expires_at: cx.now + KEPT,
    });
}

/// `kind`: `Create`, `Update` or `Delete`.
pub(super) fn configuration(cx: &mut Engine, name: &Arc<str>, kind: &str) {
    let Some(alarm) = cx.cloudwatch.alarms.get(name) else { return };
    let (done, member) = match kind {
        "Create" => ("created", "createdAlarm"),
        "Delete" => ("deleted", "deletedAlarm"),
        _ => ("updated", "updatedAlarm"),
    };
    let summary = format!("Alarm \"{name}\" {done}");
    let shown = alarm_json(cx, alarm);
    let data = format!("{{\"version\":\"1.0\",\"type\":\"{kind}\",\"{member}\":{shown}}}");
    add(cx, name, shapes::HistoryItemType::ConfigurationUpdate, summary, data);
}

fn alarm_json(cx: &Engine, alarm: &Alarm) -> String {
    let settings = &alarm.settings;
    let watched = match &settings.watched {
        Watched::Metric(source) => {
            let dimension = |(name, value): &(String, String)| {
                format!("{{\"name\":{},\"value\":{}}}", json::text(name), json::text(value))
            };
            let dimensions: Vec<String> = source.metric.dimensions.iter().map(dimension).collect();
            format!(
                "\"namespace\":{},\"metricName\":{},\"dimensions\":[{}],\"period\":{},\"statistic\":{}",
                json::text(&source.metric.namespace),
                json::text(&source.metric.name),
                dimensions.join(","),
                settings.period.as_secs(),
                json::text(source.statistic.name()),
            )
        }
        Watched::Queries(_) => format!("\"metrics\":{}", event::metrics(settings)),
    };
    let mut out = format!(
        "{{\"alarmName\":{},\"alarmArn\":{},\"threshold\":{:?},{watched},\"evaluationPeriods\":{},\"comparisonOperator\":\"{}\",\"actionsEnabled\":{},\"okActions\":{},\"alarmActions\":{},\"insufficientDataActions\":{},\"stateValue\":\"{}\"",
        json::text(&alarm.name),
        json::text(&describe::arn(cx, &alarm.name)),
        settings.threshold,
        settings.evaluation_periods,
        settings.comparison,
        settings.actions_enabled,
        json::texts(&settings.ok_actions),
        json::texts(&settings.alarm_actions),
        json::texts(&settings.insufficient_data_actions),
        alarm.state,
    );
    if let Some(m) = settings.datapoints_to_alarm {
        out.push_str(&format!(",\"datapointsToAlarm\":{m}"));
    }
    if let Some(description) = &settings.description {
        out.push_str(&format!(",\"alarmDescription\":{}", json::text(description)));
    }
    if let Some(missing) = settings.treat_missing_data {
        out.push_str(&format!(",\"treatMissingData\":\"{}\"", missing.as_str()));
    }
    out.push('}');
    out
}

fn state_json(alarm: &Alarm) -> String {
    let data = alarm.reason_data.as_ref().map(|data| format!(",\"stateReasonData\":{data}"));
    format!(
        "{{\"stateValue\":\"{}\",\"stateReason\":{}{}}}",
        alarm.state,
        json::text(&alarm.reason),
        data.unwrap_or_default()
    )
}

/// The alarm was in the state of `before` and is in another one now.
pub(super) fn transition(cx: &mut Engine, name: &Arc<str>, before: &Alarm) {
    let Some(alarm) = cx.cloudwatch.alarms.get(name) else { return };
    let summary = format!("Alarm updated from {} to {}", before.state, alarm.state);
    let data = format!(
        "{{\"version\":\"1.0\",\"oldState\":{},\"newState\":{}}}",
        state_json(before),
        state_json(alarm)
    );
    add(cx, name, shapes::HistoryItemType::StateUpdate, summary, data);
}

/// What becomes of the actions of the state that the alarm has just come to.
pub(super) fn actions(cx: &mut Engine, name: &Arc<str>) {
    let Some(alarm) = cx.cloudwatch.alarms.get(name) else { return };
    let (state, updated) = (alarm.state, json::moment(alarm.updated_at));
    for action in alarm.actions().to_vec() {
        let known = evaluation::is_policy(&action);
        let summary = if known {
            format!("Successfully executed action {action}")
        } else {
            // Nothing here would deliver it, and a history must not say otherwise.
            format!(
                "Failed to execute action {action}. Received error: \"Capstan carries out Auto Scaling policies only\""
            )
        };
        let data = format!(
            "{{\"actionState\":\"{}\",\"stateUpdateTimestamp\":{updated},\"stateValue\":\"{state}\",\"notificationResource\":{}}}",
            if known { "Succeeded" } else { "Failed" },
            json::text(&action)
        );
        add(cx, name, shapes::HistoryItemType::Action, summary, data);
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _: &Caller,
    request: shapes::DescribeAlarmHistoryRequest,
) -> Result<shapes::DescribeAlarmHistoryResponse, Refusal> {
    // Metric alarms only, unless the request says otherwise (API reference, DescribeAlarmHistory).
    let types = request.alarm_types.as_deref().unwrap_or(&[shapes::AlarmType::MetricAlarm]);
    let wanted = |item: &&HistoryItem| {
        types.contains(&item.alarm_type)
            && request.alarm_contributor_id.is_none()
            && request.history_item_type.is_none_or(|kind| kind == item.kind)
            && request.start_date.is_none_or(|start| item.at >= start)
            && request.end_date.is_none_or(|end| item.at <= end)
    };
    let table = &cx.cloudwatch.history;
    let mut items: Vec<&HistoryItem> = match &request.alarm_name {
        Some(name) => table.by(&Arc::from(name.as_str())).filter(wanted).collect(),
        None => table.iter().filter(wanted).collect(),
    };
    let newest_first = request.scan_by.unwrap_or_default() == shapes::ScanBy::TimestampDescending;
    if newest_first {
        items.reverse();
    }
    // Serials grow with time; counted down for pages that begin with the newest.
    let key = |item: &&HistoryItem| {
        let rank = if newest_first { u64::MAX - item.serial } else { item.serial };
        format!("{rank:020}")
    };
    let size = usize::try_from(request.max_records.unwrap_or(PAGE)).unwrap_or(1);
    let page = page(items, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    let shown = |item: &HistoryItem| shapes::AlarmHistoryItem {
        alarm_name: Some(item.alarm.to_string()),
        alarm_type: Some(item.alarm_type),
        timestamp: Some(item.at),
        history_item_type: Some(item.kind),
        history_summary: Some(item.summary.clone()),
        history_data: Some(item.data.clone()),
        ..shapes::AlarmHistoryItem::default()
    };
    Ok(shapes::DescribeAlarmHistoryResponse {
        alarm_history_items: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}
