//! Time as integers: microseconds, so that no float decides when something happens.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};

/// A moment: microseconds since 1970-01-01T00:00:00Z, proleptic Gregorian, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// A length of time in microseconds. May be negative as the difference of two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    pub const ZERO: Self = Self(0);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }

    /// Saturates at the ends of the range (about ±292,000 years).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    pub const fn from_mins(mins: i64) -> Self {
        Self::from_secs(mins.saturating_mul(60))
    }

    pub const fn from_hours(hours: i64) -> Self {
        Self::from_mins(hours.saturating_mul(60))
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, towards zero.
    pub const fn as_millis(self) -> i64 {
        self.0 / 1_000
    }

    /// Whole seconds, towards zero.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1_000_000
    }
}

impl Time {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch, towards the past.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Start of the period of length `span` (> 0) that this moment lies in, counted from the epoch.
    pub const fn floor(self, span: Span) -> Self {
        Self(self.0 - self.0.rem_euclid(span.0))
    }

    /// The first moment after this one that is a multiple of `span` (> 0) from the epoch.
    pub const fn next_multiple(self, span: Span) -> Self {
        Self(self.floor(span).0 + span.0)
    }

    /// Calendar parts in UTC: year, month 1–12, day 1–31, hour, minute, second.
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let secs = self.as_secs();
        let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        // Days to date after Howard Hinnant's published civil-calendar arithmetic (eras of 400 years from 1 March).
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
        let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month as u32, day as u32, (rest / 3_600) as u32, (rest / 60 % 60) as u32, (rest % 60) as u32)
    }

    /// The moment of a UTC calendar date and time; `None` when a part is out of its range.
    pub fn from_civil(year: i64, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<Self> {
        let fits = (-9_999..=9_999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !fits {
            return None;
        }
        let (month, day) = (i64::from(month), i64::from(day));
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let secs = days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
        let time = Self::from_secs(secs);
        // The 31st of a 30-day month comes out as another date.
        (time.civil().1 == month as u32).then_some(time)
    }

    /// Reads ISO 8601 as AWS clients send it: `2018-06-18`, `2018-06-18T22:28:28`, with an optional fraction and an
    /// optional `Z` or `±hh:mm`. No zone means UTC. `None` when the text is not of that form.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = |from: usize, to: usize| -> Option<u32> {
            let part = text.get(from..to)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let date = (i64::from(digits(0, 4)?), digits(5, 7)?, digits(8, 10)?);
        if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
            return None;
        }
        if bytes.len() == 10 {
            return Self::from_civil(date.0, date.1, date.2, 0, 0, 0);
        }
        if !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
            return None;
        }
        let (hour, minute) = (digits(11, 13)?, digits(14, 16)?);
        if bytes.get(13) != Some(&b':') {
            return None;
        }
        let (second, mut at) = if bytes.get(16) == Some(&b':') { (digits(17, 19)?, 19) } else { (0, 16) };
        let mut micros = 0;
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            let mut unit = 100_000;
            let from = at;
            while let Some(digit) = bytes.get(at).filter(|b| b.is_ascii_digit()) {
                micros += i64::from(digit - b'0') * unit;
                unit /= 10;
                at += 1;
            }
            if at == from {
                return None;
            }
        }
        let offset_mins = match bytes.get(at) {
            None => 0,
            Some(b'Z' | b'z') if bytes.len() == at + 1 => 0,
            Some(sign @ (b'+' | b'-')) => {
                let hours = i64::from(digits(at + 1, at + 3)?);
                let rest = if bytes.get(at + 3) == Some(&b':') { at + 4 } else { at + 3 };
                let mins = if bytes.len() > rest { i64::from(digits(rest, rest + 2)?) } else { 0 };
                if bytes.len() > rest + 2 {
                    return None;
                }
                let total = hours * 60 + mins;
                if *sign == b'+' { total } else { -total }
            }
            Some(_) => return None,
        };
        let whole = Self::from_civil(date.0, date.1, date.2, hour, minute, second)?;
        Some(whole + Span::from_micros(micros) - Span::from_mins(offset_mins))
    }

    /// `2018-06-18T22:28:28Z`: whole seconds.
    pub fn iso_secs(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
    }

    /// `2018-06-18T22:28:28.123Z`: milliseconds.
    pub fn iso_millis(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        let millis = self.as_millis().rem_euclid(1_000);
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{millis:03}Z")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso_millis())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1_000_000 == 0 { write!(f, "{} s", self.as_secs()) } else { write!(f, "{} µs", self.0) }
    }
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Time {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Time {
    type Output = Span;
    fn sub(self, other: Self) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<i64> for Span {
    type Output = Self;
    fn mul(self, by: i64) -> Self {
        Self(self.0.saturating_mul(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_clients_send() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(Time::parse_iso(text).map(Time::iso_millis).as_deref(), expect, "{text}");
        };
        check("2018-06-18T22:28:28+00:00", Some("2018-06-18T22:28:28.000Z"));
        check("2018-06-18T22:28:28Z", Some("2018-06-18T22:28:28.000Z"));
        check("2018-06-18T22:28:28.1239Z", Some("2018-06-18T22:28:28.123Z"));
        check("2018-06-18T22:28+02:00", Some("2018-06-18T20:28:00.000Z"));
        check("2018-06-18", Some("2018-06-18T00:00:00.000Z"));
        check("2018-02-30", None);
        check("2018-06-18T22:28:28.Z", None);
        check("2018-06-18T22:28:28Zx", None);
        check("yesterday", None);
        check("", None);
        check("2018-06-18Tüü:28", None);
    }

    proptest! {
        #[test]
        fn civil_round_trip(secs in -60_000_000_000i64..250_000_000_000) {
            let time = Time::from_secs(secs);
            let (y, mo, d, h, mi, s) = time.civil();
            prop_assert_eq!(Time::from_civil(y, mo, d, h, mi, s), Some(time));
        }
    }
}
