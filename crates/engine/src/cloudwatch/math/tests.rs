use capstan_model::{Span, Time};

use super::evaluate::{Frame, evaluate};
use super::kind::{Kind, Names, chosen, kind};
use super::parser::{Tree, parse};
use super::value::{Line, Value};

/// Metrics `m1`, `m2` … of a point each minute; `.` is a missing one.
struct Table(Vec<(&'static str, Line)>);

const MINUTES: i64 = 4;

fn table() -> Table {
    let line = |label: &str, values: &str| {
        let points = values.split(' ').enumerate().filter_map(|(minute, value)| {
            let minute = i64::try_from(minute).ok()?;
            Some((Time::from_secs(minute * 60), value.parse().ok()?))
        });
        Line { label: label.to_owned(), period: Span::from_mins(1), points: points.collect() }
    };
    Table(vec![
        ("m1", line("One", "10 20 30 40")),
        ("m2", line("Two", "2 0 . 8")),
        ("gone", line("Gone", "")),
        ("neg", line("Neg", "-1.5 1.5 -2 2")),
    ])
}

impl Names for Table {
    fn kind(&self, id: &str) -> Result<Kind, String> {
        self.0.iter().find(|(name, _)| *name == id).map(|_| Kind::Series).ok_or_else(|| format!("no {id}"))
    }

    fn metrics(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}

impl Frame for Table {
    fn value(&mut self, id: &str) -> Value {
        let line = self.0.iter().find(|(name, _)| *name == id).map(|(_, line)| line.clone());
        Value::Series(line.unwrap_or_default())
    }

    fn metrics(&mut self, items: &[Tree]) -> Vec<Line> {
        let ids: Vec<String> =
            chosen(self, items).unwrap_or_default().into_iter().map(str::to_owned).collect();
        ids.into_iter().flat_map(|id| self.value(&id).lines()).collect()
    }

    fn range(&self) -> (Time, Time) {
        (Time::ZERO, Time::from_secs(MINUTES * 60))
    }

    fn period(&self) -> Span {
        Span::from_mins(1)
    }
}

fn shown(value: Value) -> String {
    let line = |line: &Line| {
        let at = |minute: i64| line.points.get(&Time::from_secs(minute * 60));
        let value = |minute| {
            at(minute).map_or_else(|| ".".to_owned(), |value| format!("{}", (value * 1e3).round() / 1e3))
        };
        (0..MINUTES).map(value).collect::<Vec<_>>().join(" ")
    };
    match value {
        Value::Scalar(value) => format!("= {value}"),
        Value::Series(series) => line(&series),
        Value::Array(lines) => lines.iter().map(line).collect::<Vec<_>>().join(" | "),
    }
}

#[test]
fn expressions_give_points() {
    let check = |text: &str, expect: &str| {
        let mut table = table();
        let tree = parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let kind = kind(&tree, &table).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let value = evaluate(&tree, &mut table);
        let fits = match (&value, kind) {
            (Value::Scalar(_), Kind::Scalar) | (Value::Series(_), Kind::Series) => true,
            (Value::Array(lines), Kind::Array(n)) => lines.len() == n,
            _ => false,
        };
        assert!(fits, "{text}: said {kind:?}, gave {value:?}");
        assert_eq!(shown(value), expect, "{text}");
    };
    check("m1", "10 20 30 40");
    check("m1 + 1", "11 21 31 41");
    // A missing point counts as 0 where another series has one; a division by zero drops the point.
    check("m1 + m2", "12 20 30 48");
    check("m1 / m2", "5 . . 5");
    check("m1 / gone", ". . . .");
    check("gone / m1", "0 0 0 0");
    check("gone + gone", ". . . .");
    check("100 * m2 / m1", "20 0 0 20");
    check("m1 ^ 2", "100 400 900 1600");
    check("-m1", "-10 -20 -30 -40");
    check("m1 > 20", "0 0 1 1");
    check("m1 >= 20 AND m1 < 40", "0 1 1 0");
    check("m1 == 10 || m1 == 40", "1 0 0 1");
    check("m1 != 10", "0 1 1 1");
    check("SUM(m1)", "= 100");
    check("AVG(m2)", "= 3.3333333333333335");
    check("m1 - AVG(m1)", "-15 -5 5 15");
    check("SUM([m1, m2])", "12 20 30 48");
    check("AVG([m1, m2])", "6 10 15 24");
    check("MIN([m1, m2])", "2 0 0 8");
    check("MAX([m1, m2])", "10 20 30 40");
    check("MAX(gone) + m1", ". . . .");
    check("RANGE(m1)", "= 30");
    check("STDDEV(m1)", "= 11.180339887498949");
    check("STDDEV([m1, m2])", "4 10 15 16");
    check("DATAPOINT_COUNT(m2)", "= 3");
    check("DATAPOINT_COUNT([m1, m2])", "2 2 1 2");
    check("METRIC_COUNT(METRICS())", "= 4");
    check("SUM(METRICS('m'))", "12 20 30 48");
    check("METRICS('m') * 2", "20 40 60 80 | 4 0 . 16");
    check("[m1, m2] + [m2, m1]", "12 20 30 48 | 12 20 30 48");
    check("FIRST(METRICS())", "10 20 30 40");
    check("LAST(METRICS('m'))", "2 0 . 8");
    check("FILL(m2, 7)", "2 0 7 8");
    check("FILL(m2, REPEAT)", "2 0 0 8");
    check("FILL(m2, LINEAR)", "2 0 4 8");
    check("FILL(m2, m1)", "2 0 30 8");
    check("FILL(gone, 0)", "0 0 0 0");
    check("FILL(gone, REPEAT)", ". . . .");
    check("FILL(METRICS('m'), 1)", "10 20 30 40 | 2 0 1 8");
    check("m1 / FILL(m2, 1)", "5 . 30 5");
    // Backlog for each task, and its trap: nothing runs, so there is nothing to divide by.
    check("IF(m2 > 0, m1 / m2, m1)", "5 20 30 5");
    check("IF(m1 > 20, m1)", ". . 30 40");
    check("IF(m1 > 20, 1, 0)", "0 0 1 1");
    check("IF(1, m1, m2)", "10 20 30 40");
    check("IF(m2, m2, 9)", "2 9 . 8");
    check("IF(2 > 1, 5, 6)", "= 5");
    check("ABS(neg)", "1.5 1.5 2 2");
    check("CEIL(neg)", "-1 2 -2 2");
    check("FLOOR(neg)", "-2 1 -2 2");
    check("LOG10(m1 * 10)", "2 2.301 2.477 2.602");
    check("RATE(m1)", ". 0.167 0.167 0.167");
    check("DIFF(m2)", ". -2 . 8");
    check("DIFF_TIME(m2)", ". 60 . 120");
    check("RUNNING_SUM(m1)", "10 30 60 100");
    check("PERIOD(m1)", "= 60");
    check("m1 / PERIOD(m1)", "0.167 0.333 0.5 0.667");
    check("TIME_SERIES(5)", "5 5 5 5");
    check("MINUTE(m1)", "0 1 2 3");
    check("DAY(m1)", "4 4 4 4");
    check("YEAR(m1)", "1970 1970 1970 1970");
    check("EPOCH(m1)", "0 60 120 180");
}

#[test]
fn expressions_that_do_not_fit_are_refused() {
    let check = |text: &str, expect: &str| {
        let tree = parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let wrong = kind(&tree, &table()).expect_err(text);
        assert!(wrong.contains(expect), "{text}: {wrong}");
    };
    check("m9", "no m9");
    check("FOO(m1)", "no function FOO");
    check("SEARCH('{AWS/EC2} CPU', 'Average', 60)", "Capstan has no SEARCH");
    check("ANOMALY_DETECTION_BAND(m1)", "anomaly detection");
    check("SUM(m1, m2)", "takes 1 arguments, not 2");
    check("SUM(5)", "not a scalar");
    check("RATE(5)", "not a scalar");
    check("m1 + 'text'", "where a number is wanted");
    check("[m1, 5]", "time series only");
    check("[m1] + [m1, m2]", "arrays of 1 and of 2");
    check("IF(m1)", "takes 2 to 3 arguments");
    check("IF([m1], 1, 2)", "single time series");
    check("FIRST(m1)", "takes an array");
    check("PERIOD([m1])", "one time series");
    check("TIME_SERIES(m1)", "takes a scalar");
    check("METRICS(5)", "in quotation marks");
    check("FILL(m1, [m2])", "FILL fills with");
}
