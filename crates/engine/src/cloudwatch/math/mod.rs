//! Metric math: queries of which some are expressions over others (CloudWatch guide, using-metric-math).
//!
//! `lexer` and `parser` read an expression, `kind` says what it gives before there is a point, `evaluate` and `value` make
//! points of points. GetMetricData, alarms on `Metrics` and the expressions of widgets stand on it.

mod evaluate;
mod kind;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;
mod value;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, cloudwatch as shapes};

use super::query;
use super::rows::{MetricId, Source};
use super::validation;
use crate::Engine;
use evaluate::{Frame, evaluate};
use kind::{Kind, Names};
use parser::Tree;
use value::{Line, Value};

/// Queries that were read and found to fit together.
#[derive(Clone, Debug, PartialEq)]
pub struct Math {
    queries: Vec<Query>,
    /// As given.
    given: Vec<shapes::MetricDataQuery>,
}

#[derive(Clone, Debug, PartialEq)]
struct Query {
    id: String,
    label: Option<String>,
    returned: bool,
    /// Of an expression, when it was given.
    period: Option<Span>,
    what: What,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Metric(Source),
    Expression(Tree),
}

/// The answer to one query that returns data; several for one that gives several time series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) period: Span,
    /// Oldest first.
    pub(super) points: Vec<(Time, f64)>,
}

/// The ids of a request and what stands behind them.
struct Ids<'a> {
    queries: &'a [Query],
    /// `None` while it is being found out: who asks then asks for itself.
    known: RefCell<BTreeMap<usize, Option<Kind>>>,
}

impl Names for Ids<'_> {
    fn kind(&self, id: &str) -> Result<Kind, String> {
        let at = self.queries.iter().position(|query| query.id == id);
        let at = at.ok_or_else(|| format!("there is no query with the id {id}"))?;
        let What::Expression(tree) = &self.queries[at].what else { return Ok(Kind::Series) };
        let known = self.known.borrow().get(&at).copied();
        match known {
            Some(Some(kind)) => return Ok(kind),
            Some(None) => return Err(format!("the expression {id} depends on itself")),
            None => {}
        }
        self.known.borrow_mut().insert(at, None);
        let kind = kind::kind(tree, self)?;
        self.known.borrow_mut().insert(at, Some(kind));
        Ok(kind)
    }

    fn metrics(&self) -> Vec<&str> {
        let metric = |query: &&Query| matches!(query.what, What::Metric(_));
        self.queries.iter().filter(metric).map(|query| query.id.as_str()).collect()
    }
}

impl Math {
    /// Reads the queries of a request. `list` is the name of its member that holds them.
    pub(super) fn read(list: &str, given: Vec<shapes::MetricDataQuery>) -> Result<Self, Refusal> {
        let mut queries: Vec<Query> = Vec::with_capacity(given.len());
        for (index, query) in given.iter().enumerate() {
            let query = read_query(&format!("{list}.member.{}", index + 1), query)?;
            if queries.iter().any(|other| other.id == query.id) {
                return Err(validation(format!(
                    "The values for parameter id in {list} are not unique: {}",
                    query.id
                )));
            }
            queries.push(query);
        }
        Self::of(queries, given)
    }

    /// Expressions over named metrics, as widgets have them. `Err` says what is wrong with one.
    pub(super) fn of_widget(
        metrics: Vec<(String, Source)>,
        expressions: Vec<(String, String)>,
    ) -> Result<Self, String> {
        let mut queries: Vec<Query> = Vec::new();
        for (id, source) in metrics {
            let (what, kind) = (What::Metric(source), Kind::Series);
            queries.push(Query { id, label: None, returned: false, period: None, what, kind });
        }
        for (id, text) in expressions {
            let tree = parser::parse(&text).map_err(|wrong| format!("{text}: {wrong}"))?;
            let what = What::Expression(tree);
            queries.push(Query { id, label: None, returned: true, period: None, what, kind: Kind::Series });
        }
        Self::of(queries, Vec::new()).map_err(|refusal| refusal.message)
    }

    fn of(mut queries: Vec<Query>, given: Vec<shapes::MetricDataQuery>) -> Result<Self, Refusal> {
        let ids = Ids { queries: &queries, known: RefCell::default() };
        let mut kinds = Vec::with_capacity(queries.len());
        for query in &queries {
            let kind = ids.kind(&query.id);
            kinds.push(kind.map_err(|wrong| in_expression(&query.id, &wrong))?);
        }
        for (query, kind) in queries.iter_mut().zip(kinds) {
            query.kind = kind;
        }
        let scalar = |query: &&Query| query.returned && query.kind == Kind::Scalar;
        if let Some(query) = queries.iter().find(scalar) {
            let wrong = "the result is a scalar, not a time series: put it into TIME_SERIES";
            return Err(in_expression(&query.id, wrong));
        }
        Ok(Self { queries, given })
    }

    /// The queries as they were given.
    pub(super) fn given(&self) -> &[shapes::MetricDataQuery] {
        &self.given
    }

    /// The metrics that are looked at.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &Arc<MetricId>> {
        self.queries.iter().filter_map(|query| match &query.what {
            What::Metric(source) => Some(&source.metric),
            What::Expression(_) => None,
        })
    }

    /// The only query, when it is one of a metric.
    pub(super) fn only_metric(&self) -> Option<&Source> {
        match &self.queries[..] {
            [Query { what: What::Metric(source), .. }] => Some(source),
            _ => None,
        }
    }

    /// The only query that returns data, when it gives one time series: its period. `Err` says what is wrong.
    pub(super) fn single(&self) -> Result<Span, String> {
        if self.metrics().next().is_none() {
            return Err("it names no metric".to_owned());
        }
        let returned: Vec<&Query> = self.queries.iter().filter(|query| query.returned).collect();
        match returned[..] {
            [query] if query.kind == Kind::Series => Ok(self.period(query)),
            [query] => Err(format!("{} gives several time series, and an alarm watches one", query.id)),
            _ => Err("exactly one element of the list must return data (ReturnData)".to_owned()),
        }
    }

    /// The shortest period of its metrics.
    pub(super) fn finest(&self) -> Span {
        let periods = self.queries.iter().filter_map(|query| match &query.what {
            What::Metric(source) => Some(source.period),
            What::Expression(_) => None,
        });
        periods.min().unwrap_or(Span::from_mins(1))
    }

    /// A metric's own; an expression's own, else the longest of the request's metrics.
    fn period(&self, query: &Query) -> Span {
        let longest = || {
            let periods = self.queries.iter().filter_map(|query| match &query.what {
                What::Metric(source) => Some(source.period),
                What::Expression(_) => None,
            });
            periods.max().unwrap_or(Span::from_mins(1))
        };
        match &query.what {
            What::Metric(source) => source.period,
            What::Expression(_) => query.period.unwrap_or_else(longest),
        }
    }

    /// What the queries that return data give over `[from, to)`.
    pub(super) fn answers(&self, cx: &Engine, from: Time, to: Time) -> Vec<Answer> {
        let mut run = Run { cx, math: self, from, to, values: BTreeMap::new(), period: Span::from_mins(1) };
        let mut answers = Vec::new();
        for query in self.queries.iter().filter(|query| query.returned) {
            let several = matches!(query.kind, Kind::Array(_));
            let is_metric = matches!(query.what, What::Metric(_));
            for line in run.value(&query.id).lines() {
                let label = match &query.label {
                    Some(label) if several && !line.label.is_empty() => format!("{label} {}", line.label),
                    Some(label) => label.clone(),
                    None if (several || is_metric) && !line.label.is_empty() => line.label,
                    None => query.id.clone(),
                };
                answers.push(Answer {
                    id: query.id.clone(),
                    label,
                    period: line.period,
                    points: line.points.into_iter().collect(),
                });
            }
        }
        answers
    }
}

fn in_expression(id: &str, wrong: &str) -> Refusal {
    validation(format!("Error in expression '{id}': {wrong}"))
}

fn read_query(path: &str, given: &shapes::MetricDataQuery) -> Result<Query, Refusal> {
    query::check_id(path, &given.id)?;
    let (id, label) = (given.id.clone(), given.label.clone());
    let returned = given.return_data.unwrap_or(true);
    match (&given.metric_stat, &given.expression) {
        (Some(_), Some(_)) => Err(validation(format!(
            "The parameters {path}.MetricStat and {path}.Expression are mutually exclusive and you have specified both."
        ))),
        (None, None) => Err(validation(format!(
            "One of the parameters {path}.MetricStat and {path}.Expression is required."
        ))),
        (Some(stat), None) => {
            let what = What::Metric(query::source(path, stat)?);
            Ok(Query { id, label, returned, period: None, what, kind: Kind::Series })
        }
        (None, Some(text)) => {
            let period = match given.period {
                None => None,
                Some(secs) => Some(query::period(secs).ok_or_else(|| {
                    validation(format!(
                        "The parameter {path}.Period must be 1, 5, 10, 20, 30, or any multiple of 60."
                    ))
                })?),
            };
            let tree = parser::parse(text).map_err(|wrong| in_expression(&id, &wrong))?;
            Ok(Query { id, label, returned, period, what: What::Expression(tree), kind: Kind::Series })
        }
    }
}

/// One evaluation of a request's queries: each is evaluated once.
struct Run<'a> {
    cx: &'a Engine,
    math: &'a Math,
    from: Time,
    to: Time,
    values: BTreeMap<String, Value>,
    /// Of the expression that is being evaluated.
    period: Span,
}

impl Run<'_> {
    fn line(&self, source: &Source) -> Line {
        let from = self.from.floor(source.period);
        let points = query::buckets(self.cx, source, from, self.to).into_iter();
        let points = points.filter_map(|point| Some((point.start, source.statistic.of(&point.set)?)));
        let label = source.metric.name.clone();
        Line { label, period: source.period, points: points.collect() }
    }
}

impl Frame for Run<'_> {
    fn value(&mut self, id: &str) -> Value {
        if let Some(value) = self.values.get(id) {
            return value.clone();
        }
        let math = self.math;
        let Some(query) = math.queries.iter().find(|query| query.id == id) else {
            return Value::Scalar(f64::NAN);
        };
        let value = match &query.what {
            What::Metric(source) => Value::Series(self.line(source)),
            What::Expression(tree) => {
                let before = std::mem::replace(&mut self.period, math.period(query));
                let value = evaluate(tree, self);
                self.period = before;
                value
            }
        };
        self.values.insert(id.to_owned(), value.clone());
        value
    }

    fn metrics(&mut self, items: &[Tree]) -> Vec<Line> {
        let ids = Ids { queries: &self.math.queries, known: RefCell::default() };
        let chosen: Vec<String> =
            kind::chosen(&ids, items).unwrap_or_default().into_iter().map(str::to_owned).collect();
        let lines = chosen.into_iter().flat_map(|id| {
            let query = self.math.queries.iter().find(|query| query.id == id);
            let label = query.and_then(|query| query.label.clone());
            let lines = self.value(&id).lines().into_iter();
            lines.map(move |line| Line { label: label.clone().unwrap_or_else(|| line.label.clone()), ..line })
        });
        lines.collect()
    }

    fn range(&self) -> (Time, Time) {
        (self.from, self.to)
    }

    fn period(&self) -> Span {
        self.period
    }
}
