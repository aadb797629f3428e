//! Why a task is where it is, and why it is nowhere.

use std::fmt;

use capstan_model::Hex32;

use crate::ecs::Name;

/// Why that instance: what each rule of the strategy found, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ecs) struct Because {
    /// Whose tasks were counted.
    pub(super) group: Option<Name>,
    /// How many instances could have taken the task.
    pub(super) candidates: usize,
    pub(super) rules: Vec<Rule>,
}

/// What a rule chose by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// `spread` by an attribute: the value of the instance has the fewest tasks of the group.
    FewestIn {
        value: Option<Name>,
        count: u32,
    },
    /// `spread` by instance.
    FewestOn {
        count: u32,
    },
    /// `binpack`: the least that is left and still enough.
    Least {
        memory: bool,
        left: i64,
    },
    Random {
        among: usize,
    },
}

impl Because {
    /// The caller named the instance.
    pub(super) fn asked() -> Self {
        Self { group: None, candidates: 1, rules: Vec::new() }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(group) = &self.group else { return f.write_str("the instance was asked for") };
        let whose = match group.split_once(':') {
            Some(("service", name)) => format!("service {name}"),
            Some(("family", name)) => format!("family {name}"),
            _ => format!("group {group}"),
        };
        for (at, rule) in self.rules.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "; " })?;
            match rule {
                Rule::FewestIn { value: Some(value), count } => {
                    write!(f, "{value} has fewest ({count}) of {whose}")?
                }
                Rule::FewestIn { value: None, count } => {
                    write!(f, "instances without the attribute have fewest ({count}) of {whose}")?;
                }
                Rule::FewestOn { count } => write!(f, "instance has {count} of {whose}")?,
                Rule::Least { memory: true, left } => {
                    write!(f, "instance has least memory left ({left} MiB)")?
                }
                Rule::Least { memory: false, left } => {
                    write!(f, "instance has least CPU left ({left} units)")?
                }
                Rule::Random { among } => write!(f, "drawn among {among}")?,
            }
        }
        let between = if self.rules.is_empty() { "" } else { "; " };
        match self.candidates {
            1 => write!(f, "{between}the only instance that fits"),
            n => write!(f, "{between}{n} instances fit"),
        }
    }
}

/// What keeps a task from an instance, or from all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ecs) enum Lack {
    Agent,
    Attribute,
    Cpu,
    DistinctInstance,
    /// The capacity provider has no ACTIVE instance.
    EmptyProvider,
    /// The instance is DRAINING or INACTIVE.
    Inactive,
    Interface,
    MemberOf,
    Memory,
    /// The cluster has no ACTIVE instance.
    NoInstances,
    Ports,
    /// There is no such task definition any more.
    TaskDefinition,
}

impl Lack {
    /// As `failures[].reason` and `stoppedReason` tell it (ECS guide, api_failures_messages and failed-to-start-error).
    pub(in crate::ecs) fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::Attribute => "ATTRIBUTE",
            Self::Cpu => "RESOURCE:CPU",
            Self::DistinctInstance => "DistinctInstance placement constraint unsatisfied.",
            Self::EmptyProvider => "EMPTY CAPACITY PROVIDER",
            Self::Inactive => "INACTIVE",
            Self::Interface => "RESOURCE:ENI",
            Self::MemberOf => "MemberOf placement constraint unsatisfied.",
            Self::Memory => "RESOURCE:MEMORY",
            Self::NoInstances => "NO ACTIVE INSTANCES",
            Self::Ports => "RESOURCE:PORTS",
            Self::TaskDefinition => "TASK_NOT_VALID",
        }
    }
}

/// Nothing takes the task. Displayed, it is the middle of the service event "was unable to place a task".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ecs) struct Unplaced {
    pub(in crate::ecs) lack: Lack,
    /// The closest match, or the one that was asked for.
    pub(in crate::ecs) instance: Option<Hex32>,
}

impl Unplaced {
    pub(in crate::ecs) fn no_definition() -> Self {
        Self { lack: Lack::TaskDefinition, instance: None }
    }

    pub(in crate::ecs) fn instance(&self) -> Option<Hex32> {
        self.instance
    }

    /// The middle of the service event.
    pub(in crate::ecs) fn sentence(&self) -> String {
        self.to_string()
    }

    /// As `failures[].reason` tells it.
    pub(in crate::ecs) fn reason(&self) -> String {
        self.lack.as_str().to_owned()
    }
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(instance) = self.instance else {
            return f.write_str(match self.lack {
                Lack::EmptyProvider => "Reason: No Container Instances were found in your capacity provider.",
                Lack::TaskDefinition => "Reason: The task definition is not valid.",
                _ => "Reason: No Container Instances were found in your cluster.",
            });
        };
        write!(f, "The closest matching (container-instance {instance}) ")?;
        f.write_str(match self.lack {
            Lack::Cpu => "has insufficient CPU units available.",
            Lack::Memory => "has insufficient memory available.",
            Lack::Ports => "is already using a port required by your task.",
            Lack::Agent => "doesn't have the agent connected.",
            Lack::Attribute => "is missing an attribute required by your task.",
            Lack::MemberOf => "encountered error \"MemberOf placement constraint unsatisfied.\"",
            Lack::DistinctInstance => {
                "encountered error \"DistinctInstance placement constraint unsatisfied.\""
            }
            Lack::Interface => "encountered error \"RESOURCE:ENI\".",
            Lack::Inactive | Lack::EmptyProvider | Lack::NoInstances | Lack::TaskDefinition => {
                "is not ACTIVE."
            }
        })
    }
}
