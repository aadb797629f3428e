//! What an expression gives, known before there is a point: so mistakes are told when an alarm is put.

use super::parser::{Operator, Tree};

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Series,
    /// So many series.
    Array(usize),
}

/// Functions of metric math that are not built, and why.
const ABSENT: &[(&str, &str)] = &[
    ("ANOMALY_DETECTION_BAND", "there is no anomaly detection"),
    ("DB_PERF_INSIGHTS", "there are no databases"),
    ("INSIGHT_RULE_METRIC", "there is no Contributor Insights"),
    ("LAMBDA", "there are no Lambda data sources"),
    ("REMOVE_EMPTY", "it is not built"),
    ("SEARCH", "metrics are not searched: name them by MetricStat"),
    ("SERVICE_QUOTA", "quotas have no usage metrics"),
    ("SLICE", "it is not built"),
    ("SORT", "it is not built"),
];

/// What is known about the queries that an expression may name.
pub(super) trait Names {
    /// What the query of that id gives. `Err` when there is none, or when it asks for itself.
    fn kind(&self, id: &str) -> Result<Kind, String>;
    /// Ids of the metrics (not the expressions) of the request.
    fn metrics(&self) -> Vec<&str>;
}

/// Ids of the metrics that `METRICS(…)` means: all, or those whose id holds the text.
pub(super) fn chosen<'a>(names: &'a dyn Names, items: &[Tree]) -> Result<Vec<&'a str>, String> {
    match items {
        [] => Ok(names.metrics()),
        [Tree::Text(part)] => {
            Ok(names.metrics().into_iter().filter(|id| id.contains(part.as_str())).collect())
        }
        _ => Err("METRICS takes a text in quotation marks or nothing".to_owned()),
    }
}

pub(super) fn kind(tree: &Tree, names: &dyn Names) -> Result<Kind, String> {
    match tree {
        Tree::Number(_) => Ok(Kind::Scalar),
        Tree::Text(text) => Err(format!("the text \"{text}\" stands where a number is wanted")),
        Tree::Id(id) => names.kind(id),
        Tree::Negative(inner) => kind(inner, names),
        Tree::List(items) => {
            let mut count = 0;
            for item in items {
                count += match kind(item, names)? {
                    Kind::Scalar => return Err("a list holds time series only".to_owned()),
                    Kind::Series => 1,
                    Kind::Array(inner) => inner,
                };
            }
            Ok(Kind::Array(count))
        }
        Tree::Binary(operator, left, right) => both(*operator, kind(left, names)?, kind(right, names)?),
        Tree::Call(name, items) => call(name, items, names),
    }
}

fn both(operator: Operator, left: Kind, right: Kind) -> Result<Kind, String> {
    match (left, right) {
        (Kind::Array(left), Kind::Array(right)) if left != right => {
            Err(format!("{operator:?} joins arrays of {left} and of {right} time series"))
        }
        (Kind::Array(n), _) | (_, Kind::Array(n)) => Ok(Kind::Array(n)),
        (Kind::Series, _) | (_, Kind::Series) => Ok(Kind::Series),
        (Kind::Scalar, Kind::Scalar) => Ok(Kind::Scalar),
    }
}

fn call(name: &str, items: &[Tree], names: &dyn Names) -> Result<Kind, String> {
    if let Some((_, why)) = ABSENT.iter().find(|(absent, _)| *absent == name) {
        return Err(format!("Capstan has no {name}: {why}"));
    }
    let arguments = |count: std::ops::RangeInclusive<usize>| {
        if count.contains(&items.len()) {
            return Ok(());
        }
        let (low, high) = (count.start(), count.end());
        let wanted = if low == high { low.to_string() } else { format!("{low} to {high}") };
        Err(format!("{name} takes {wanted} arguments, not {}", items.len()))
    };
    let first = || match items.first() {
        Some(item) => kind(item, names),
        None => Err(format!("{name} takes an argument")),
    };
    let no_scalar = |kind: Kind| match kind {
        Kind::Scalar => Err(format!("{name} takes time series, not a scalar")),
        other => Ok(other),
    };
    match name {
        "METRICS" => Ok(Kind::Array(chosen(names, items)?.len())),
        // One time series becomes a scalar, several become one.
        "AVG" | "MAX" | "MIN" | "RANGE" | "STDDEV" | "SUM" | "DATAPOINT_COUNT" => {
            arguments(1..=1)?;
            Ok(match no_scalar(first()?)? {
                Kind::Array(_) => Kind::Series,
                _ => Kind::Scalar,
            })
        }
        "ABS" | "CEIL" | "FLOOR" | "LOG" | "LOG10" => {
            arguments(1..=1)?;
            first()
        }
        "DATE" | "DAY" | "DIFF" | "DIFF_TIME" | "EPOCH" | "HOUR" | "MINUTE" | "MONTH" | "RATE"
        | "RUNNING_SUM" | "YEAR" => {
            arguments(1..=1)?;
            no_scalar(first()?)
        }
        "FILL" => {
            arguments(2..=2)?;
            match &items[1] {
                Tree::Id(way) if way == "REPEAT" || way == "LINEAR" => {}
                other => match kind(other, names)? {
                    Kind::Scalar | Kind::Series => {}
                    Kind::Array(_) => {
                        return Err("FILL fills with REPEAT, LINEAR, a number or one time series".to_owned());
                    }
                },
            }
            no_scalar(first()?)
        }
        "FIRST" | "LAST" => {
            arguments(1..=1)?;
            match first()? {
                Kind::Array(0) => Err(format!("{name} takes an array with at least one time series")),
                Kind::Array(_) => Ok(Kind::Series),
                _ => Err(format!("{name} takes an array of time series")),
            }
        }
        "IF" => {
            arguments(2..=3)?;
            let kinds: Vec<Kind> = items.iter().map(|item| kind(item, names)).collect::<Result<_, _>>()?;
            if kinds.iter().any(|kind| matches!(kind, Kind::Array(_))) {
                return Err("IF takes scalars and single time series".to_owned());
            }
            let scalar = kinds.iter().all(|kind| *kind == Kind::Scalar);
            Ok(if scalar { Kind::Scalar } else { Kind::Series })
        }
        "METRIC_COUNT" => {
            arguments(1..=1)?;
            match first()? {
                Kind::Array(_) => Ok(Kind::Scalar),
                _ => Err("METRIC_COUNT takes an array of time series".to_owned()),
            }
        }
        "PERIOD" => {
            arguments(1..=1)?;
            match first()? {
                Kind::Series => Ok(Kind::Scalar),
                _ => Err("PERIOD takes one time series".to_owned()),
            }
        }
        "TIME_SERIES" => {
            arguments(1..=1)?;
            match first()? {
                Kind::Scalar => Ok(Kind::Series),
                _ => Err("TIME_SERIES takes a scalar".to_owned()),
            }
        }
        _ => Err(format!("there is no function {name}")),
    }
}
