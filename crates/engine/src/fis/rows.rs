//! The rows of the Fault Injection Service.

use std::collections::BTreeMap;

use capstan_model::Time;
use capstan_shapes::fis::{
    self, CreateExperimentTemplateRequest, ExperimentStatus, SafetyLeverStatus, StartExperimentRequest,
};

use super::job::Job;
use super::plan::Plan;
use crate::kernel::{NoIndex, Row};

/// What an experiment is made of, until it is deleted.
#[derive(Clone, Debug)]
pub struct Template {
    /// `EXT…`
    pub id: String,
    /// As the API shows it.
    pub document: fis::ExperimentTemplate,
    /// What made it, to tell a repetition from another request with its client token.
    pub request: Box<CreateExperimentTemplateRequest>,
}

impl Row for Template {
    type Key = String;
    /// The client token.
    type Index = String;
    const TABLE: &'static str = "fis.templates";
    fn key(&self) -> String {
        self.id.clone()
    }
    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.request.client_token.clone());
    }
}

/// One run of a template, from its start until 120 days after its end.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// `EXP…`
    pub id: String,
    /// As the API shows it, with the states of the experiment and its actions.
    pub document: fis::Experiment,
    pub request: Box<StartExperimentRequest>,
    /// The template as it was read at the start.
    pub plan: Plan,
    /// ARNs by target, chosen once.
    pub resolved: BTreeMap<String, Vec<String>>,
    /// By action.
    pub runs: BTreeMap<String, Run>,
    pub stage: Stage,
    /// When the stage is over; for the last one, when the experiment is forgotten.
    pub due: Option<Time>,
}

/// What an action that has started leaves to be done.
#[derive(Clone, Debug)]
pub struct Run {
    pub job: Job,
    /// When its fault ends; `None` when it does not run.
    pub due: Option<Time>,
    pub undo: Vec<Undo>,
}

/// What takes a fault away.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
    /// Container instances of a cluster are ACTIVE again. ARNs.
    Activate { cluster: String, instances: Vec<String> },
    /// Instances by id.
    StartInstances { instances: Vec<String> },
}

/// Where an experiment is on its way. Times between the stages follow a published log and observed.md §2: 2 s to the
/// targets, 11 s to the first action, 12 s in all when the actions take no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its targets are not known yet.
    Initiating,
    /// Its targets are known.
    Preparing,
    /// Its actions run.
    Running,
    /// Nothing is left to do but to end with that state.
    Ending(ExperimentStatus),
    Ended,
}

/// What experiments can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExperimentIndex {
    /// Those that have not ended.
    Active,
    ClientToken(String),
}

impl Experiment {
    pub fn status(&self) -> ExperimentStatus {
        self.document.state.as_ref().and_then(|state| state.status).unwrap_or_default()
    }

    pub fn is_active(&self) -> bool {
        self.stage < Stage::Ended
    }
}

impl Row for Experiment {
    type Key = String;
    type Index = ExperimentIndex;
    const TABLE: &'static str = "fis.experiments";
    fn key(&self) -> String {
        self.id.clone()
    }

    fn resource(&self) -> Option<String> {
        self.document.end_time.is_none().then(|| self.id.clone())
    }

    fn deadline(&self) -> Option<Time> {
        self.runs.values().filter_map(|run| run.due).chain(self.due).min()
    }
    fn index(&self, put: &mut dyn FnMut(ExperimentIndex)) {
        if self.is_active() {
            put(ExperimentIndex::Active);
        }
        put(ExperimentIndex::ClientToken(self.request.client_token.clone()));
    }
}

/// The account's safety lever: engaged, it stops all experiments and lets none begin.
#[derive(Clone, Debug)]
pub struct Lever {
    pub status: SafetyLeverStatus,
    pub reason: String,
}

impl Row for Lever {
    type Key = ();
    type Index = NoIndex;
    const TABLE: &'static str = "fis.safety-levers";
    fn key(&self) {}

    fn resource(&self) -> Option<String> {
        None
    }
}
