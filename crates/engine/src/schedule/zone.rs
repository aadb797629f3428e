//! Time zones of scheduled actions, by their IANA names.
//!
//! A table of the zones that people name, with the rules of summer time as they are today (IANA time zone database): enough
//! for schedules, which look forward. A zone that is not in it is refused by name.

use capstan_model::{Span, Time};

/// How far a zone's clocks are ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    standard: Span,
    summer: Summer,
}

/// When clocks are an hour further ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summer {
    Never,
    /// From the last Sunday of March to the last one of October, at 01:00 UTC.
    Europe,
    /// From the second Sunday of March to the first one of November, at 02:00 by the clocks.
    America,
    /// From the first Sunday of October to the first one of April, at 02:00 standard time.
    Australia,
    /// From the last Sunday of September to the first one of April, at 02:00 standard time.
    NewZealand,
}

use Summer::{America, Australia, Europe, Never, NewZealand};

/// Names, minutes ahead of UTC in winter, and the rule. A name stands for `AREA/NAME` with the area before it.
#[rustfmt::skip]
const ZONES: &[(&str, &[&str], i64, Summer)] = &[
    ("", &["UTC", "GMT", "Etc/UTC", "Etc/UCT", "Etc/GMT", "Etc/Greenwich", "Etc/Universal", "Etc/Zulu"], 0, Never),
    ("", &["US/Eastern", "EST5EDT"], -300, America),
    ("", &["US/Central", "CST6CDT"], -360, America),
    ("", &["US/Mountain", "MST7MDT"], -420, America),
    ("", &["US/Pacific", "PST8PDT"], -480, America),
    ("", &["US/Arizona"], -420, Never),
    ("", &["US/Hawaii", "Pacific/Honolulu"], -600, Never),
    ("", &["Pacific/Auckland"], 720, NewZealand),
    ("Africa/", &["Abidjan", "Accra", "Dakar"], 0, Never),
    ("Africa/", &["Algiers", "Lagos", "Tunis"], 60, Never),
    ("Africa/", &["Harare", "Johannesburg", "Lusaka", "Maputo"], 120, Never),
    ("Africa/", &["Addis_Ababa", "Kampala", "Nairobi"], 180, Never),
    ("America/", &["St_Johns"], -210, America),
    ("America/", &["Halifax"], -240, America),
    ("America/", &["Detroit", "Indiana/Indianapolis", "New_York", "Toronto"], -300, America),
    ("America/", &["Chicago", "Winnipeg"], -360, America),
    ("America/", &["Boise", "Denver", "Edmonton"], -420, America),
    ("America/", &["Los_Angeles", "Tijuana", "Vancouver"], -480, America),
    ("America/", &["Anchorage"], -540, America),
    ("America/", &["Argentina/Buenos_Aires", "Buenos_Aires", "Montevideo", "Sao_Paulo"], -180, Never),
    ("America/", &["Caracas", "La_Paz", "Manaus", "Puerto_Rico"], -240, Never),
    ("America/", &["Bogota", "Jamaica", "Lima", "Panama"], -300, Never),
    ("America/", &["Costa_Rica", "Guatemala", "Mexico_City", "Monterrey"], -360, Never),
    ("America/", &["Phoenix"], -420, Never),
    ("Asia/", &["Baghdad", "Kuwait", "Qatar", "Riyadh"], 180, Never),
    ("Asia/", &["Dubai", "Tbilisi", "Yerevan"], 240, Never),
    ("Asia/", &["Almaty", "Karachi", "Tashkent"], 300, Never),
    ("Asia/", &["Calcutta", "Colombo", "Kolkata"], 330, Never),
    ("Asia/", &["Kathmandu"], 345, Never),
    ("Asia/", &["Dhaka"], 360, Never),
    ("Asia/", &["Bangkok", "Ho_Chi_Minh", "Jakarta"], 420, Never),
    ("Asia/", &["Hong_Kong", "Kuala_Lumpur", "Manila", "Shanghai", "Singapore", "Taipei"], 480, Never),
    ("Asia/", &["Seoul", "Tokyo"], 540, Never),
    ("Atlantic/", &["Reykjavik"], 0, Never),
    ("Atlantic/", &["Canary", "Madeira"], 0, Europe),
    ("Atlantic/", &["Azores"], -60, Europe),
    ("Australia/", &["Perth"], 480, Never),
    ("Australia/", &["Darwin"], 570, Never),
    ("Australia/", &["Adelaide"], 570, Australia),
    ("Australia/", &["Brisbane"], 600, Never),
    ("Australia/", &["Canberra", "Hobart", "Melbourne", "Sydney"], 600, Australia),
    ("Europe/", &["Dublin", "Jersey", "Lisbon", "London"], 0, Europe),
    ("Europe/", &[
        "Amsterdam", "Andorra", "Belgrade", "Berlin", "Bratislava", "Brussels", "Budapest", "Copenhagen", "Gibraltar",
        "Ljubljana", "Luxembourg", "Madrid", "Malta", "Monaco", "Oslo", "Paris", "Podgorica", "Prague", "Rome", "San_Marino",
        "Sarajevo", "Skopje", "Stockholm", "Tirane", "Vaduz", "Vatican", "Vienna", "Warsaw", "Zagreb", "Zurich",
    ], 60, Europe),
    ("Europe/", &["Athens", "Bucharest", "Helsinki", "Kiev", "Kyiv", "Mariehamn", "Riga", "Sofia", "Tallinn", "Vilnius"], 120, Europe),
    ("Europe/", &["Istanbul", "Minsk", "Moscow"], 180, Never),
];

const DAY: Span = Span::from_hours(24);
const HOUR: Span = Span::from_hours(1);

impl Zone {
    pub const UTC: Self = Self { standard: Span::ZERO, summer: Never };

    /// The zone of that name; `None` when it is not one of the table. `Etc/GMT+5` is five hours *behind* UTC.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(hours) = name.strip_prefix("Etc/GMT").filter(|hours| hours.starts_with(['+', '-'])) {
            let hours: i64 = hours.parse().ok().filter(|hours| (-14..=12).contains(hours))?;
            return Some(Self { standard: Span::from_hours(-hours), summer: Never });
        }
        let (_, _, minutes, summer) = ZONES
            .iter()
            .find(|(area, names, ..)| name.strip_prefix(area).is_some_and(|rest| names.contains(&rest)))?;
        Some(Self { standard: Span::from_mins(*minutes), summer: *summer })
    }

    /// What the zone's clocks show, as if it were UTC.
    pub fn local(&self, utc: Time) -> Time {
        utc + self.ahead(utc)
    }

    /// The moment at which the clocks show that. What they skip in spring is an hour later; what they show twice in autumn is
    /// the first time.
    pub fn utc(&self, local: Time) -> Time {
        let early = local - self.standard - HOUR;
        if self.is_summer(early) { early } else { local - self.standard }
    }

    fn ahead(&self, utc: Time) -> Span {
        if self.is_summer(utc) { self.standard + HOUR } else { self.standard }
    }

    fn is_summer(&self, utc: Time) -> bool {
        let (year, ..) = (utc + self.standard).civil();
        let at = |month: u32, nth: Nth, hour: i64| sunday(year, month, nth) + HOUR * hour - self.standard;
        match self.summer {
            Never => false,
            Europe => {
                let at = |month| sunday(year, month, Nth::Last) + HOUR;
                (at(3)..at(10)).contains(&utc)
            }
            // Two by the clocks is one by standard time while it is summer.
            America => (at(3, Nth::Number(2), 2)..at(11, Nth::Number(1), 1)).contains(&utc),
            Australia => !(at(4, Nth::Number(1), 2)..at(10, Nth::Number(1), 2)).contains(&utc),
            NewZealand => !(at(4, Nth::Number(1), 2)..at(9, Nth::Last, 2)).contains(&utc),
        }
    }
}

#[derive(Clone, Copy)]
enum Nth {
    Number(i64),
    Last,
}

/// The start of that Sunday of the month.
fn sunday(year: i64, month: u32, nth: Nth) -> Time {
    let first = |year, month| Time::from_civil(year, month, 1, 0, 0, 0).unwrap_or(Time::ZERO);
    let on_or_after = |day: Time| {
        // The epoch was a Thursday, so the fourth day was a Sunday.
        let days = day.as_secs().div_euclid(86_400);
        day + DAY * (3 - days).rem_euclid(7)
    };
    match nth {
        Nth::Number(nth) => on_or_after(first(year, month)) + DAY * (7 * (nth - 1)),
        Nth::Last => on_or_after(first(year + i64::from(month == 12), month % 12 + 1) - DAY * 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names() {
        let check = |name: &str, minutes: Option<i64>| {
            let winter = Time::parse_iso("2026-01-15T12:00:00Z").unwrap_or(Time::ZERO);
            let found = Zone::named(name).map(|zone| zone.local(winter) - winter);
            assert_eq!(found, minutes.map(Span::from_mins), "{name}");
        };
        check("UTC", Some(0));
        check("Etc/GMT", Some(0));
        check("Etc/GMT+5", Some(-300));
        check("Etc/GMT-14", Some(840));
        check("Europe/Berlin", Some(60));
        check("America/New_York", Some(-300));
        check("America/Argentina/Buenos_Aires", Some(-180));
        check("Asia/Kolkata", Some(330));
        // Summer there.
        check("Australia/Sydney", Some(660));
        check("Pacific/Auckland", Some(780));
        for unknown in ["", "Etc/GMT+13", "Etc/GMT5", "Mars/Base", "Europe/", "Berlin"] {
            check(unknown, None);
        }
    }

    #[test]
    fn clocks_change() {
        let check = |name: &str, utc: &str, local: &str| {
            let zone = Zone::named(name).unwrap_or(Zone::UTC);
            let utc = Time::parse_iso(utc).unwrap_or(Time::ZERO);
            assert_eq!(zone.local(utc).iso_secs(), format!("{local}:00Z"), "{name} {utc}");
        };
        check("Europe/Berlin", "2026-03-29T00:59", "2026-03-29T01:59");
        check("Europe/Berlin", "2026-03-29T01:00", "2026-03-29T03:00");
        check("Europe/Berlin", "2026-10-25T00:59", "2026-10-25T02:59");
        check("Europe/Berlin", "2026-10-25T01:00", "2026-10-25T02:00");
        check("Europe/London", "2026-07-01T12:00", "2026-07-01T13:00");
        check("America/New_York", "2026-03-08T06:59", "2026-03-08T01:59");
        check("America/New_York", "2026-03-08T07:00", "2026-03-08T03:00");
        check("America/New_York", "2026-11-01T05:59", "2026-11-01T01:59");
        check("America/New_York", "2026-11-01T06:00", "2026-11-01T01:00");
        check("Australia/Sydney", "2026-04-04T15:59", "2026-04-05T02:59");
        check("Australia/Sydney", "2026-04-04T16:00", "2026-04-05T02:00");
        check("Australia/Sydney", "2026-10-03T16:00", "2026-10-04T03:00");
        check("Pacific/Auckland", "2026-09-26T14:00", "2026-09-27T03:00");
    }

    #[test]
    fn what_clocks_show_is_a_moment() {
        let check = |name: &str, local: &str, utc: &str| {
            let zone = Zone::named(name).unwrap_or(Zone::UTC);
            let local = Time::parse_iso(local).unwrap_or(Time::ZERO);
            assert_eq!(zone.utc(local).iso_secs(), format!("{utc}:00Z"), "{name} {local}");
        };
        check("Europe/Berlin", "2026-01-15T09:00", "2026-01-15T08:00");
        check("Europe/Berlin", "2026-07-15T09:00", "2026-07-15T07:00");
        // Skipped in spring, shown twice in autumn.
        check("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:30");
        check("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30");
        check("America/New_York", "2026-07-15T09:00", "2026-07-15T13:00");
    }
}
