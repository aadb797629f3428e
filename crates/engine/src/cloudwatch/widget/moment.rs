//! Moments as widgets write them: ISO 8601, or a duration before now (`-PT3H`, `-P1D`; `PT0H` is now).

use capstan_model::{Span, Time};

use super::super::findings::{Findings, Node};

pub(in super::super) struct Moment;

impl Moment {
    /// The moment that the text means.
    pub(in super::super) fn read(node: &Node<'_>, now: Time, findings: &mut Findings) -> Option<Time> {
        let text = node.text(findings)?;
        let moment = match duration(text) {
            Some(span) => Some(now + span),
            None => Time::parse_iso(text),
        };
        if moment.is_none() {
            findings.error(&node.path, "Should be an ISO 8601 timestamp or a relative time like -PT3H");
        }
        moment
    }
}

/// `-PT3H`, `P1DT12H`, `-P2W`; a month has 30 days and a year 365.
fn duration(text: &str) -> Option<Span> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, clock) = rest.split_once('T').unwrap_or((rest, ""));
    if days.is_empty() && clock.is_empty() || rest.ends_with('T') {
        return None;
    }
    const DAY: i64 = 86_400;
    let days = parts(days, &[('Y', 365 * DAY), ('M', 30 * DAY), ('W', 7 * DAY), ('D', DAY)])?;
    let clock = parts(clock, &[('H', 3_600), ('M', 60), ('S', 1)])?;
    Some(Span::from_secs(days.checked_add(clock)?.checked_mul(sign)?))
}

/// The sum of `12H30M` and the like, in seconds; units come in their order.
fn parts(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let (mut sum, mut rest) = (0i64, text);
    for (unit, seconds) in units {
        if let Some((count, after)) = rest.split_once(*unit) {
            if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) || count.len() > 9 {
                return None;
            }
            sum = sum.checked_add(count.parse::<i64>().ok()?.checked_mul(*seconds)?)?;
            rest = after;
        }
    }
    rest.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let cases = [
            ("-PT3H", Some(-10_800)),
            ("PT0H", Some(0)),
            ("-P1D", Some(-86_400)),
            ("-P1DT1H1M1S", Some(-90_061)),
            ("P2W", Some(1_209_600)),
            ("-P3M", Some(-7_776_000)),
            ("P", None),
            ("PT", None),
            ("-PTH", None),
            ("PT1M1H", None),
            ("3H", None),
            ("P99999999999Y", None),
            ("P-1D", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text).map(Span::as_secs), expected, "{text}");
        }
    }
}
