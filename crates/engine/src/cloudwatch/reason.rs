//! Why an alarm is in its state, in CloudWatch's words.

use capstan_model::Time;
use capstan_shapes::cloudwatch as shapes;

use super::evaluation::Slot;
use super::json;
use super::rows::{Alarm, MissingData};

/// Reasons list so many points; of five and more, the five newest.
const LISTED_MAX: usize = 5;
/// StateReasonData holds at most 4000 characters; more points than this would not fit.
const EVALUATED_MAX: usize = 24;

/// StateReason and StateReasonData of an alarm that goes to `state`, from the periods of its range, oldest first.
pub(super) fn of(
    alarm: &Alarm,
    state: shapes::StateValue,
    slots: &[Option<Slot>],
    now: Time,
) -> (String, String) {
    let n = usize::try_from(alarm.settings.evaluation_periods).unwrap_or(1);
    // The newest first.
    let evaluated: Vec<Slot> = slots.iter().rev().copied().flatten().take(n).collect();
    (text(alarm, state, n, &evaluated), data(alarm, &evaluated, now))
}

fn text(alarm: &Alarm, state: shapes::StateValue, n: usize, evaluated: &[Slot]) -> String {
    let settings = &alarm.settings;
    if state == shapes::StateValue::InsufficientData {
        return format!("Insufficient Data: {} unknown.", counted(n, "datapoint", true));
    }
    let alarming = state == shapes::StateValue::Alarm;
    let lacking = n.saturating_sub(evaluated.len());
    let treated = match settings.treat_missing_data {
        Some(MissingData::Breaching) => Some("Breaching"),
        Some(MissingData::NotBreaching) => Some("NonBreaching"),
        _ => None,
    };
    let filled = treated
        .filter(|_| lacking > 0)
        .map(|treated| format!("{} treated as [{treated}]", counted(lacking, "missing datapoint", true)));
    let listed: Vec<&Slot> = evaluated.iter().filter(|slot| slot.breaches == alarming).collect();
    if listed.is_empty() {
        let filled = filled.unwrap_or_else(|| format!("{} unknown", counted(lacking, "datapoint", true)));
        return format!(
            "Threshold Crossed: no datapoints were received for {} and {filled}.",
            counted(n, "period", false)
        );
    }
    let shown: Vec<String> = listed
        .iter()
        .take(LISTED_MAX)
        .map(|slot| {
            let (year, month, day, hour, minute, second) = slot.start.civil();
            let year = year.rem_euclid(100);
            format!("{:?} ({day:02}/{month:02}/{year:02} {hour:02}:{minute:02}:{second:02})", slot.value)
        })
        .collect();
    let shown = format!("[{}]", shown.join(", "));
    let count = listed.len();
    let plural = if count == 1 { "" } else { "s" };
    let verb = match (count, alarming) {
        (1, true) => "was",
        (1, false) => "was not",
        (_, true) => "were",
        (_, false) => "were not",
    };
    // An alarm whose DatapointsToAlarm was set speaks of "M out of the last N", the others do not.
    let counted_points = match settings.datapoints_to_alarm {
        Some(_) => format!("{count} out of the last {n} datapoints"),
        None => format!("{count} datapoint{plural}"),
    };
    let threshold = format!("{} the threshold ({:?})", phrase(settings.comparison), settings.threshold);
    let mut out = if count >= LISTED_MAX {
        format!(
            "Threshold Crossed: {counted_points} {verb} {threshold}. The most recent datapoints which crossed the threshold: {shown}"
        )
    } else {
        format!("Threshold Crossed: {counted_points} {shown} {verb} {threshold}")
    };
    if let Some(filled) = filled {
        out.push_str(&format!(" and {filled}"));
    }
    if settings.datapoints_to_alarm.is_some() {
        let m = usize::try_from(alarm.datapoints_to_alarm()).unwrap_or(1);
        let (least, way) = if alarming { (m, "OK -> ALARM") } else { (n - m.min(n) + 1, "ALARM -> OK") };
        out.push_str(&format!(" (minimum {} for {way} transition)", counted(least, "datapoint", false)));
    }
    out.push('.');
    out
}

/// `1 datapoint was`, `3 datapoints were`; without the verb when it is not wanted.
fn counted(count: usize, noun: &str, verb: bool) -> String {
    let (ending, is) = if count == 1 { ("", " was") } else { ("s", " were") };
    format!("{count} {noun}{ending}{}", if verb { is } else { "" })
}

/// The comparison as the console writes it.
pub(super) fn sign(comparison: shapes::ComparisonOperator) -> &'static str {
    use shapes::ComparisonOperator as Operator;
    match comparison {
        Operator::GreaterThanOrEqualToThreshold => ">=",
        Operator::GreaterThanThreshold | Operator::GreaterThanUpperThreshold => ">",
        Operator::LessThanThreshold | Operator::LessThanLowerThreshold => "<",
        Operator::LessThanOrEqualToThreshold => "<=",
        Operator::LessThanLowerOrGreaterThanUpperThreshold => "<>",
    }
}

fn phrase(comparison: shapes::ComparisonOperator) -> &'static str {
    use shapes::ComparisonOperator as Operator;
    match comparison {
        Operator::GreaterThanOrEqualToThreshold => "greater than or equal to",
        Operator::GreaterThanThreshold | Operator::GreaterThanUpperThreshold => "greater than",
        Operator::LessThanThreshold | Operator::LessThanLowerThreshold => "less than",
        Operator::LessThanOrEqualToThreshold => "less than or equal to",
        Operator::LessThanLowerOrGreaterThanUpperThreshold => "less than the lower or greater than the upper",
    }
}

fn data(alarm: &Alarm, evaluated: &[Slot], now: Time) -> String {
    let settings = &alarm.settings;
    let mut out = format!("{{\"version\":\"1.0\",\"queryDate\":{}", json::moment(now));
    if let Some(oldest) = evaluated.last() {
        out.push_str(&format!(",\"startDate\":{}", json::moment(oldest.start)));
    }
    let source = settings.watched.metric();
    if let Some(unit) = source.and_then(|source| source.unit) {
        out.push_str(&format!(",\"unit\":{}", json::text(unit.as_str())));
    }
    let newest = &evaluated[..evaluated.len().min(EVALUATED_MAX)];
    let recent: Vec<String> = newest.iter().rev().map(|slot| format!("{:?}", slot.value)).collect();
    let points: Vec<String> = newest
        .iter()
        .map(|slot| {
            // What is calculated has no samples.
            let samples = source.map(|_| format!("\"sampleCount\":{:?},", slot.samples));
            format!(
                "{{\"timestamp\":{},{}\"value\":{:?}}}",
                json::moment(slot.start),
                samples.unwrap_or_default(),
                slot.value
            )
        })
        .collect();
    if let Some(source) = source {
        out.push_str(&format!(",\"statistic\":{}", json::text(source.statistic.name())));
    }
    out.push_str(&format!(
        ",\"period\":{},\"recentDatapoints\":[{}],\"threshold\":{:?},\"evaluatedDatapoints\":[{}]}}",
        settings.period.as_secs(),
        recent.join(","),
        settings.threshold,
        points.join(",")
    ));
    out
}
