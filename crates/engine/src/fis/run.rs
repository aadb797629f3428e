//! The run of an experiment: targets, then actions in their order, then its end.
//!
//! Reasons that AWS's examples and published records show are theirs (`Experiment is initiating.`, `Initial state`,
//! `Target resolution returned empty set`, `Action was completed.`, `Experiment completed`,
//! `Experiment halted by stop condition.`); the others are ours.

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch::StateValue;
use capstan_shapes::fis::{
    ActionsMode, Experiment as Document, ExperimentAction, ExperimentActionState,
    ExperimentActionStatus as Action, ExperimentError, ExperimentState, ExperimentStatus as Status,
};
use serde_json::json;

use super::job::Job;
use super::rows::{Experiment, ExperimentIndex, Run, Stage};
use super::{Failure, action, lever, log, target};
use crate::Engine;
use crate::events::{self, Published};

/// From the start of an experiment to the choice of its targets, from there to its first actions, and from the end of the
/// last to its own (a published log: 18:50:43, :45, :56, :57; observed.md §2: 12 s in all).
const INITIATING: Span = Span::from_secs(2);
const PREPARING: Span = Span::from_secs(9);
const ENDING: Span = Span::from_secs(1);
/// FIS guide, fis-quotas.
const KEPT: Span = Span::from_hours(120 * 24);

const HALTED: &str = "Experiment halted by stop condition.";

pub(super) fn initiate(cx: &mut Engine, id: &str) {
    set_state(cx, id, Status::Initiating, "Experiment is initiating.", None);
    advance(cx, id, Stage::Initiating, INITIATING);
    log::experiment_start(cx, id);
}

/// What is first due happens: the end of an action's fault, or of a stage.
pub(super) fn due(cx: &mut Engine, id: &str) {
    let now = cx.now;
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return };
    let over = row.runs.iter().find(|(_, run)| run.due.is_some_and(|due| due <= now));
    if let Some(name) = over.map(|(name, _)| name.clone()) {
        action_over(cx, id, &name);
        return;
    }
    match row.stage {
        Stage::Initiating => resolve(cx, id),
        Stage::Preparing => {
            stay(cx, id, Stage::Running);
            begin_actions(cx, id);
        }
        Stage::Ending(Status::Completed) => end(cx, id, Status::Completed, "Experiment completed", None),
        Stage::Ending(status) => {
            // It says already why it is stopping.
            let state = row.document.state.clone().unwrap_or_default();
            end(cx, id, status, &state.reason.unwrap_or_default(), None);
        }
        Stage::Running => stay(cx, id, Stage::Running),
        Stage::Ended => {
            cx.fis.experiments.remove(&id.to_owned());
        }
    }
}

fn advance(cx: &mut Engine, id: &str, stage: Stage, after: Span) {
    let due = Some(cx.now + after);
    if let Some(mut row) = cx.fis.experiments.edit(&id.to_owned()) {
        row.stage = stage;
        row.due = due;
    }
}

/// A stage that ends by what happens, not by time.
fn stay(cx: &mut Engine, id: &str, stage: Stage) {
    if let Some(mut row) = cx.fis.experiments.edit(&id.to_owned()) {
        row.stage = stage;
        row.due = None;
    }
}

/// Chooses the targets, unless something says that the experiment must not run.
fn resolve(cx: &mut Engine, id: &str) {
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return };
    let plan = row.plan.clone();
    let targets = row.document.targets.clone().unwrap_or_default();
    if !lever::is_disengaged(cx) {
        cancel_actions(cx, id, "Action was cancelled.");
        end(cx, id, Status::Cancelled, "Experiment cancelled: the safety lever is engaged.", None);
        return;
    }
    if plan.alarms.iter().any(|alarm| is_in_alarm(cx, alarm)) {
        stop(cx, id, HALTED);
        return;
    }
    if let Some(failure) = log::unwritable(cx, id) {
        fail(cx, id, failure);
        return;
    }
    for (name, target) in &targets {
        let selection = plan.targets[name];
        log::resolution_start(cx, id, name);
        match target::resolve(cx, name, target, selection) {
            Err(failure) => {
                log::resolution_failed(cx, id, name, &failure.reason);
                fail(cx, id, failure);
                return;
            }
            Ok(arns) => {
                let empty = arns.is_empty() && !plan.skips_empty;
                log::resolution_end(cx, id, name, &arns, empty.then_some(EMPTY));
                if let Some(mut row) = cx.fis.experiments.edit(&id.to_owned()) {
                    row.resolved.insert(name.clone(), arns);
                }
                if empty {
                    let location = format!("targets.{name}");
                    fail(cx, id, Failure { code: "InvalidTarget", location, reason: EMPTY.to_owned() });
                    return;
                }
            }
        }
    }
    if let Some(failure) = above_quota(cx, id) {
        fail(cx, id, failure);
        return;
    }
    set_state(cx, id, Status::Running, "Experiment is running.", None);
    advance(cx, id, Stage::Preparing, PREPARING);
}

const EMPTY: &str = "Target resolution returned empty set";

/// The first action with more resources than its quota.
fn above_quota(cx: &Engine, id: &str) -> Option<Failure> {
    let row = cx.fis.experiments.get(&id.to_owned())?;
    row.plan.actions.iter().find_map(|(name, planned)| {
        let slot = planned.kind.target.as_ref()?;
        let resolved = row.resolved.get(planned.target.as_ref()?)?.len();
        let quota = match planned.job {
            Job::Interrupt { .. } => cx.config.fis_spot_targets,
            _ => slot.quota?,
        };
        (resolved > quota).then(|| Failure {
            code: "QuotaExceededFailure",
            location: format!("actions.{name}"),
            reason: format!(
                "The target resolved to {resolved} resources. The quota for {} of {} is {quota}.",
                slot.key, planned.kind.id
            ),
        })
    })
}

/// Begins every action that waits for nothing any more; when there is none left and none runs, the experiment ends.
fn begin_actions(cx: &mut Engine, id: &str) {
    while let Some(name) = ready(cx, id) {
        if let Err(failure) = begin_action(cx, id, &name) {
            action_failed(cx, id, &name, failure);
            return;
        }
    }
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return };
    let running = |action: &ExperimentAction| !status(action).is_some_and(is_over);
    if row.stage == Stage::Running && !row.document.actions.iter().flatten().any(|(_, each)| running(each)) {
        advance(cx, id, Stage::Ending(Status::Completed), ENDING);
    }
}

fn status(action: &ExperimentAction) -> Option<Action> {
    action.state.as_ref()?.status
}

fn is_over(status: Action) -> bool {
    use Action::{Cancelled, Completed, Failed, Skipped, Stopped};
    matches!(status, Cancelled | Completed | Failed | Skipped | Stopped)
}

/// The first action that may begin.
fn ready(cx: &Engine, id: &str) -> Option<String> {
    let row = cx.fis.experiments.get(&id.to_owned())?;
    let actions = row.document.actions.as_ref()?;
    let is_done = |name: &String| {
        matches!(actions.get(name).and_then(status), Some(Action::Completed | Action::Skipped))
    };
    let waits = |(name, action): &(&String, &ExperimentAction)| {
        status(action) == Some(Action::Pending)
            && row.plan.actions.get(*name).is_some_and(|planned| planned.start_after.iter().all(is_done))
    };
    actions.iter().find(waits).map(|(name, _)| name.clone())
}

fn begin_action(cx: &mut Engine, id: &str, name: &str) -> Result<(), Failure> {
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return Ok(()) };
    let Some(planned) = row.plan.actions.get(name).cloned() else { return Ok(()) };
    let arns = planned.target.as_ref().map(|target| row.resolved.get(target).cloned().unwrap_or_default());
    let options = row.document.experiment_options.as_ref();
    if options.and_then(|options| options.actions_mode) == Some(ActionsMode::SkipAll) {
        set_action(cx, id, name, Action::Skipped, "Action was skipped: the actions mode is skip-all.");
        return Ok(());
    }
    if arns.as_ref().is_some_and(Vec::is_empty) {
        set_action(
            cx,
            id,
            name,
            Action::Skipped,
            "Action was skipped: its target resolution returned empty set.",
        );
        return Ok(());
    }
    set_action(cx, id, name, Action::Running, running_reason(&planned.job));
    log::action_start(cx, id, name);
    let arns = arns.unwrap_or_default();
    let begun = action::begin(cx, id, name, &planned.job, &arns)?;
    if begun.until.is_none() {
        complete(cx, id, name, &planned.job);
        return Ok(());
    }
    if let Some(mut row) = cx.fis.experiments.edit(&id.to_owned()) {
        let run = Run { job: planned.job, due: begun.until, undo: begun.undo };
        row.runs.insert(name.to_owned(), run);
    }
    Ok(())
}

fn running_reason(job: &Job) -> &'static str {
    match job {
        Job::DisruptConnectivity { .. } => {
            "Action is running. No traffic is blocked: there is no network to disrupt."
        }
        _ => "Action is running.",
    }
}

fn complete(cx: &mut Engine, id: &str, name: &str, job: &Job) {
    let reason = match job {
        Job::DisruptConnectivity { .. } => {
            "Action was completed. No traffic was blocked: there is no network to disrupt."
        }
        _ => "Action was completed.",
    };
    set_action(cx, id, name, Action::Completed, reason);
    log::action_end(cx, id, name);
}

/// The time of an action's fault is over.
fn action_over(cx: &mut Engine, id: &str, name: &str) {
    let Some(run) = take_run(cx, id, name) else { return };
    match action::undo(cx, name, &run.job, run.undo) {
        Ok(()) => {
            complete(cx, id, name, &run.job);
            begin_actions(cx, id);
        }
        Err(failure) => action_failed(cx, id, name, failure),
    }
}

fn take_run(cx: &mut Engine, id: &str, name: &str) -> Option<Run> {
    cx.fis.experiments.edit(&id.to_owned())?.runs.remove(name)
}

fn action_failed(cx: &mut Engine, id: &str, name: &str, failure: Failure) {
    set_action(cx, id, name, Action::Failed, &failure.reason);
    log::action_error(cx, id, name);
    log::action_end(cx, id, name);
    fail(cx, id, failure);
}

/// Something went wrong: what runs is stopped, what waits is cancelled.
fn fail(cx: &mut Engine, id: &str, failure: Failure) {
    stop_actions(cx, id);
    let error = ExperimentError {
        account_id: Some(cx.config.account.clone()),
        code: Some(failure.code.to_owned()),
        location: Some(failure.location),
    };
    end(cx, id, Status::Failed, &failure.reason, Some(error));
}

/// Stops an experiment: at once `stopping`, its faults taken away, and `stopped` a moment later.
pub(super) fn stop(cx: &mut Engine, id: &str, reason: &str) {
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return };
    if !row.is_active() || row.status() == Status::Stopping {
        return;
    }
    set_state(cx, id, Status::Stopping, reason, None);
    stop_actions(cx, id);
    advance(cx, id, Stage::Ending(Status::Stopped), ENDING);
}

fn stop_actions(cx: &mut Engine, id: &str) {
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return };
    let running: Vec<String> = row.runs.keys().cloned().collect();
    for name in running {
        let Some(run) = take_run(cx, id, &name) else { continue };
        // What cannot be taken away any more is gone by itself: terminated instances.
        let (state, reason) = match action::undo(cx, &name, &run.job, run.undo) {
            Ok(()) => (Action::Stopped, "Action was stopped.".to_owned()),
            Err(failure) => (Action::Failed, failure.reason),
        };
        set_action(cx, id, &name, state, &reason);
        log::action_end(cx, id, &name);
    }
    cancel_actions(cx, id, "Action was cancelled.");
}

fn cancel_actions(cx: &mut Engine, id: &str, reason: &str) {
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return };
    let waits = |(_, action): &(&String, &ExperimentAction)| status(action) == Some(Action::Pending);
    let waiting: Vec<String> =
        row.document.actions.iter().flatten().filter(waits).map(|(name, _)| name.clone()).collect();
    for name in waiting {
        set_action(cx, id, &name, Action::Cancelled, reason);
    }
}

fn end(cx: &mut Engine, id: &str, status: Status, reason: &str, error: Option<ExperimentError>) {
    let now = cx.now;
    set_state(cx, id, status, reason, error);
    if let Some(mut row) = cx.fis.experiments.edit(&id.to_owned()) {
        row.document.end_time = Some(now);
    }
    log::experiment_end(cx, id);
    advance(cx, id, Stage::Ended, KEPT);
    lever::experiment_ended(cx);
}

fn edit(cx: &mut Engine, id: &str, change: impl FnOnce(&mut Document)) {
    if let Some(mut row) = cx.fis.experiments.edit(&id.to_owned()) {
        change(&mut row.document);
    }
}

/// Sets an experiment's state and tells EventBridge.
fn set_state(cx: &mut Engine, id: &str, status: Status, reason: &str, error: Option<ExperimentError>) {
    let Some(row) = cx.fis.experiments.get(&id.to_owned()) else { return };
    let before = row.document.state.clone().unwrap_or_default();
    let (arn, template) = (row.document.arn.clone(), row.document.experiment_template_id.clone());
    let reason = reason.to_owned();
    let state = ExperimentState { status: Some(status), reason: Some(reason), error };
    let after = state.clone();
    edit(cx, id, |document| document.state = Some(state));
    let shown = |state: &ExperimentState| json!({ "status": state.status.map(Status::as_str), "reason": state.reason });
    events::publish(cx, "aws.fis", "FIS Experiment State Change", |_| Published {
        resources: arn.into_iter().collect(),
        detail: json!({
            "experiment-id": id,
            "experiment-template-id": template,
            "new-state": shown(&after),
            "old-state": shown(&before),
        }),
        time: None,
    });
}

fn set_action(cx: &mut Engine, id: &str, name: &str, status: Action, reason: &str) {
    let now: Option<Time> = Some(cx.now);
    edit(cx, id, |document| {
        let Some(action) = document.actions.as_mut().and_then(|actions| actions.get_mut(name)) else {
            return;
        };
        action.state = Some(ExperimentActionState { status: Some(status), reason: Some(reason.to_owned()) });
        if status == Action::Running {
            action.start_time = now;
        } else if action.start_time.is_some() {
            action.end_time = now;
        }
    });
}

fn is_in_alarm(cx: &Engine, alarm: &str) -> bool {
    cx.cloudwatch.alarm(alarm).is_some_and(|row| row.state == StateValue::Alarm)
}

/// An alarm went to ALARM: experiments that have it as a stop condition stop.
pub(super) fn alarmed(cx: &mut Engine, alarm: &str) {
    for id in cx.fis.experiments.keys_by(&ExperimentIndex::Active) {
        let watches = |row: &Experiment| row.plan.alarms.iter().any(|each| each == alarm);
        if cx.fis.experiments.get(&id).is_some_and(watches) {
            stop(cx, &id, HALTED);
        }
    }
}
