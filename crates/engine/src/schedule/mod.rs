//! Schedule expressions, as EventBridge rules and the scheduled actions of both scaling services have them.

mod cron;
mod zone;

use capstan_model::{Span, Time};

pub use cron::Cron;
pub use zone::Zone;

/// When something happens by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// `at(2026-11-22T02:30:00)`: once.
    At(Time),
    /// `rate(5 minutes)`: every so often, counted from when it began.
    Rate(Span),
    /// `cron(0 12 * * ? *)`
    Cron(Box<Cron>),
}

impl Schedule {
    /// `None` when it is not an expression that AWS takes.
    pub fn parse(text: &str) -> Option<Self> {
        let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(inside) = inside("rate") {
            return rate(inside).map(Self::Rate);
        }
        if let Some(inside) = inside("at") {
            // No zone stands in it: whoever takes the expression says which one it is.
            let plain = inside.len() == "2026-11-22T02:30:00".len();
            return Time::parse_iso(inside).filter(|_| plain).map(Self::At);
        }
        inside("cron").and_then(Cron::parse).map(|cron| Self::Cron(Box::new(cron)))
    }

    /// The first moment after `now` when the expression speaks of what the clocks of a zone show.
    pub fn next_in(&self, zone: &Zone, since: Time, now: Time) -> Option<Time> {
        match self {
            Self::At(at) => Some(zone.utc(*at)).filter(|at| *at > now),
            Self::Rate(_) => self.next(since, now),
            Self::Cron(cron) => cron.next_in(zone, now),
        }
    }

    /// The first moment after `now`; `since` is when it began. `None` when there is none any more.
    pub fn next(&self, since: Time, now: Time) -> Option<Time> {
        match self {
            Self::At(at) => Some(*at).filter(|at| *at > now),
            Self::Rate(span) => {
                let passed = (now - since).as_micros().max(0) / span.as_micros();
                Some(since + *span * (passed + 1))
            }
            Self::Cron(cron) => cron.next(now),
        }
    }
}

/// The unit is singular for 1 and plural for more.
fn rate(text: &str) -> Option<Span> {
    let (number, unit) = text.split_once(' ')?;
    let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
    let minutes = match (unit, number) {
        ("minute", 1) => 1,
        ("hour", 1) => 60,
        ("day", 1) => 24 * 60,
        ("minutes", 2..) => 1,
        ("hours", 2..) => 60,
        ("days", 2..) => 24 * 60,
        _ => return None,
    };
    // A century is enough, and keeps the arithmetic in range.
    let minutes = number.checked_mul(minutes).filter(|minutes| *minutes < 100 * 366 * 24 * 60)?;
    Some(Span::from_mins(minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let check = |text: &str, expect: Option<i64>| {
            let found = Schedule::parse(text);
            assert_eq!(found, expect.map(|mins| Schedule::Rate(Span::from_mins(mins))), "{text}");
        };
        check("rate(1 minute)", Some(1));
        check("rate(5 minutes)", Some(5));
        check("rate(1 hour)", Some(60));
        check("rate(7 days)", Some(7 * 24 * 60));
        check("rate(1 minutes)", None);
        check("rate(5 minute)", None);
        check("rate(0 minutes)", None);
        check("rate(-5 minutes)", None);
        check("rate(5 seconds)", None);
        check("rate(5minutes)", None);
        check("rate(9223372036854775807 days)", None);
        check("every minute", None);
        let rate = Schedule::Rate(Span::from_mins(5));
        let at = Time::from_secs;
        for (now, next) in [(100, 400), (399, 400), (400, 700), (1_000, 1_300)] {
            assert_eq!(rate.next(at(100), at(now)), Some(at(next)), "{now}");
        }
    }

    #[test]
    fn once() {
        let at = Schedule::parse("at(1970-01-01T01:00:00)");
        assert_eq!(at, Some(Schedule::At(Time::from_secs(3_600))));
        let next = |now| at.as_ref().and_then(|at| at.next(Time::ZERO, Time::from_secs(now)));
        assert_eq!(next(0), Some(Time::from_secs(3_600)));
        assert_eq!(next(3_600), None);
        for wrong in ["at()", "at(1970-01-01)", "at(1970-01-01T01:00:00Z)", "at(1970-13-01T01:00:00)", "at 5"]
        {
            assert_eq!(Schedule::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn schedules_of_zones() {
        let berlin = Zone::named("Europe/Berlin").unwrap_or(Zone::UTC);
        let next = |text: &str, now: &str| {
            let now = Time::parse_iso(now).unwrap_or(Time::ZERO);
            let next = Schedule::parse(text).and_then(|schedule| schedule.next_in(&berlin, Time::ZERO, now));
            next.map(Time::iso_secs)
        };
        let at = |text: &str| Some(format!("{text}:00Z"));
        assert_eq!(next("cron(0 9 * * ? *)", "2026-01-15T08:00"), at("2026-01-16T08:00"));
        assert_eq!(next("cron(0 9 * * ? *)", "2026-03-28T08:00"), at("2026-03-29T07:00"));
        // What the clocks show twice happens once.
        assert_eq!(next("cron(30 2 * * ? *)", "2026-10-25T00:30"), at("2026-10-26T01:30"));
        assert_eq!(next("at(2026-07-01T12:00:00)", "2026-01-01"), at("2026-07-01T10:00"));
        assert_eq!(next("at(2026-07-01T12:00:00)", "2026-07-01T10:00"), None);
    }
}
