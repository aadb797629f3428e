//! Fault Injection Service: experiments that take capacity away on purpose.
//!
//! A template says which resources and what happens to them; an experiment is one run of it. What an experiment does to
//! others it does through their API, as `fis.amazonaws.com`; Spot interruptions and capacity errors, for which AWS has no
//! public call, go through EC2's own doors.

mod action;
mod capacity;
mod catalogue;
mod experiment;
mod filter;
mod job;
mod lever;
mod log;
mod plan;
mod rows;
mod run;
mod tag;
mod target;
mod template;
#[cfg(test)]
mod tests;

use capstan_model::Time;
use capstan_shapes::{Refusal, fis};

use crate::kernel::{Event, Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub(crate) use capacity::capacity_error;
pub use catalogue::{ActionType, Parameter, ResourceType, TargetSlot};
pub use job::Job;
pub use plan::{Plan, Planned, Selection};
pub use rows::{Experiment, ExperimentIndex, Lever, Run, Stage, Template, Undo};

/// Spot Instances that one action may interrupt (FIS guide, fis-quotas; AWS's console and older pages say 5).
pub const SPOT_TARGETS: usize = 100;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    (
        "CreateExperimentTemplate.actions",
        "aws:network:disrupt-connectivity takes its time and blocks nothing: there is no network between subnets; the \
         action's state says so",
    ),
    ("CreateExperimentTemplate.experimentReportConfiguration", "kept and shown; no report is made"),
    (
        "CreateExperimentTemplate.logConfiguration.s3Configuration",
        "kept and shown; there is no S3 to write to",
    ),
    ("CreateExperimentTemplate.roleArn", "kept and shown; nobody's permissions are checked"),
    (
        "CreateExperimentTemplate.targets",
        "roles of aws:ec2:api-insufficient-instance-capacity-error: callers have no IAM roles, so the action concerns \
         every launch that no Auto Scaling group makes",
    ),
    ("UpdateExperimentTemplate.experimentReportConfiguration", "kept and shown; no report is made"),
    (
        "UpdateExperimentTemplate.logConfiguration.s3Configuration",
        "kept and shown; there is no S3 to write to",
    ),
    ("UpdateExperimentTemplate.roleArn", "kept and shown; nobody's permissions are checked"),
];

/// The tables of the Fault Injection Service.
#[derive(Clone, Debug, Default)]
pub struct Fis {
    experiments: Table<Experiment>,
    lever: Table<Lever>,
    templates: Table<Template>,
}

impl Fis {
    pub fn experiments(&self) -> &Table<Experiment> {
        &self.experiments
    }

    pub fn lever(&self) -> &Table<Lever> {
        &self.lever
    }

    pub fn templates(&self) -> &Table<Template> {
        &self.templates
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.experiments.next_due()
    }
}

tables!(Fis { experiments, lever, templates });

pub(crate) fn start(cx: &mut Engine) {
    lever::start(cx);
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: fis::Request,
) -> Result<fis::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, fis {
        CreateExperimentTemplate => template::create,
        DeleteExperimentTemplate => template::delete,
        GetAction => catalogue::get_action,
        GetExperiment => experiment::get,
        GetExperimentTemplate => template::get,
        GetSafetyLever => lever::get,
        GetTargetResourceType => catalogue::get_resource_type,
        ListActions => catalogue::list_actions,
        ListExperimentResolvedTargets => experiment::resolved_targets,
        ListExperimentTemplates => template::list,
        ListExperiments => experiment::list,
        ListTagsForResource => tag::list,
        ListTargetResourceTypes => catalogue::list_resource_types,
        StartExperiment => experiment::start,
        StopExperiment => experiment::stop,
        TagResource => tag::tag,
        UntagResource => tag::untag,
        UpdateExperimentTemplate => template::update,
        UpdateSafetyLeverState => lever::update,
    }))
}

/// Handles the one thing that is first due.
pub(crate) fn on_due(cx: &mut Engine) {
    if let Some((_, id)) = cx.fis.experiments.first_due() {
        run::due(cx, &id);
    }
}

pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    if let Event::AlarmState { alarm, state: "ALARM" } = event {
        run::alarmed(cx, alarm);
    }
}

/// Why an experiment or an action failed.
#[derive(Clone, Debug)]
struct Failure {
    /// `InvalidTarget`, `ConfigurationFailure` … (FIS guide, troubleshooting)
    code: &'static str,
    /// `targets.NAME`, `actions.NAME`
    location: String,
    reason: String,
}

/// Letters and digits after the prefix, as AWS draws ids: `EXPhjAXCGY78HV2a4A`.
fn draw_id(cx: &mut Engine, prefix: &str, digits: u32) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bits = cx.chance.u128("fis.id");
    let mut id = String::from(prefix);
    for _ in 0..digits {
        id.push(char::from(ALPHABET[usize::try_from(bits % 62).unwrap_or_default()]));
        bits /= 62;
    }
    id
}

/// A page of a list, 100 items unless the request wants fewer.
fn paged<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<String>,
    max_results: Option<i32>,
) -> Result<Page<T>, Refusal> {
    let size = max_results.and_then(|size| usize::try_from(size).ok()).unwrap_or(100);
    page(items, key, token.as_deref(), size)
        .map_err(|()| invalid("The nextToken is not one that was given. Take it from the answer before."))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::of(&fis::VALIDATION_EXCEPTION, message)
}

fn conflict(message: impl Into<String>) -> Refusal {
    Refusal::of(&fis::CONFLICT_EXCEPTION, message)
}

fn quota(message: impl Into<String>) -> Refusal {
    Refusal::of(&fis::SERVICE_QUOTA_EXCEEDED_EXCEPTION, message)
}

fn not_found(what: &str, id: &str) -> Refusal {
    Refusal::of(&fis::RESOURCE_NOT_FOUND_EXCEPTION, format!("There is no {what} {id}."))
}
