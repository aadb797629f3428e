//! From a tree and points to points.

use capstan_model::{Span, Time};

use super::parser::Tree;
use super::value::{Line, Value, binary, moments, reduce};

/// Where an expression is evaluated.
pub(super) trait Frame {
    /// What the query of that id gives.
    fn value(&mut self, id: &str) -> Value;
    /// The metrics that `METRICS(…)` means.
    fn metrics(&mut self, items: &[Tree]) -> Vec<Line>;
    /// From the start of the first period to the end of the last.
    fn range(&self) -> (Time, Time);
    /// Of an expression that has none of its own.
    fn period(&self) -> Span;
}

/// Longer fillings are cut: no request asks for more points.
const FILLED_MAX: usize = 100_800;

pub(super) fn evaluate(tree: &Tree, frame: &mut dyn Frame) -> Value {
    match tree {
        Tree::Number(number) => Value::Scalar(*number),
        // Refused before anything is evaluated.
        Tree::Text(_) => Value::Scalar(f64::NAN),
        Tree::Id(id) => frame.value(id),
        Tree::Negative(inner) => evaluate(inner, frame).map(|value| -value),
        Tree::List(items) => {
            Value::Array(items.iter().flat_map(|item| evaluate(item, frame).lines()).collect())
        }
        Tree::Binary(operator, left, right) => {
            let left = evaluate(left, frame);
            binary(*operator, left, evaluate(right, frame))
        }
        Tree::Call(name, items) if name == "METRICS" => Value::Array(frame.metrics(items)),
        Tree::Call(name, items) if name == "FILL" => fill(items, frame),
        Tree::Call(name, items) => {
            let values: Vec<Value> = items.iter().map(|item| evaluate(item, frame)).collect();
            call(name, values, frame)
        }
    }
}

fn call(name: &str, values: Vec<Value>, frame: &mut dyn Frame) -> Value {
    if name == "IF" {
        return choose(values);
    }
    let Some(first) = values.into_iter().next() else { return Value::Scalar(f64::NAN) };
    match name {
        "ABS" => first.map(f64::abs),
        "CEIL" => first.map(f64::ceil),
        "FLOOR" => first.map(f64::floor),
        "LOG" => first.map(f64::ln),
        "LOG10" => first.map(f64::log10),
        "AVG" | "DATAPOINT_COUNT" | "MAX" | "MIN" | "RANGE" | "STDDEV" | "SUM" => match first {
            Value::Scalar(value) => Value::Scalar(value),
            Value::Series(line) => {
                let values: Vec<f64> = line.points.into_values().collect();
                Value::Scalar(reduce(name, &values))
            }
            Value::Array(lines) => {
                let period = lines.iter().map(|line| line.period).max().unwrap_or_else(|| frame.period());
                let points = moments(&lines).into_iter().map(|time| {
                    let there = |line: &&Line| name != "DATAPOINT_COUNT" || line.points.contains_key(&time);
                    let values: Vec<f64> = lines.iter().filter(there).map(|line| line.at(time)).collect();
                    (time, reduce(name, &values))
                });
                Value::Series(Line { period, ..Line::default() }.with(points))
            }
        },
        "FIRST" | "LAST" => {
            let mut lines = first.lines().into_iter();
            let line = if name == "FIRST" { lines.next() } else { lines.next_back() };
            Value::Series(line.unwrap_or_default())
        }
        "METRIC_COUNT" => Value::Scalar(first.lines().len() as f64),
        "PERIOD" => {
            let period = first.lines().first().map_or_else(|| frame.period(), |line| line.period);
            Value::Scalar(period.as_micros() as f64 / 1e6)
        }
        "TIME_SERIES" => {
            let Value::Scalar(value) = first else { return first };
            let period = frame.period();
            let points = periods(frame.range(), period).map(|time| (time, value));
            Value::Series(Line { period, ..Line::default() }.with(points))
        }
        "DIFF" => first.each_line(|line| steps(&line, |_, before, value| value - before)),
        "DIFF_TIME" => first.each_line(|line| steps(&line, |seconds, _, _| seconds)),
        "RATE" => first.each_line(|line| steps(&line, |seconds, before, value| (value - before) / seconds)),
        "RUNNING_SUM" => first.each_line(|line| {
            let mut sum = 0.0;
            let points = line.points.iter().map(|(time, value)| {
                sum += value;
                (*time, sum)
            });
            line.with(points.collect::<Vec<_>>())
        }),
        _ => first.each_line(|line| {
            line.with(line.points.keys().map(|time| (*time, calendar(name, *time))).collect::<Vec<_>>())
        }),
    }
}

/// What is made of each point and the one before it; the first has none.
fn steps(line: &Line, of: impl Fn(f64, f64, f64) -> f64) -> Line {
    let pairs = line.points.iter().zip(line.points.iter().skip(1));
    line.with(pairs.map(|((since, before), (time, value))| {
        let seconds = (*time - *since).as_micros() as f64 / 1e6;
        (*time, of(seconds, *before, *value))
    }))
}

fn calendar(name: &str, time: Time) -> f64 {
    let (year, month, day, hour, minute, _) = time.civil();
    match name {
        "YEAR" => year as f64,
        "MONTH" => f64::from(month),
        "DATE" => f64::from(day),
        "HOUR" => f64::from(hour),
        "MINUTE" => f64::from(minute),
        // Monday is 1; the epoch was a Thursday.
        "DAY" => ((time.as_secs().div_euclid(86_400) + 3).rem_euclid(7) + 1) as f64,
        _ => time.as_secs() as f64,
    }
}

/// `IF(condition, then, else)`: a condition without a point is false; without an else there is no point then.
fn choose(values: Vec<Value>) -> Value {
    let mut values = values.into_iter();
    let (condition, then, other) = (values.next(), values.next(), values.next());
    let (Some(condition), Some(then)) = (condition, then) else { return Value::Scalar(f64::NAN) };
    let other = other.unwrap_or(Value::Scalar(f64::NAN));
    let all = [&condition, &then, &other];
    let lines =
        || all.iter().filter_map(|value| if let Value::Series(line) = value { Some(line) } else { None });
    let Some(period) = lines().map(|line| line.period).max() else {
        return match (condition, then, other) {
            (Value::Scalar(condition), Value::Scalar(then), Value::Scalar(other)) => {
                Value::Scalar(if condition != 0.0 { then } else { other })
            }
            _ => Value::Scalar(f64::NAN),
        };
    };
    let at = |value: &Value, time: Time| match value {
        Value::Scalar(value) => Some(*value),
        Value::Series(line) => line.points.get(&time).copied(),
        Value::Array(_) => None,
    };
    let points = moments(lines()).into_iter().filter_map(|time| {
        let is = at(&condition, time).is_some_and(|value| value != 0.0);
        Some((time, at(if is { &then } else { &other }, time)?))
    });
    Value::Series(Line { period, ..Line::default() }.with(points))
}

/// The starts of the periods in a range.
fn periods((from, to): (Time, Time), period: Span) -> impl Iterator<Item = Time> {
    let period = if period.as_micros() > 0 { period } else { Span::from_mins(1) };
    let first = from.floor(period);
    std::iter::successors(Some(first), move |time| Some(*time + period))
        .take_while(move |time| *time < to)
        .take(FILLED_MAX)
}

fn fill(items: &[Tree], frame: &mut dyn Frame) -> Value {
    let (Some(of), Some(with)) = (items.first(), items.get(1)) else { return Value::Scalar(f64::NAN) };
    let lines = evaluate(of, frame);
    let range = frame.range();
    match with {
        Tree::Id(way) if way == "REPEAT" => lines.each_line(|line| {
            let mut last = f64::NAN;
            let filled = periods(range, line.period).map(|time| {
                last = line.points.get(&time).copied().unwrap_or(last);
                (time, last)
            });
            line.with(filled.collect::<Vec<_>>())
        }),
        Tree::Id(way) if way == "LINEAR" => lines.each_line(|line| {
            let filled = periods(range, line.period).map(|time| (time, between(&line, time)));
            line.with(filled.collect::<Vec<_>>())
        }),
        with => {
            let with = evaluate(with, frame);
            lines.each_line(|line| {
                let filled = periods(range, line.period).map(|time| {
                    let filling = match &with {
                        Value::Scalar(value) => *value,
                        Value::Series(other) => other.points.get(&time).copied().unwrap_or(f64::NAN),
                        Value::Array(_) => f64::NAN,
                    };
                    (time, line.points.get(&time).copied().unwrap_or(filling))
                });
                line.with(filled.collect::<Vec<_>>())
            })
        }
    }
}

/// The value on the straight line between the neighbours of a moment; not a number outside of all points.
fn between(line: &Line, time: Time) -> f64 {
    let before = line.points.range(..=time).next_back();
    let after = line.points.range(time..).next();
    match (before, after) {
        (Some((since, from)), Some((until, to))) if since < until => {
            let part = (time - *since).as_micros() as f64 / (*until - *since).as_micros() as f64;
            from + (to - from) * part
        }
        (Some((_, value)), Some(_)) => *value,
        _ => f64::NAN,
    }
}
