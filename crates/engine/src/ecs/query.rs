//! The cluster query language (ECS guide, cluster-query-language): the filter of ListContainerInstances and the
//! expressions of `memberOf` constraints.
//!
//! Where the guide is silent, our reading: `=~` must match the whole value; a comparison with an attribute that the
//! instance does not have is false, the negative ones included (observed: containers-roadmap issue 486); `task:group`
//! holds when some task on the instance has such a group, and its negative operators when no task has.

mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use capstan_model::Time;
use capstan_shapes::{Refusal, ecs as shapes};
use regex_lite::Regex;

use super::{ContainerInstance, Desired, Ecs, Task, TaskIndex};

/// A parsed expression. Its text parses to itself again.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    And(Vec<Self>),
    Compare(Comparison),
    Not(Box<Self>),
    Or(Vec<Self>),
}

/// A subject and what is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Comparison {
    AgentConnected(TextTest),
    AgentVersion(Order, Version),
    Attribute { name: String, test: AttributeTest },
    Ec2InstanceId(TextTest),
    RegisteredAt(Order, Date),
    RunningTasksCount(Order, i64),
    TaskGroup(TextTest),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum AttributeTest {
    Exists,
    NotExists,
    Text(TextTest),
}

/// A test of a text. A negative one is the opposite of its positive one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextTest {
    pub(super) negative: bool,
    pub(super) by: TextMatch,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TextMatch {
    Equals(String),
    In(Vec<String>),
    Matches(Pattern),
}

impl TextMatch {
    pub(super) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equals(text) => text == value,
            Self::In(texts) => texts.iter().any(|text| text == value),
            Self::Matches(pattern) => pattern.regex.is_match(value),
        }
    }
}

impl TextTest {
    fn holds(&self, value: &str) -> bool {
        self.by.holds(value) != self.negative
    }
}

/// A regular expression that must match the whole value.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Bytes that a compiled pattern may take.
    const SIZE_MAX: usize = 256 * 1024;

    fn new(text: &str) -> Option<Self> {
        // By itself first: `a)(b` is a pattern only between our parentheses.
        let build = |pattern: &str| {
            regex_lite::RegexBuilder::new(pattern).size_limit(Self::SIZE_MAX).nest_limit(32).build().ok()
        };
        build(text)?;
        let regex = build(&format!(r"\A(?:{text})\z"))?;
        Some(Self { text: text.to_owned(), regex })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Order {
    pub(super) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

/// `1.14.5`, compared part by part; missing parts count as 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version(Vec<u64>);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>().map(Self)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let part = |version: &Self, at: usize| version.0.get(at).copied().unwrap_or(0);
        (0..self.0.len().max(other.0.len()))
            .map(|at| part(self, at).cmp(&part(other, at)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// A moment and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Date {
    text: String,
    time: Time,
}

/// The text is not an expression of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// What is wrong, as the end of a sentence.
    pub(super) what: String,
}

impl Invalid {
    /// The answer to a request that holds such an expression. AWS's own wording is not published.
    pub(super) fn refusal(&self, query: &str) -> Refusal {
        Refusal::of(&shapes::INVALID_PARAMETER_EXCEPTION, format!("Invalid query \"{query}\": {}", self.what))
    }
}

/// Characters of an expression (ECS model, PlacementConstraint.expression).
pub(super) const LENGTH_MAX: usize = 2000;

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        parse::expression(text)
    }

    /// Whether it holds for the instance and the tasks that are on it now.
    pub(super) fn holds(&self, ecs: &Ecs, instance: &ContainerInstance) -> bool {
        self.holds_with(Some(ecs), instance)
    }

    /// Whether it holds for the instance, for an expression that does not ask about tasks.
    pub(super) fn holds_alone(&self, instance: &ContainerInstance) -> bool {
        self.holds_with(None, instance)
    }

    fn holds_with(&self, tasks: Option<&Ecs>, instance: &ContainerInstance) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds_with(tasks, instance)),
            Self::Compare(comparison) => comparison.holds(tasks, instance),
            Self::Not(part) => !part.holds_with(tasks, instance),
            Self::Or(parts) => parts.iter().any(|part| part.holds_with(tasks, instance)),
        }
    }

    /// Whether tasks that come and go can change what it says of an instance.
    pub(super) fn asks_tasks(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::asks_tasks),
            Self::Compare(Comparison::RunningTasksCount(..) | Comparison::TaskGroup(_)) => true,
            Self::Compare(_) => false,
            Self::Not(part) => part.asks_tasks(),
        }
    }
}

impl Comparison {
    fn holds(&self, tasks: Option<&Ecs>, instance: &ContainerInstance) -> bool {
        match self {
            Self::AgentConnected(test) => test.holds(if instance.agent_connected { "true" } else { "false" }),
            Self::AgentVersion(order, version) => Version::parse(&instance.version_info.0)
                .is_some_and(|running| order.holds(running.compare(version))),
            Self::Attribute { name, test } => match (test, instance.attributes.get(name)) {
                (AttributeTest::Exists, found) => found.is_some(),
                (AttributeTest::NotExists, found) => found.is_none(),
                (AttributeTest::Text(_), None) => false,
                (AttributeTest::Text(test), Some(value)) => test.holds(value.as_deref().unwrap_or_default()),
            },
            Self::Ec2InstanceId(test) => {
                instance.ec2_instance.is_some_and(|instance| test.holds(&instance.to_string()))
            }
            Self::RegisteredAt(order, date) => order.holds(instance.registered_at.cmp(&date.time)),
            Self::RunningTasksCount(order, count) => {
                let running = tasks.map_or(0, |ecs| running_tasks(ecs, instance));
                order.holds(running.cmp(count))
            }
            Self::TaskGroup(test) => {
                let on_it = TaskIndex::Instance(instance.id);
                let has = |ecs: &Ecs| ecs.tasks().by(&on_it).any(|task| test.by.holds(&task.group));
                tasks.is_some_and(has) != test.negative
            }
        }
    }
}

/// `runningTasksCount`: tasks whose desired status is RUNNING (ECS model, ContainerInstance.runningTasksCount).
pub(super) fn running_tasks(ecs: &Ecs, instance: &ContainerInstance) -> i64 {
    let running = |task: &&Task| task.desired == Desired::Running;
    ecs.tasks().by(&TaskIndex::Instance(instance.id)).filter(running).map(|_| 1).sum()
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            parts.iter().enumerate().try_for_each(|(at, part)| {
                let between = if at == 0 { "" } else { word };
                match part {
                    Self::Compare(_) | Self::Not(_) => write!(f, "{between}{part}"),
                    Self::And(_) | Self::Or(_) => write!(f, "{between}({part})"),
                }
            })
        };
        match self {
            Self::And(parts) => list(f, parts, " and "),
            Self::Compare(comparison) => comparison.fmt(f),
            Self::Not(part) => write!(f, "not ({part})"),
            Self::Or(parts) => list(f, parts, " or "),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentConnected(test) => write!(f, "agentConnected {test}"),
            Self::AgentVersion(order, version) => {
                let parts: Vec<String> = version.0.iter().map(ToString::to_string).collect();
                write!(f, "agentVersion {order} {}", parts.join("."))
            }
            Self::Attribute { name, test: AttributeTest::Exists } => write!(f, "attribute:{name} exists"),
            Self::Attribute { name, test: AttributeTest::NotExists } => write!(f, "attribute:{name} !exists"),
            Self::Attribute { name, test: AttributeTest::Text(test) } => write!(f, "attribute:{name} {test}"),
            Self::Ec2InstanceId(test) => write!(f, "ec2InstanceId {test}"),
            Self::RegisteredAt(order, date) => write!(f, "registeredAt {order} {}", Quoted(&date.text)),
            Self::RunningTasksCount(order, count) => write!(f, "runningTasksCount {order} {count}"),
            Self::TaskGroup(test) => write!(f, "task:group {test}"),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        })
    }
}

impl fmt::Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.by, self.negative) {
            (TextMatch::Equals(text), false) => write!(f, "== {}", Quoted(text)),
            (TextMatch::Equals(text), true) => write!(f, "!= {}", Quoted(text)),
            (TextMatch::Matches(pattern), false) => write!(f, "=~ {}", Quoted(&pattern.text)),
            (TextMatch::Matches(pattern), true) => write!(f, "!~ {}", Quoted(&pattern.text)),
            (TextMatch::In(texts), negative) => {
                f.write_str(if negative { "!in [" } else { "in [" })?;
                for (at, text) in texts.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { "" } else { ", " }, Quoted(text))?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A literal as it may stand anywhere: quoted with the mark that it does not hold, or bare when it holds both (then it
/// came bare, so it may stand so).
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        match (text.contains('\''), text.contains('"')) {
            (false, _) => write!(f, "'{text}'"),
            (true, false) => write!(f, "\"{text}\""),
            (true, true) => f.write_str(text),
        }
    }
}
