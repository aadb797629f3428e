//! Points and what is made of them.
//!
//! A point that is missing from one of several series counts as 0; what is not a number (a division by zero) is no point
//! (CloudWatch guide, using-metric-math; spec cloudwatch.md §4).

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Span, Time};

use super::parser::Operator;

/// A time series: points at the starts of their periods.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    /// Of the metric that it came from; empty for what was made of several.
    pub(super) label: String,
    pub(super) period: Span,
    pub(super) points: BTreeMap<Time, f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Series(Line),
    Array(Vec<Line>),
}

impl Line {
    pub(super) fn map(mut self, of: impl Fn(f64) -> f64) -> Self {
        self.points.values_mut().for_each(|value| *value = of(*value));
        self.points.retain(|_, value| value.is_finite());
        self
    }

    /// The same with other points; those that are not numbers are left out.
    pub(super) fn with(&self, points: impl IntoIterator<Item = (Time, f64)>) -> Self {
        let points = points.into_iter().filter(|(_, value)| value.is_finite()).collect();
        Self { label: self.label.clone(), period: self.period, points }
    }

    pub(super) fn at(&self, time: Time) -> f64 {
        self.points.get(&time).copied().unwrap_or(0.0)
    }
}

impl Value {
    /// For each series; a scalar counts as it is.
    pub(super) fn map(self, of: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Scalar(value) => Self::Scalar(of(value)),
            Self::Series(line) => Self::Series(line.map(of)),
            Self::Array(lines) => Self::Array(lines.into_iter().map(|line| line.map(&of)).collect()),
        }
    }

    pub(super) fn lines(self) -> Vec<Line> {
        match self {
            Self::Scalar(_) => Vec::new(),
            Self::Series(line) => vec![line],
            Self::Array(lines) => lines,
        }
    }

    pub(super) fn each_line(self, of: impl Fn(Line) -> Line) -> Self {
        match self {
            Self::Scalar(value) => Self::Scalar(value),
            Self::Series(line) => Self::Series(of(line)),
            Self::Array(lines) => Self::Array(lines.into_iter().map(of).collect()),
        }
    }
}

/// Every moment at which one of them has a point.
pub(super) fn moments<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeSet<Time> {
    lines.into_iter().flat_map(|line| line.points.keys().copied()).collect()
}

fn joined(left: &Line, right: &Line, of: impl Fn(f64, f64) -> f64) -> Line {
    let period = left.period.max(right.period);
    let points = moments([left, right]).into_iter().map(|time| (time, of(left.at(time), right.at(time))));
    Line { label: String::new(), period, ..Line::default() }.with(points)
}

pub(super) fn binary(operator: Operator, left: Value, right: Value) -> Value {
    let of = move |left: f64, right: f64| apply(operator, left, right);
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Value::Scalar(of(left, right)),
        (left, Value::Scalar(right)) => left.map(|left| of(left, right)),
        (Value::Scalar(left), right) => right.map(|right| of(left, right)),
        (Value::Series(left), Value::Series(right)) => Value::Series(joined(&left, &right, of)),
        (Value::Array(lines), Value::Series(right)) => Value::Array(
            lines.iter().map(|left| Line { label: left.label.clone(), ..joined(left, &right, of) }).collect(),
        ),
        (Value::Series(left), Value::Array(lines)) => Value::Array(
            lines
                .iter()
                .map(|right| Line { label: right.label.clone(), ..joined(&left, right, of) })
                .collect(),
        ),
        (Value::Array(left), Value::Array(right)) => {
            Value::Array(left.iter().zip(&right).map(|(left, right)| joined(left, right, of)).collect())
        }
    }
}

fn apply(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |is: bool| if is { 1.0 } else { 0.0 };
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Power => left.powf(right),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::Less => truth(left < right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::GreaterOrEqual => truth(left >= right),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Or => truth(left != 0.0 || right != 0.0),
    }
}

/// What is made of several numbers; not a number when there are none.
pub(super) fn reduce(name: &str, values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let sum = || values.iter().sum::<f64>();
    let least = || values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = || values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match name {
        "DATAPOINT_COUNT" => count,
        _ if values.is_empty() => f64::NAN,
        "AVG" => sum() / count,
        "MAX" => greatest(),
        "MIN" => least(),
        "RANGE" => greatest() - least(),
        // Of all values, not of a sample (our reading).
        "STDDEV" => {
            let mean = sum() / count;
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
        }
        _ => sum(),
    }
}
