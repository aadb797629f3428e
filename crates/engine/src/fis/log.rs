//! An experiment's log: records of schema version 2 in the stream `/aws/fis/EXPERIMENT` of its CloudWatch Logs group (FIS
//! guide, monitoring-logging). Version 1 has ARNs where version 2 has objects.

use capstan_shapes::fis::ExperimentAction;
use capstan_shapes::logs;
use serde_json::{Map, Value as Json, json};

use super::Failure;
use super::rows::Experiment;
use crate::{Caller, Engine};

/// Resolved targets in one record (the guide names a size limit and no number; our reading).
const TARGETS_PER_RECORD: usize = 1_000;

fn row<'a>(cx: &'a Engine, id: &str) -> Option<&'a Experiment> {
    cx.fis.experiments.get(&id.to_owned()).filter(|row| row.plan.log_group.is_some())
}

fn action<'a>(cx: &'a Engine, id: &str, name: &str) -> Option<&'a ExperimentAction> {
    row(cx, id)?.document.actions.as_ref()?.get(name)
}

fn version(row: &Experiment) -> i32 {
    let configuration = row.document.log_configuration.as_ref();
    configuration.and_then(|configuration| configuration.log_schema_version).unwrap_or(2)
}

/// Why the log cannot be written, when it cannot.
pub(super) fn unwritable(cx: &Engine, id: &str) -> Option<Failure> {
    let group = row(cx, id)?.plan.log_group.clone()?;
    let exists = cx.logs.groups().contains(&group.as_str().into());
    (!exists).then(|| Failure {
        code: "ConfigurationFailure",
        location: "logConfiguration".to_owned(),
        reason: format!("Unable to write the experiment's log. The log group {group} does not exist."),
    })
}

pub(super) fn experiment_start(cx: &mut Engine, id: &str) {
    let Some(row) = row(cx, id) else { return };
    let details = json!({
        "experiment_template_id": row.document.experiment_template_id,
        "experiment_start_time": row.document.start_time.map(|time| time.iso_secs()),
    });
    write(cx, id, "experiment-start", details);
}

pub(super) fn resolution_start(cx: &mut Engine, id: &str, target: &str) {
    let time = cx.now.iso_secs();
    write(
        cx,
        id,
        "target-resolution-start",
        json!({ "target_resolution_start_time": time, "target_name": target }),
    );
}

pub(super) fn resolution_end(cx: &mut Engine, id: &str, target: &str, arns: &[String], error: Option<&str>) {
    let Some(row) = row(cx, id) else { return };
    let version = version(row);
    let targets = row.document.targets.as_ref();
    let kind = targets.and_then(|targets| targets.get(target)?.resource_type.clone());
    let time = cx.now.iso_secs();
    let mut details = json!({
        "target_resolution_end_time": time,
        "target_name": target,
        "target_type": kind,
        "account_id": cx.config.account,
        "resolved_targets_count": arns.len(),
        "status": if error.is_some() { "failed" } else { "completed" },
    });
    if let (Some(error), Some(details)) = (error, details.as_object_mut()) {
        details.insert("error_information".to_owned(), error.into());
    }
    if version > 1 {
        write(cx, id, "target-resolution-detail", details);
    }
    let pages = arns.len().div_ceil(TARGETS_PER_RECORD).max(1);
    for page in 0..pages {
        let part = arns.iter().skip(page * TARGETS_PER_RECORD).take(TARGETS_PER_RECORD);
        let resolved: Vec<Json> =
            part.map(|arn| if version > 1 { json!({ "arn": arn }) } else { json!(arn) }).collect();
        let mut details = Map::new();
        details.insert("target_resolution_end_time".to_owned(), json!(time));
        details.insert("target_name".to_owned(), json!(target));
        if version > 1 {
            details.insert("target_type".to_owned(), json!(kind));
        }
        details.insert("resolved_targets".to_owned(), json!(resolved));
        details.insert("page".to_owned(), json!(page + 1));
        details.insert("total_pages".to_owned(), json!(pages));
        if let Some(error) = error {
            details.insert("error_information".to_owned(), error.into());
        }
        write(cx, id, "target-resolution-end", details.into());
    }
}

/// The resolution itself failed.
pub(super) fn resolution_failed(cx: &mut Engine, id: &str, target: &str, error: &str) {
    resolution_end(cx, id, target, &[], Some(error));
}

pub(super) fn action_start(cx: &mut Engine, id: &str, name: &str) {
    let Some(action) = action(cx, id, name) else { return };
    let mut details = json!({
        "action_name": name,
        "action_id": action.action_id,
        "action_start_time": action.start_time.map(|time| time.iso_secs()),
        "action_targets": action.targets.clone().unwrap_or_default(),
    });
    let parameters = action.parameters.clone().filter(|parameters| !parameters.is_empty());
    if let (Some(parameters), Some(details)) = (parameters, details.as_object_mut()) {
        details.insert("parameters".to_owned(), json!(parameters));
    }
    write(cx, id, "action-start", details);
}

pub(super) fn action_error(cx: &mut Engine, id: &str, name: &str) {
    let Some(action) = action(cx, id, name) else { return };
    let details = json!({
        "action_name": name,
        "action_id": action.action_id,
        "account_id": cx.config.account,
        "action_state": state(action),
    });
    if row(cx, id).is_some_and(|row| version(row) > 1) {
        write(cx, id, "action-error", details);
    }
}

pub(super) fn action_end(cx: &mut Engine, id: &str, name: &str) {
    let Some(action) = action(cx, id, name) else { return };
    let details = json!({
        "action_name": name,
        "action_id": action.action_id,
        "action_end_time": action.end_time.map(|time| time.iso_secs()),
        "action_state": state(action),
    });
    write(cx, id, "action-end", details);
}

fn state(action: &ExperimentAction) -> Json {
    let state = action.state.as_ref();
    json!({
        "status": state.and_then(|state| state.status).map(|status| status.as_str()),
        "reason": state.and_then(|state| state.reason.as_deref()),
    })
}

pub(super) fn experiment_end(cx: &mut Engine, id: &str) {
    let Some(row) = row(cx, id) else { return };
    let state = row.document.state.as_ref();
    let details = json!({
        "experiment_end_time": row.document.end_time.map(|time| time.iso_secs()),
        "experiment_state": {
            "status": row.status().as_str(),
            "reason": state.and_then(|state| state.reason.as_deref()),
        },
    });
    write(cx, id, "experiment-end", details);
}

fn write(cx: &mut Engine, id: &str, kind: &str, details: Json) {
    let Some(row) = row(cx, id) else { return };
    let Some(log_group_name) = row.plan.log_group.clone() else { return };
    let record = json!({
        "id": id,
        "log_type": kind,
        "event_timestamp": cx.now.iso_secs(),
        "version": version(row).to_string(),
        "details": details,
    });
    let log_stream_name = format!("/aws/fis/{id}");
    let stream = logs::CreateLogStreamRequest {
        log_group_name: log_group_name.clone(),
        log_stream_name: log_stream_name.clone(),
    };
    let events = logs::PutLogEventsRequest {
        log_group_name,
        log_stream_name,
        log_events: vec![logs::InputLogEvent { timestamp: cx.now.as_millis(), message: record.to_string() }],
        ..Default::default()
    };
    if kind == "experiment-start" {
        let _ = cx.call(Caller::FIS, stream);
    }
    // A group that was deleted meanwhile takes the log with it, not the experiment.
    let _ = cx.call(Caller::FIS, events);
}
