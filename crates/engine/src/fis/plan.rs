//! A template, read and held against the rules: what its actions do, which of the resources they take.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::Refusal;
use capstan_shapes::fis::{
    self, EmptyTargetResolutionMode, ExperimentTemplateAction, ExperimentTemplateTarget,
};

use super::job::{self, Job};
use super::{ActionType, catalogue, invalid, quota};
use crate::Engine;

/// Quotas of a template (FIS guide, fis-quotas).
const ACTIONS_MAX: usize = 20;
const PARALLEL_MAX: usize = 10;
const STOP_CONDITIONS_MAX: usize = 5;

/// A template that can be run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub targets: BTreeMap<String, Selection>,
    pub actions: BTreeMap<String, Planned>,
    /// Names of the alarms that stop it.
    pub alarms: Vec<String>,
    /// Whether an action without a target is skipped; else the experiment fails.
    pub skips_empty: bool,
    /// Name of the CloudWatch Logs group for its log.
    pub log_group: Option<String>,
}

/// An action of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    pub kind: &'static ActionType,
    pub job: Job,
    /// Name of its target.
    pub target: Option<String>,
    pub start_after: Vec<String>,
}

/// How many of the resources that fit are taken, at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    Count(usize),
    /// 1 to 100, rounded down.
    Percent(usize),
}

impl Selection {
    pub fn parse(text: &str) -> Option<Self> {
        if text == "ALL" {
            return Some(Self::All);
        }
        let (kind, number) = text.strip_suffix(')')?.split_once('(')?;
        let number: usize = number.parse().ok().filter(|number| *number > 0)?;
        match kind {
            "COUNT" => Some(Self::Count(number)),
            "PERCENT" if number <= 100 => Some(Self::Percent(number)),
            _ => None,
        }
    }

    /// Of so many.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::Count(count) => count.min(all),
            Self::Percent(percent) => all * percent / 100,
        }
    }
}

/// Reads a template. Texts in quotes after "Unexpected target" and about ARNs and tags are AWS's (observed); the others
/// are ours.
pub(super) fn read(cx: &Engine, document: &fis::ExperimentTemplate) -> Result<Plan, Refusal> {
    let empty_targets = BTreeMap::new();
    let targets = document.targets.as_ref().unwrap_or(&empty_targets);
    let mut plan = Plan::default();
    for (name, target) in targets {
        plan.targets.insert(name.clone(), read_target(name, target)?);
    }
    let empty_actions = BTreeMap::new();
    let actions = document.actions.as_ref().unwrap_or(&empty_actions);
    if actions.is_empty() {
        return Err(invalid("The experiment template must have at least one action."));
    }
    if actions.len() > ACTIONS_MAX {
        return Err(quota(format!("An experiment template can have at most {ACTIONS_MAX} actions.")));
    }
    for (name, action) in actions {
        plan.actions.insert(name.clone(), read_action(cx, name, action, targets, actions)?);
    }
    ordered(&plan.actions)?;
    plan.alarms = alarms(document)?;
    let options = document.experiment_options.as_ref();
    if options.and_then(|options| options.account_targeting) == Some(fis::AccountTargeting::MultiAccount) {
        return Err(invalid("Experiments with targets in several accounts are not supported."));
    }
    let mode = options.and_then(|options| options.empty_target_resolution_mode);
    plan.skips_empty = mode == Some(EmptyTargetResolutionMode::Skip);
    plan.log_group = log_group(document)?;
    Ok(plan)
}

fn read_target(name: &str, target: &ExperimentTemplateTarget) -> Result<Selection, Refusal> {
    let id = target.resource_type.as_deref().unwrap_or_default();
    let kind = catalogue::resource_type(id)
        .ok_or_else(|| invalid(format!("Target \"{name}\" has the unknown resource type {id}.")))?;
    let by_arn = target.resource_arns.as_ref().is_some_and(|arns| !arns.is_empty());
    let by_tag = target.resource_tags.as_ref().is_some_and(|tags| !tags.is_empty());
    let by_filter = target.filters.as_ref().is_some_and(|filters| !filters.is_empty());
    let parameters = target.parameters.iter().flatten();
    if by_arn && by_tag {
        return Err(invalid(format!(
            "You cannot specify both resource ARNs and resource tags for target {name}."
        )));
    }
    if by_arn && by_filter {
        return Err(invalid(format!("You cannot specify both resource ARNs and filters for target {name}.")));
    }
    for (parameter, _) in parameters.clone() {
        if kind.parameters.iter().all(|each| each.name != parameter) {
            return Err(invalid(format!("Unexpected parameter \"{parameter}\" found in target \"{name}\".")));
        }
    }
    if !kind.by_attributes && !by_arn {
        return Err(invalid(format!("TargetResourceType {id} requires resourceArns.")));
    }
    if !by_arn && !by_tag && !by_filter && parameters.count() == 0 {
        return Err(invalid(format!(
            "You must specify resource ARNs, resource tags, filters or parameters for target {name}."
        )));
    }
    let mode = target.selection_mode.as_deref().unwrap_or_default();
    Selection::parse(mode).ok_or_else(|| {
        invalid(format!(
            "Target \"{name}\" has the invalid selection mode {mode}. Give ALL, COUNT(n) or PERCENT(n)."
        ))
    })
}

fn read_action(
    cx: &Engine,
    name: &str,
    action: &ExperimentTemplateAction,
    targets: &BTreeMap<String, ExperimentTemplateTarget>,
    actions: &BTreeMap<String, ExperimentTemplateAction>,
) -> Result<Planned, Refusal> {
    let id = action.action_id.as_deref().unwrap_or_default();
    let kind = catalogue::action(id).ok_or_else(|| {
        invalid(format!(
            "Action \"{name}\" has the unknown action id {id}. ListActions tells those there are."
        ))
    })?;
    let job = job::read(cx, name, kind, action.parameters.as_ref().unwrap_or(&BTreeMap::new()))?;
    let mut target = None;
    for (key, given) in action.targets.iter().flatten() {
        let slot = kind
            .target
            .as_ref()
            .filter(|slot| slot.key == key)
            .ok_or_else(|| invalid(format!("Unexpected target \"{key}\" found in action \"{name}\".")))?;
        let resource_type = targets.get(given).and_then(|target| target.resource_type.as_deref());
        match resource_type {
            None => {
                return Err(invalid(format!(
                    "Action \"{name}\" has the target \"{given}\", which does not exist."
                )));
            }
            Some(other) if other != slot.resource_type => {
                return Err(invalid(format!(
                    "Target \"{given}\" of action \"{name}\" must be of the resource type {}, not {other}.",
                    slot.resource_type
                )));
            }
            Some(_) => target = Some(given.clone()),
        }
    }
    if let Some(slot) = kind.target.as_ref().filter(|_| target.is_none()) {
        return Err(invalid(format!("Missing target \"{}\" in action \"{name}\".", slot.key)));
    }
    let start_after = action.start_after.clone().unwrap_or_default();
    if let Some(unknown) = start_after.iter().find(|before| !actions.contains_key(*before)) {
        return Err(invalid(format!(
            "Action \"{name}\" starts after the action \"{unknown}\", which does not exist."
        )));
    }
    Ok(Planned { kind, job, target, start_after })
}

/// No action waits for itself, and not too many start at once: as many as wait for the same ones.
fn ordered(actions: &BTreeMap<String, Planned>) -> Result<(), Refusal> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    loop {
        let ready = |action: &Planned| action.start_after.iter().all(|before| done.contains(before.as_str()));
        let next: Vec<&str> = actions
            .iter()
            .filter(|(name, action)| !done.contains(name.as_str()) && ready(action))
            .map(|(name, _)| name.as_str())
            .collect();
        if next.is_empty() {
            break;
        }
        done.extend(next);
    }
    if let Some((stuck, _)) = actions.iter().find(|(name, _)| !done.contains(name.as_str())) {
        return Err(invalid(format!("Action \"{stuck}\" waits for itself by startAfter.")));
    }
    let mut together: BTreeMap<BTreeSet<&str>, usize> = BTreeMap::new();
    for action in actions.values() {
        *together.entry(action.start_after.iter().map(String::as_str).collect()).or_default() += 1;
    }
    if together.values().any(|count| *count > PARALLEL_MAX) {
        return Err(quota(format!("At most {PARALLEL_MAX} actions can run in parallel.")));
    }
    Ok(())
}

fn alarms(document: &fis::ExperimentTemplate) -> Result<Vec<String>, Refusal> {
    let conditions = document.stop_conditions.as_deref().unwrap_or_default();
    if conditions.is_empty() {
        return Err(invalid("The experiment template must have a stop condition; its source may be none."));
    }
    if conditions.len() > STOP_CONDITIONS_MAX {
        return Err(quota(format!(
            "An experiment template can have at most {STOP_CONDITIONS_MAX} stop conditions."
        )));
    }
    let mut alarms = Vec::new();
    for condition in conditions {
        let value = condition.value.as_deref();
        match (condition.source.as_deref().unwrap_or_default(), value) {
            ("none", None) => {}
            ("none", Some(_)) => return Err(invalid("A stop condition with the source none has no value.")),
            ("aws:cloudwatch:alarm", Some(arn)) => {
                let name = job::alarm_name(arn);
                let name = name.ok_or_else(|| {
                    invalid(format!("The stop condition {arn} is not the ARN of a CloudWatch alarm."))
                })?;
                alarms.push(name.to_owned());
            }
            ("aws:cloudwatch:alarm", None) => {
                return Err(invalid(
                    "A stop condition with the source aws:cloudwatch:alarm needs the alarm's ARN.",
                ));
            }
            (other, _) => return Err(invalid(format!("Invalid stop condition source {other}."))),
        }
    }
    Ok(alarms)
}

/// The group in `arn:aws:logs:REGION:ACCOUNT:log-group:NAME:*`.
fn log_group(document: &fis::ExperimentTemplate) -> Result<Option<String>, Refusal> {
    let Some(configuration) = &document.log_configuration else { return Ok(None) };
    let version = configuration.log_schema_version.unwrap_or_default();
    if !(1..=2).contains(&version) {
        return Err(invalid(format!("Invalid log schema version {version}. Give 2, or 1.")));
    }
    let Some(arn) = configuration
        .cloud_watch_logs_configuration
        .as_ref()
        .and_then(|configuration| configuration.log_group_arn.as_deref())
    else {
        return Ok(None);
    };
    let parsed = capstan_model::Arn::parse(arn).filter(|arn| arn.service == "logs");
    let name = parsed.and_then(|arn| arn.resource.strip_prefix("log-group:")?.strip_suffix(":*"));
    name.map(|name| Some(name.to_owned())).ok_or_else(|| {
        invalid(format!(
            "Invalid log group ARN {arn}. It has the form arn:aws:logs:REGION:ACCOUNT:log-group:NAME:*."
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections() {
        let check = |text: &str, all: usize, expect: Option<usize>| {
            assert_eq!(Selection::parse(text).map(|selection| selection.of(all)), expect, "{text} of {all}");
        };
        check("ALL", 7, Some(7));
        check("COUNT(3)", 7, Some(3));
        check("COUNT(9)", 7, Some(7));
        check("PERCENT(50)", 7, Some(3));
        check("PERCENT(50)", 1, Some(0));
        check("PERCENT(100)", 7, Some(7));
        check("PERCENT(1)", 100, Some(1));
        for wrong in ["", "all", "COUNT(0)", "COUNT()", "COUNT(1", "PERCENT(101)", "PERCENT(-1)", "SOME(1)"] {
            check(wrong, 7, None);
        }
    }
}
