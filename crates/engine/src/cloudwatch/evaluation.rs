//! What state an alarm is in, and what follows from it (CloudWatch guide, alarm evaluation; alarms and missing data).

use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::cloudwatch as shapes;

use super::rows::{Alarm, MissingData, Watched};
use super::series::Point;
use super::{alarm, event, history, query, reason};
use crate::Engine;
use crate::kernel::Event;

/// An alarm looks at so many periods more than it evaluates, so that late points do not leave holes. AWS tells only
/// that the range is longer, five periods for three; the difference is kept for all.
const RANGE_MORE: i32 = 2;
const MINUTE: Span = Span::from_mins(1);

/// A period that has ended, and what the metric was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) start: Time,
    pub(super) value: f64,
    pub(super) samples: f64,
    pub(super) breaches: bool,
}

/// M out of N, and what to do without points.
#[derive(Clone, Copy, Debug)]
struct Rule {
    datapoints_to_alarm: usize,
    evaluation_periods: usize,
    missing: MissingData,
}

/// The state that the periods of the evaluation range give, the oldest first: `Some(true)` breaches the threshold,
/// `Some(false)` does not, `None` has no point. `None` as the answer keeps the state as it is.
fn decide(rule: Rule, range: &[Option<bool>]) -> Option<shapes::StateValue> {
    use shapes::StateValue::{Alarm, InsufficientData, Ok};
    let Rule { datapoints_to_alarm, evaluation_periods, missing } = rule;
    let mut breaching = 0;
    let mut fine = 0;
    for breaches in range.iter().rev().copied().flatten().take(evaluation_periods) {
        *(if breaches { &mut breaching } else { &mut fine }) += 1;
    }
    let lacking = evaluation_periods.saturating_sub(breaching + fine);
    if breaching >= datapoints_to_alarm {
        return Some(Alarm);
    }
    if lacking == 0 {
        return Some(Ok);
    }
    match missing {
        MissingData::Breaching if breaching + lacking >= datapoints_to_alarm => Some(Alarm),
        MissingData::Breaching | MissingData::NotBreaching => Some(Ok),
        MissingData::Missing | MissingData::Ignore if fine > 0 => Some(Ok),
        MissingData::Ignore => None,
        MissingData::Missing if breaching == 0 => Some(InsufficientData),
        MissingData::Missing => {
            // Only breaching points, too few of them. The alarm goes off all the same once the oldest is M periods old:
            // waiting for more would hide it. (Guide: premature transitions; that a good point among them forbids it is
            // read from the guide's table, row `0 - X - -`.)
            let oldest = range.iter().position(Option::is_some)?;
            (range.len() - oldest >= datapoints_to_alarm).then_some(Alarm)
        }
    }
}

/// Looks at the alarm's metric, sets the state and carries out the actions.
pub(super) fn evaluate(cx: &mut Engine, name: &Arc<str>) {
    let now = cx.now;
    let Some(mut alarm) = cx.cloudwatch.alarms.edit(name) else { return };
    alarm.evaluates_at = alarm::next_evaluation(now, &alarm.settings);
    drop(alarm);
    let Some(alarm) = cx.cloudwatch.alarms.get(name) else { return };
    let settings = &alarm.settings;
    let slots = slots(cx, alarm);
    let real = |slot: &&Option<Slot>| slot.is_some();
    let low_samples = settings.ignore_low_samples == Some(true)
        && settings
            .watched
            .metric()
            .is_some_and(|source| slots.iter().flatten().any(|slot| source.statistic.is_low(slot.samples)));
    let newest = slots.iter().rev().find(real).copied().flatten().map(|slot| slot.value);
    let range: Vec<Option<bool>> = slots.iter().map(|slot| slot.map(|slot| slot.breaches)).collect();
    let missing = settings.treat_missing_data.unwrap_or(MissingData::Missing);
    let rule = Rule {
        datapoints_to_alarm: usize::try_from(alarm.datapoints_to_alarm()).unwrap_or(1),
        evaluation_periods: usize::try_from(settings.evaluation_periods).unwrap_or(1),
        missing,
    };
    let state = if low_samples { None } else { decide(rule, &range) };
    match state {
        Some(state) if state != alarm.state => {
            let (text, data) = reason::of(alarm, state, &slots, now);
            set(cx, name, state, text, Some(data), newest);
        }
        _ if !alarm.actions().is_empty() && now.floor(MINUTE) == now => invoke_policies(cx, name, newest),
        _ => {}
    }
}

/// The ended periods of the evaluation range, oldest first.
fn slots(cx: &Engine, alarm: &Alarm) -> Vec<Option<Slot>> {
    let settings = &alarm.settings;
    let period = settings.period;
    let tick = if period < MINUTE { Span::from_secs(10) } else { MINUTE };
    let to = cx.now.floor(tick);
    let periods = settings.evaluation_periods + RANGE_MORE;
    let from = to - period * i64::from(periods);
    let mut slots = vec![None; usize::try_from(periods).unwrap_or_default()];
    let values: Vec<(Time, f64, f64)> = match (settings.watched.metric(), &settings.watched) {
        (Some(source), _) | (None, Watched::Metric(source)) => {
            let points = query::buckets(cx, source, from, to).into_iter();
            let value = |point: Point| Some((point.start, source.statistic.of(&point.set)?, point.set.count));
            points.filter_map(value).collect()
        }
        (None, Watched::Queries(math)) => {
            let points = math.answers(cx, from, to).into_iter().flat_map(|answer| answer.points);
            points.map(|(start, value)| (start, value, 0.0)).collect()
        }
    };
    for (start, value, samples) in values {
        let index = (start - from).as_micros().div_euclid(period.as_micros());
        if let Some(slot) = usize::try_from(index).ok().and_then(|index| slots.get_mut(index)) {
            let breaches = breaches(settings.comparison, value, settings.threshold);
            *slot = Some(Slot { start, value, samples, breaches });
        }
    }
    slots
}

fn breaches(comparison: shapes::ComparisonOperator, value: f64, threshold: f64) -> bool {
    use shapes::ComparisonOperator as Operator;
    match comparison {
        Operator::GreaterThanOrEqualToThreshold => value >= threshold,
        Operator::GreaterThanThreshold => value > threshold,
        Operator::LessThanThreshold => value < threshold,
        Operator::LessThanOrEqualToThreshold => value <= threshold,
        // Refused when the alarm is put.
        Operator::LessThanLowerOrGreaterThanUpperThreshold
        | Operator::LessThanLowerThreshold
        | Operator::GreaterThanUpperThreshold => false,
    }
}

/// Sets the state. A transition is told in the history and carries out the state's actions.
pub(super) fn set(
    cx: &mut Engine,
    name: &Arc<str>,
    state: shapes::StateValue,
    reason: String,
    reason_data: Option<String>,
    newest: Option<f64>,
) {
    let now = cx.now;
    let Some(before) = cx.cloudwatch.alarms.get(name).cloned() else { return };
    let Some(mut alarm) = cx.cloudwatch.alarms.edit(name) else { return };
    alarm.state = state;
    alarm.reason = reason;
    alarm.reason_data = reason_data;
    alarm.updated_at = now;
    if before.state == state {
        return;
    }
    alarm.transitioned_at = now;
    drop(alarm);
    history::transition(cx, name, &before);
    event::state_changed(cx, name, &before);
    history::actions(cx, name);
    cx.announce(Event::AlarmState { alarm: name.to_string(), state: state.as_str() });
    invoke_policies(cx, name, newest);
    super::composite::child_changed(cx, name);
}

/// Scaling policies are invoked at the transition and every minute while the state lasts; nothing else is repeated.
fn invoke_policies(cx: &mut Engine, name: &Arc<str>, value: Option<f64>) {
    let Some(alarm) = cx.cloudwatch.alarms.get(name) else { return };
    let event = |action: &String| Event::AlarmAction {
        action: action.clone(),
        alarm: name.to_string(),
        state: alarm.state.as_str(),
        threshold: alarm.settings.threshold,
        value,
    };
    let events: Vec<Event> = alarm.actions().iter().filter(|action| is_policy(action)).map(event).collect();
    for event in events {
        cx.announce(event);
    }
}

/// `arn:aws:autoscaling:REGION:ACCOUNT:scalingPolicy:UUID:…`
pub(super) fn is_policy(action: &str) -> bool {
    action.starts_with("arn:aws:autoscaling:") && action.contains(":scalingPolicy:")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference tables of the guide: the oldest period first, `X` breaches, `0` does not, `-` is missing; the
    /// answers for missing, ignore, breaching and notBreaching, `.` keeps the state.
    #[test]
    fn missing_data_tables() {
        let check = |m: usize, n: usize, range: &str, expect: &str| {
            let slots: Vec<_> = range
                .chars()
                .map(|c| match c {
                    'X' => Some(true),
                    '0' => Some(false),
                    _ => None,
                })
                .collect();
            let settings = [
                MissingData::Missing,
                MissingData::Ignore,
                MissingData::Breaching,
                MissingData::NotBreaching,
            ];
            let told = settings.map(|missing| {
                match decide(Rule { datapoints_to_alarm: m, evaluation_periods: n, missing }, &slots) {
                    None => ".",
                    Some(shapes::StateValue::Ok) => "OK",
                    Some(shapes::StateValue::Alarm) => "ALARM",
                    Some(shapes::StateValue::InsufficientData) => "INSUFFICIENT_DATA",
                }
            });
            assert_eq!(told.join(" "), expect, "{m} of {n}: {range}");
        };
        check(3, 3, "0-X-X", "OK OK OK OK");
        check(3, 3, "0----", "OK OK OK OK");
        check(3, 3, "-----", "INSUFFICIENT_DATA . ALARM OK");
        check(3, 3, "0XX-X", "ALARM ALARM ALARM ALARM");
        check(3, 3, "--X--", "ALARM . ALARM OK");
        check(2, 3, "0-X-X", "ALARM ALARM ALARM ALARM");
        check(2, 3, "00X0X", "ALARM ALARM ALARM ALARM");
        check(2, 3, "0-X--", "OK OK ALARM OK");
        check(2, 3, "----0", "OK OK ALARM OK");
        check(2, 3, "---X-", "ALARM . ALARM OK");
        // Ours: one breach of a metric that has just begun is not enough yet.
        check(3, 3, "----X", ". . ALARM OK");
        check(1, 1, "--X", "ALARM ALARM ALARM ALARM");
        check(1, 1, "X--", "ALARM ALARM ALARM ALARM");
        check(1, 1, "XX0", "OK OK OK OK");
    }
}
