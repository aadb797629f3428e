//! Cron expressions: AWS's six fields (`0 12 * * ? *`; EventBridge guide, eb-create-rule-schedule), and the five of Unix
//! that EC2 Auto Scaling takes (`0 12 * * *`; ASG guide, ec2-auto-scaling-scheduled-scaling).

use capstan_model::{Span, Time};

use super::Zone;

/// The moments at which something happens again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Bits 0–59.
    minutes: u64,
    /// Bits 0–23.
    hours: u64,
    /// Bits 1–12.
    months: u64,
    years: Years,
    days: Days,
}

/// `None` is every year.
type Years = Option<Vec<i64>>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    /// Bits 1–31.
    OfMonth(u64),
    /// `L`
    LastOfMonth,
    /// `3W`: the weekday nearest to the 3rd.
    NearestWeekday(u32),
    /// `LW`
    LastWeekday,
    /// Bits 1–7, 1 is Sunday.
    OfWeek(u64),
    /// `6L`: the last Friday of the month.
    LastOfWeekday(u32),
    /// `3#2`: the second Tuesday of the month.
    NthOfWeekday(u32, u32),
    /// Days of the month and days of the week, as Unix has it: one of them is enough.
    Either(u64, u64),
}

const YEAR_MIN: i64 = 1970;
const YEAR_MAX: i64 = 2199;
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    /// Six fields: minutes, hours, day of month, month, day of week, year. At most one of the two day fields says
    /// something; the other one is `?`.
    pub fn parse(text: &str) -> Option<Self> {
        cron(text)
    }

    /// Five fields: minutes, hours, day of month, month, day of week (0 and 7 are Sunday).
    pub fn parse_unix(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, day_of_month, month, day_of_week] = fields[..] else { return None };
        let of_month = set(day_of_month, 1, 31, &[])?;
        let of_week = set(day_of_week, 0, 7, &WEEKDAYS)?;
        let of_week = ((of_week & 0x7f) << 1) | (of_week >> 7 & 1) << 1;
        // Fields that begin with a star restrict nothing, so the other one counts alone (crontab(5)).
        let days = match (day_of_month.starts_with('*'), day_of_week.starts_with('*')) {
            (_, true) => Days::OfMonth(of_month),
            (true, false) => Days::OfWeek(of_week),
            (false, false) => Days::Either(of_month, of_week),
        };
        Some(Self {
            minutes: set(minutes, 0, 59, &[])?,
            hours: set(hours, 0, 23, &[])?,
            months: set(month, 1, 12, &MONTHS)?,
            years: None,
            days,
        })
    }
}

fn cron(text: &str) -> Option<Cron> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let [minutes, hours, day_of_month, month, day_of_week, year] = fields[..] else { return None };
    let days = match (day_of_month, day_of_week) {
        ("?", "?") => return None,
        (day, "?") => match day {
            "L" => Days::LastOfMonth,
            "LW" => Days::LastWeekday,
            _ => match day.strip_suffix('W') {
                Some(day) => Days::NearestWeekday(number(day, 1, 31, &[])?),
                None => Days::OfMonth(set(day, 1, 31, &[])?),
            },
        },
        ("?", day) => {
            if day == "L" {
                Days::OfWeek(1 << 7)
            } else if let Some(day) = day.strip_suffix('L') {
                Days::LastOfWeekday(number(day, 1, 7, &WEEKDAYS)?)
            } else if let Some((day, nth)) = day.split_once('#') {
                Days::NthOfWeekday(number(day, 1, 7, &WEEKDAYS)?, number(nth, 1, 5, &[])?)
            } else {
                Days::OfWeek(set(day, 1, 7, &WEEKDAYS)?)
            }
        }
        // One of them has to be `?`.
        _ => return None,
    };
    Some(Cron {
        minutes: set(minutes, 0, 59, &[])?,
        hours: set(hours, 0, 23, &[])?,
        months: set(month, 1, 12, &MONTHS)?,
        years: years(year)?,
        days,
    })
}

fn number(text: &str, min: u32, max: u32, names: &[&str]) -> Option<u32> {
    if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return u32::try_from(at).ok().map(|at| at + min);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (min..=max).contains(number))
}

/// Each number of `*`, `a`, `a-b`, `a/step`, `*/step` and lists of them.
fn numbers(text: &str, min: u32, max: u32, names: &[&str], put: &mut dyn FnMut(u32)) -> Option<()> {
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step, 1, max, &[])?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from, min, max, names)?, number(to, min, max, names)?),
            None if range == "*" => (min, max),
            None => {
                let from = number(range, min, max, names)?;
                (from, if step.is_some() { max } else { from })
            }
        };
        let step = step.unwrap_or(1);
        if from <= to {
            (from..=to).step_by(step as usize).for_each(&mut *put);
        } else {
            // `FRI-MON` goes round.
            let size = max - min + 1;
            (from..=to + size).step_by(step as usize).for_each(|n| put(min + (n - min) % size));
        }
    }
    Some(())
}

fn set(text: &str, min: u32, max: u32, names: &[&str]) -> Option<u64> {
    let mut bits = 0;
    numbers(text, min, max, names, &mut |number| bits |= 1_u64 << number)?;
    Some(bits)
}

fn years(text: &str) -> Option<Years> {
    if text == "*" {
        return Some(None);
    }
    let mut years = Vec::new();
    let (min, max) = (u32::try_from(YEAR_MIN).ok()?, u32::try_from(YEAR_MAX).ok()?);
    numbers(text, min, max, &[], &mut |year| years.push(i64::from(year)))?;
    years.sort_unstable();
    years.dedup();
    Some(Some(years))
}

const DAY: Span = Span::from_hours(24);

impl Cron {
    /// The first moment after `now` at which the clocks of a zone show what the fields say.
    pub fn next_in(&self, zone: &Zone, now: Time) -> Option<Time> {
        let mut local = self.next(zone.local(now))?;
        // Where clocks go back, what they show for the second time has been before.
        while zone.utc(local) <= now {
            local = self.next(local)?;
        }
        Some(zone.utc(local))
    }

    /// The first moment after `now`, in UTC; `None` when there is none any more.
    pub fn next(&self, now: Time) -> Option<Time> {
        let now = now.next_multiple(Span::from_mins(1));
        let mut day = now.floor(DAY);
        loop {
            let (year, month, ..) = day.civil();
            if year > YEAR_MAX {
                return None;
            }
            if self.years.as_ref().is_some_and(|years| years.last().is_none_or(|last| year > *last)) {
                return None;
            }
            let year_fits = self.years.as_ref().is_none_or(|years| years.contains(&year));
            if !year_fits || self.months & 1 << month == 0 {
                day = Time::from_civil(year + i64::from(month == 12), month % 12 + 1, 1, 0, 0, 0)?;
                continue;
            }
            if self.is_day(day)
                && let Some(time) = self.time_of(day, now)
            {
                return Some(time);
            }
            day += DAY;
        }
    }

    /// The first time of the day from `now` on.
    fn time_of(&self, day: Time, now: Time) -> Option<Time> {
        let times = (0..24_i64).filter(|hour| self.hours & 1 << hour != 0).flat_map(|hour| {
            let minutes = (0..60_i64).filter(|minute| self.minutes & 1 << minute != 0);
            minutes.map(move |minute| day + Span::from_mins(hour * 60 + minute))
        });
        times.into_iter().find(|time| *time >= now)
    }

    fn is_day(&self, day: Time) -> bool {
        let (year, month, number, ..) = day.civil();
        let length = length(year, month);
        let weekday = weekday(day);
        match self.days {
            Days::OfMonth(days) => days & 1 << number != 0,
            Days::LastOfMonth => number == length,
            Days::LastWeekday => number == nearest_weekday(day, length, length),
            Days::NearestWeekday(wanted) => {
                wanted <= length && number == nearest_weekday(day, wanted, length)
            }
            Days::OfWeek(days) => days & 1 << weekday != 0,
            Days::LastOfWeekday(wanted) => weekday == wanted && number + 7 > length,
            Days::NthOfWeekday(wanted, nth) => weekday == wanted && number.div_ceil(7) == nth,
            Days::Either(of_month, of_week) => of_month & 1 << number != 0 || of_week & 1 << weekday != 0,
        }
    }
}

/// 1 is Sunday; the epoch was a Thursday.
fn weekday(day: Time) -> u32 {
    let days = day.as_secs().div_euclid(24 * 60 * 60);
    u32::try_from((days + 4).rem_euclid(7)).unwrap_or_default() + 1
}

fn length(year: i64, month: u32) -> u32 {
    (28..=31).rev().find(|day| Time::from_civil(year, month, *day, 0, 0, 0).is_some()).unwrap_or(28)
}

/// The weekday nearest to the `wanted` day of the month of `day`, within that month.
fn nearest_weekday(day: Time, wanted: u32, length: u32) -> u32 {
    let (_, _, number, ..) = day.civil();
    let of_wanted = weekday(day + DAY * (i64::from(wanted) - i64::from(number)));
    match of_wanted {
        7 if wanted > 1 => wanted - 1,
        7 => wanted + 2,
        1 if wanted < length => wanted + 1,
        1 => wanted - 2,
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crons() {
        let check = |fields: &str, now: &str, expect: &[&str]| {
            let schedule = Cron::parse(fields).unwrap_or_else(|| panic!("{fields}"));
            let mut now = Time::parse_iso(now).unwrap_or_else(|| panic!("{now}"));
            for expect in expect {
                now = schedule.next(now).unwrap_or_else(|| panic!("{fields}: nothing after {now}"));
                assert_eq!(now.iso_secs(), format!("{expect}:00Z"), "{fields}");
            }
        };
        check("0 12 * * ? *", "2026-01-31T12:00", &["2026-02-01T12:00", "2026-02-02T12:00"]);
        check("15 10 ? * 6L 2026-2027", "2026-01-01", &["2026-01-30T10:15", "2026-02-27T10:15"]);
        check("0/15 * * * ? *", "2026-01-01T00:50:30", &["2026-01-01T01:00", "2026-01-01T01:15"]);
        check("0 8 1 * ? *", "2026-01-15", &["2026-02-01T08:00"]);
        check("0 18 ? * MON-FRI *", "2026-01-02T18:00", &["2026-01-05T18:00"]);
        check("5,35 14 * * ? *", "2026-01-02T14:06", &["2026-01-02T14:35", "2026-01-03T14:05"]);
        check("0 0 29 2 ? *", "2026-01-01", &["2028-02-29T00:00"]);
        check("0 0 L * ? *", "2026-02-01", &["2026-02-28T00:00", "2026-03-31T00:00"]);
        // 1 August 2026 is a Saturday, 31 January 2026 too; 15 November 2026 a Sunday.
        check("0 0 1W * ? *", "2026-07-02", &["2026-08-03T00:00"]);
        check("0 0 15W 11 ? *", "2026-01-01", &["2026-11-16T00:00"]);
        check("0 0 LW 1 ? *", "2026-01-01", &["2026-01-30T00:00"]);
        check("0 0 ? * 3#2 *", "2026-01-01", &["2026-01-13T00:00", "2026-02-10T00:00"]);
        check(
            "0 0 ? * FRI-SUN *",
            "2026-01-01",
            &["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-09T00:00"],
        );
        check("0 0 ? DEC L *", "2026-01-01", &["2026-12-05T00:00"]);
        let past = Cron::parse("0 0 1 1 ? 2020");
        assert_eq!(past.and_then(|schedule| schedule.next(Time::from_secs(1_790_000_000))), None);
        let never = Cron::parse("0 0 31 2 ? *");
        assert_eq!(never.and_then(|schedule| schedule.next(Time::ZERO)), None);
    }

    #[test]
    fn crons_that_are_refused() {
        for fields in [
            "",
            "* * * * *",
            "* * * * * *",
            "0 0 ? * ? *",
            "60 0 * * ? *",
            "0 24 * * ? *",
            "0 0 0 * ? *",
            "0 0 * 13 ? *",
            "0 0 ? * 8 *",
            "0 0 * * ? 1969",
            "0 0 * * ? 2200",
            "0 0 32W * ? *",
            "0 0 ? * 3#6 *",
            "a 0 * * ? *",
            "0/0 0 * * ? *",
            "+5 0 * * ? *",
            "0 0 * FOO ? *",
            "1- 0 * * ? *",
        ] {
            assert_eq!(Cron::parse(fields), None, "{fields}");
        }
    }

    #[test]
    fn crons_of_unix() {
        let check = |fields: &str, now: &str, expect: &[&str]| {
            let schedule = Cron::parse_unix(fields).unwrap_or_else(|| panic!("{fields}"));
            let mut now = Time::parse_iso(now).unwrap_or_else(|| panic!("{now}"));
            for expect in expect {
                now = schedule.next(now).unwrap_or_else(|| panic!("{fields}: nothing after {now}"));
                assert_eq!(now.iso_secs(), format!("{expect}:00Z"), "{fields}");
            }
        };
        check("30 0 1 1,6,12 *", "2026-01-15", &["2026-06-01T00:30", "2026-12-01T00:30", "2027-01-01T00:30"]);
        check("0 9 * * 1-5", "2026-01-02T09:00", &["2026-01-05T09:00"]);
        check("0 9 * * MON", "2026-01-02T09:00", &["2026-01-05T09:00"]);
        check("0 0 * * 0", "2026-01-01", &["2026-01-04T00:00"]);
        check("0 0 * * 7", "2026-01-01", &["2026-01-04T00:00"]);
        check("0 0 * * SUN", "2026-01-01", &["2026-01-04T00:00"]);
        check("0 0 13 * 5", "2026-01-10", &["2026-01-13T00:00", "2026-01-16T00:00"]);
        check("*/20 * * * *", "2026-01-01T00:50", &["2026-01-01T01:00", "2026-01-01T01:20"]);
        for wrong in ["", "* * * *", "* * * * * *", "0 0 ? * *", "0 0 * * 8", "60 0 * * *"] {
            assert_eq!(Cron::parse_unix(wrong), None, "{wrong}");
        }
    }
}
