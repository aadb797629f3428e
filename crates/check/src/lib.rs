//! Invariants over the engine's state and over one step. They stand outside the code they check, and run after every
//! step in tests and simulations.

mod autoscaling;
mod ec2;
mod ecs;
mod sums;

use std::collections::BTreeMap;

use capstan_engine::Engine;
use capstan_engine::ecs::{ServiceKey, Standing, TaskStatus};
use capstan_model::Hex32;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it is about: a task, an instance, a service.
    pub subject: String,
    pub broken: String,
}

impl Violation {
    fn new(subject: impl Into<String>, broken: impl Into<String>) -> Self {
        Self { subject: subject.into(), broken: broken.into() }
    }
}

/// Looks at one engine again and again; remembers what may not go back.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    tasks: BTreeMap<Hex32, (TaskStatus, i64)>,
    services: BTreeMap<ServiceKey, Standing>,
}

impl Checker {
    /// Every invariant that does not hold now, or that the step since the last look has broken.
    pub fn observe(&mut self, engine: &Engine) -> Vec<Violation> {
        let mut found = Vec::new();
        ecs::instances(engine, &mut found);
        ecs::waiting(engine, &mut found);
        self.tasks = ecs::tasks(engine, &self.tasks, &mut found);
        self.services = ecs::services(engine, &self.services, &mut found);
        autoscaling::groups(engine, &mut found);
        sums::all(engine, &mut found);
        ec2::instances(engine, &mut found);
        found
    }
}
