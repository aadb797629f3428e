//! Prices and capacity out of a file: what was recorded somewhere, played again.
//!
//! The file is CSV with this header and a row for each change of a pool, in any order:
//!
//! ```text
//! time,zone,type,price,capacity
//! 2026-01-31T00:00:00Z,us-east-1a,m5.large,0.0322,40
//! 2026-01-31T06:00:00Z,us-east-1a,m5.large,0.0341,
//! +5400,use1-az2,m5.large,,0
//! ```
//!
//! - `time`: ISO 8601 (UTC unless it says otherwise), or `+SECONDS` after the engine's start.
//! - `zone`: an Availability Zone by its name or its id.
//! - `type`: an instance type of the catalogue that is sold as Spot in the zone.
//! - `price`: dollars per hour; empty: as before, at first the catalogue's. Prices are kept between 10 % and 100 % of
//!   On-Demand.
//! - `capacity`: instances that the account can hold from then on; empty: as before, at first unlimited.
//!
//! Empty lines and lines that begin with `#` are passed over. Before a pool's first row its first price and capacity hold;
//! pools without a row are as in a calm market.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::{MicroDollars, Span, Time};

use crate::Pool;

/// Recorded prices and capacity; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pools: Arc<BTreeMap<Pool, Record>>,
}

/// Changes in the order of time, neighbours different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    prices: Vec<(Time, MicroDollars)>,
    capacity: Vec<(Time, u32)>,
}

/// A pool's rows as they stand in the file: price and capacity, where they are given.
type Rows = BTreeMap<Time, (Option<MicroDollars>, Option<u32>)>;

/// What is wrong with a file, and where: line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TraceError {
    pub line: usize,
    /// Of the first character of the field.
    pub column: usize,
    pub message: String,
}

const HEADER: [&str; 5] = ["time", "zone", "type", "price", "capacity"];

impl Trace {
    /// Reads a file. `start` is what `+SECONDS` counts from.
    pub fn parse(text: &str, start: Time) -> Result<Self, TraceError> {
        let mut rows: BTreeMap<Pool, Rows> = BTreeMap::new();
        let mut header_seen = false;
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let fields = Fields::new(at + 1, line)?;
            if !header_seen {
                if let Some(n) = (0..5).find(|&n| fields.text(n) != HEADER[n]) {
                    let message = format!("the first line must be `{}`", HEADER.join(","));
                    return Err(fields.error(n, message));
                }
                header_seen = true;
                continue;
            }
            let time = moment(fields.text(0), start).ok_or_else(|| {
                fields.error(0, "give a time like 2026-01-31T06:00:00Z, or +SECONDS after the start")
            })?;
            let pool = pool(&fields)?;
            let price =
                fields.optional(3, MicroDollars::parse, "give a price in dollars like 0.0322, or nothing")?;
            let whole = |text: &str| text.parse::<u32>().ok();
            let capacity = fields.optional(4, whole, "give a number of instances, or nothing")?;
            if rows.entry(pool).or_default().insert(time, (price, capacity)).is_some() {
                return Err(fields.error(0, "the pool has another row with this time"));
            }
        }
        if !header_seen {
            let message = format!("the file is empty; its first line must be `{}`", HEADER.join(","));
            return Err(TraceError { line: 1, column: 1, message });
        }
        let record = |rows: Rows| Record {
            prices: changes(rows.iter().filter_map(|(time, row)| Some((*time, row.0?)))),
            capacity: changes(rows.iter().filter_map(|(time, row)| Some((*time, row.1?)))),
        };
        let pools = rows.into_iter().map(|(pool, rows)| (pool, record(rows))).collect();
        Ok(Self { pools: Arc::new(pools) })
    }

    pub(crate) fn price(&self, pool: Pool, at: Time) -> Option<MicroDollars> {
        in_force(&self.pools.get(&pool)?.prices, at).map(|(_, price)| price)
    }

    pub(crate) fn price_since(&self, pool: Pool, at: Time) -> Option<Time> {
        // The first price has held before, too.
        let prices = &self.pools.get(&pool)?.prices;
        in_force(prices, at).map(|(time, _)| time).filter(|time| *time > prices[0].0)
    }

    pub(crate) fn next_price_change(&self, pool: Pool, after: Time) -> Option<Time> {
        next(&self.pools.get(&pool)?.prices, after)
    }

    pub(crate) fn capacity(&self, pool: Pool, at: Time) -> Option<u32> {
        in_force(&self.pools.get(&pool)?.capacity, at).map(|(_, capacity)| capacity)
    }

    pub(crate) fn next_change(&self, pool: Pool, after: Time) -> Option<Time> {
        next(&self.pools.get(&pool)?.capacity, after)
    }
}

/// Leaves out rows that change nothing.
fn changes<T: PartialEq>(rows: impl Iterator<Item = (Time, T)>) -> Vec<(Time, T)> {
    let mut kept: Vec<(Time, T)> = Vec::new();
    for row in rows {
        if kept.last().is_none_or(|(_, before)| *before != row.1) {
            kept.push(row);
        }
    }
    kept
}

/// The latest at that moment; before all of them, the first.
fn in_force<T: Copy>(rows: &[(Time, T)], at: Time) -> Option<(Time, T)> {
    let passed = rows.partition_point(|(time, _)| *time <= at);
    rows.get(passed.saturating_sub(1)).copied()
}

/// The first row is no change: what it says has held before.
fn next<T>(rows: &[(Time, T)], after: Time) -> Option<Time> {
    rows.iter().skip(1).map(|(time, _)| *time).find(|time| *time > after)
}

/// The five fields of a line, with the columns where they begin.
struct Fields<'a> {
    line: usize,
    fields: Vec<(usize, &'a str)>,
}

impl<'a> Fields<'a> {
    fn new(line: usize, text: &'a str) -> Result<Self, TraceError> {
        let mut column = 1;
        let mut fields = Vec::new();
        for field in text.split(',') {
            fields.push((column, field.trim()));
            column += field.chars().count() + 1;
        }
        let message = match fields.len() {
            5 => return Ok(Self { line, fields }),
            0..5 => format!("the line ends after {} of 5 fields", fields.len()),
            more => format!("the line has {more} fields instead of 5"),
        };
        Err(TraceError { line, column: fields.get(5).map_or(column - 1, |(column, _)| *column), message })
    }

    fn text(&self, n: usize) -> &'a str {
        self.fields[n].1
    }

    fn optional<T>(
        &self,
        n: usize,
        read: impl Fn(&str) -> Option<T>,
        hint: &str,
    ) -> Result<Option<T>, TraceError> {
        let text = self.text(n);
        if text.is_empty() {
            return Ok(None);
        }
        read(text).map(Some).ok_or_else(|| self.error(n, hint))
    }

    fn error(&self, n: usize, message: impl std::fmt::Display) -> TraceError {
        let text = self.text(n);
        let message = if text.is_empty() {
            format!("{} is missing: {message}", HEADER[n])
        } else {
            format!("`{text}`: {message}")
        };
        TraceError { line: self.line, column: self.fields[n].0, message }
    }
}

fn moment(text: &str, start: Time) -> Option<Time> {
    match text.strip_prefix('+') {
        Some(seconds) => {
            let seconds: u32 = seconds.parse().ok()?;
            Some(start + Span::from_secs(seconds.into()))
        }
        None => Time::parse_iso(text),
    }
}

fn pool(fields: &Fields<'_>) -> Result<Pool, TraceError> {
    let (zone, kind) = (fields.text(1), fields.text(2));
    if capstan_model::zone(zone).is_none() {
        return Err(
            fields.error(1, "no such Availability Zone; give a name like us-east-1a or an id like use1-az1")
        );
    }
    if capstan_model::catalogue::instance_type(kind).is_none() {
        return Err(fields.error(2, "no such instance type in the catalogue"));
    }
    Pool::find(kind, zone).ok_or_else(|| fields.error(2, format!("is not sold as Spot in {zone}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Market;

    const START: Time = Time::from_secs(1_767_225_600);

    fn pool(zone: &str) -> Pool {
        Pool::find("m5.large", zone).unwrap()
    }

    #[test]
    fn rows_hold_until_the_next() {
        let text = "# recorded\ntime,zone,type,price,capacity\n\
                    2026-01-01T02:00:00Z,us-east-1a,m5.large,,0\n\
                    2026-01-01T00:00:00Z,us-east-1a,m5.large,0.0322,40\n\n\
                    2026-01-01T01:00:00+00:00, use1-az1 ,m5.large,0.0341,\r\n\
                    +10800,us-east-1a,m5.large,99,7\n\
                    +14400,us-east-1a,m5.large,0.000001,7\n";
        let market = Market::Trace(Trace::parse(text, START).unwrap());
        let here = pool("us-east-1a");
        let hour = |n| START + Span::from_hours(n);
        let check = |hours: i64, price: i64, capacity: u32| {
            let at = hour(hours);
            assert_eq!(market.price(here, at), Some(MicroDollars(price)), "{hours}");
            assert_eq!(market.capacity(here, at), Some(capacity), "{hours}");
        };
        check(-9, 32_200, 40);
        check(0, 32_200, 40);
        check(1, 34_100, 40);
        check(2, 34_100, 0);
        check(3, 96_000, 7);
        check(4, 9_600, 7);
        assert_eq!(market.next_change(here, hour(-9)), Some(hour(2)));
        assert_eq!(market.next_change(here, hour(2)), Some(hour(3)));
        assert_eq!(market.next_change(here, hour(3)), None);
        assert_eq!(market.next_price_change(here, hour(0)), Some(hour(1)));
        assert_eq!(market.price_since(here, hour(2)), Some(hour(1)));
        assert_eq!(market.price_since(here, hour(0)), None);
        assert_eq!(market.prices(here, hour(0), hour(3)).len(), 2);
        assert_eq!(market.capacity(pool("us-east-1b"), START), None);
        assert_eq!(market.price(pool("us-east-1b"), START), Some(MicroDollars(31_700)));
    }

    #[test]
    fn errors_name_the_place() {
        let check = |text: &str, expect: &str| {
            assert_eq!(Trace::parse(text, START).unwrap_err().to_string(), expect, "{text}");
        };
        let with_header = |row: &str| format!("time,zone,type,price,capacity\n{row}");
        check(
            "",
            "line 1, column 1: the file is empty; its first line must be `time,zone,type,price,capacity`",
        );
        check(
            "time,az,type,price,capacity",
            "line 1, column 6: `az`: the first line must be `time,zone,type,price,capacity`",
        );
        let cases = [
            (
                "soon,us-east-1a,m5.large,1,1",
                "line 2, column 1: `soon`: give a time like 2026-01-31T06:00:00Z, or +SECONDS after the start",
            ),
            (
                "+1,mars-1a,m5.large,1,1",
                "line 2, column 4: `mars-1a`: no such Availability Zone; give a name like us-east-1a or an id like use1-az1",
            ),
            (
                "+1,us-east-1a,m5.huge,1,1",
                "line 2, column 15: `m5.huge`: no such instance type in the catalogue",
            ),
            (
                "+1,us-east-1e,m5.large,1,1",
                "line 2, column 15: `m5.large`: is not sold as Spot in us-east-1e",
            ),
            (
                "+1,us-east-1a,m5.large,1e3,1",
                "line 2, column 24: `1e3`: give a price in dollars like 0.0322, or nothing",
            ),
            ("+1,us-east-1a,m5.large,,-1", "line 2, column 25: `-1`: give a number of instances, or nothing"),
            (
                "+1,us-east-1a,,,",
                "line 2, column 15: type is missing: no such instance type in the catalogue",
            ),
            ("+1,us-east-1a,m5.large,1", "line 2, column 25: the line ends after 4 of 5 fields"),
            ("+1,us-east-1a,m5.large,1,2,3", "line 2, column 28: the line has 6 fields instead of 5"),
            (
                "+1,us-east-1a,m5.large,,1\n+1,use1-az1,m5.large,,2",
                "line 3, column 1: `+1`: the pool has another row with this time",
            ),
        ];
        for (row, expect) in cases {
            check(&with_header(row), expect);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r"(time,zone,type,price,capacity\n)?([+0-9a-z.,\-é\n]{0,60})") {
            let _ = Trace::parse(&text, START);
        }
    }
}
