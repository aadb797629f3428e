//! Dates of HTTP headers: `Wed, 21 Oct 2015 07:28:00 GMT` (RFC 9110, IMF-fixdate).

use capstan_model::{Span, Time};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The first of January 1970 was a Thursday.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Whole seconds; what is below is cut off.
pub(crate) fn write(time: Time) -> String {
    let (year, month, day, hour, minute, second) = time.floor(Span::from_secs(1)).civil();
    let weekday = DAYS[time.as_secs().div_euclid(86_400).rem_euclid(7) as usize];
    let month = MONTHS.get(month as usize - 1).unwrap_or(&"Jan");
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The name of the day is not looked at.
pub(crate) fn read(text: &str) -> Option<Time> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year, clock, zone) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if zone != "GMT" || parts.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? as u32 + 1;
    let mut clock = clock.split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Time::from_civil(year.parse().ok()?, month, day.parse().ok()?, hour, minute, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        let check = |seconds: i64, text: &str| {
            assert_eq!(write(Time::from_secs(seconds)), text);
            assert_eq!(read(text), Some(Time::from_secs(seconds)));
        };
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(1_445_412_480, "Wed, 21 Oct 2015 07:28:00 GMT");
        check(1_795_305_599, "Sat, 21 Nov 2026 23:59:59 GMT");
        for text in
            ["", "Wed, 21 Oct 2015 07:28:00", "Wed, 21 Foo 2015 07:28:00 GMT", "Wed, x Oct 2015 1:2:3 GMT"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
