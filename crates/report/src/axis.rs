//! Scales: which values have a tick, and how numbers and times are written.

use capstan_model::Time;

/// The horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub enum XScale {
    /// Seconds since 1970; written as the clock shows them that many minutes ahead of UTC.
    Time {
        from: f64,
        to: f64,
        offset_minutes: i32,
    },
    Number {
        from: f64,
        to: f64,
        label: String,
    },
}

/// A tick: its value and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) text: String,
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

/// Distances of ticks on a clock, in seconds.
const CLOCK: [f64; 24] = [
    1.0,
    5.0,
    10.0,
    15.0,
    30.0,
    MINUTE,
    2.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    15.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    4.0 * DAY,
    7.0 * DAY,
    14.0 * DAY,
    28.0 * DAY,
    56.0 * DAY,
    112.0 * DAY,
];

/// More ticks would be a wall.
const TICKS_MAX: usize = 60;

impl XScale {
    pub(crate) fn ends(&self) -> (f64, f64) {
        match self {
            Self::Time { from, to, .. } | Self::Number { from, to, .. } => (*from, *to),
        }
    }

    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Time { .. } => "",
            Self::Number { label, .. } => label,
        }
    }

    /// Ticks that leave about 70 pixels to each on an axis of that many.
    pub(crate) fn ticks(&self, pixels: f32) -> Vec<Tick> {
        let room = f64::from(pixels / 70.0).max(1.0);
        match self {
            Self::Time { from, to, offset_minutes } => {
                let (from, to) = (*from, *to);
                let step = CLOCK.into_iter().find(|step| (to - from) / step <= room);
                let step = step.unwrap_or_else(|| ((to - from) / room / DAY).ceil() * DAY);
                let offset = f64::from(*offset_minutes) * MINUTE;
                let values = multiples(from + offset, to + offset, step);
                values
                    .into_iter()
                    .map(|local| Tick { value: local - offset, text: clock(local, step) })
                    .collect()
            }
            Self::Number { from, to, .. } => numbers(*from, *to, nice((to - from) / room)),
        }
    }
}

fn clock(local: f64, step: f64) -> String {
    let (_, month, day, hour, minute, second) = Time::from_secs(local as i64).civil();
    if step >= DAY || (hour, minute, second) == (0, 0, 0) {
        format!("{month:02}/{day:02}")
    } else if step < MINUTE {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        format!("{hour:02}:{minute:02}")
    }
}

/// The multiples of `step` from `from` to `to`.
fn multiples(from: f64, to: f64, step: f64) -> Vec<f64> {
    if !(step > 0.0 && from <= to && (to - from).is_finite()) {
        return Vec::new();
    }
    // A little beyond the ends still counts: steps are not exact in binary.
    let slack = step * 1e-6;
    let first = ((from - slack) / step).ceil();
    let count = ((to + slack) / step - first).floor();
    if !(0.0..=TICKS_MAX as f64).contains(&count) {
        return Vec::new();
    }
    (0..=count as u32).map(|index| (first + f64::from(index)) * step).collect()
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is not below `step`.
fn nice(step: f64) -> f64 {
    if !(step > 0.0 && step.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let of = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|of| of * power >= step * (1.0 - 1e-9));
    of.unwrap_or(10.0) * power
}

fn numbers(from: f64, to: f64, step: f64) -> Vec<Tick> {
    let largest = from.abs().max(to.abs());
    let write = |value: f64| Tick { value, text: with_step(value, step, largest) };
    multiples(from, to, step).into_iter().map(write).collect()
}

/// A vertical scale: its ends and ticks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct YScale {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) ticks: Vec<Tick>,
}

impl YScale {
    /// Over those values. Ends that are not given lie on ticks, and zero is shown unless the values keep far from it.
    pub(crate) fn over(
        values: impl Iterator<Item = f64>,
        min: Option<f64>,
        max: Option<f64>,
        pixels: f32,
    ) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low > 0.0 && (low < high * 0.8 || low == high) {
            low = 0.0;
        }
        if high < 0.0 && (high > low * 0.8 || low == high) {
            high = 0.0;
        }
        let finite = |end: Option<f64>| end.filter(|end| end.is_finite());
        let (min, max) = (finite(min), finite(max));
        low = min.unwrap_or(low);
        high = max.unwrap_or(high);
        if low >= high {
            // The given end lies beyond all values.
            match (min, max) {
                (Some(min), None) => high = min + min.abs().max(1.0),
                (None, Some(max)) => low = max - max.abs().max(1.0),
                _ => high = low + low.abs().max(1.0),
            }
        }
        let room = f64::from(pixels / 42.0).clamp(1.0, 10.0);
        let step = nice((high - low) / room);
        if min.is_none() {
            low = (low / step + 1e-9).floor() * step;
        }
        if max.is_none() {
            high = (high / step - 1e-9).ceil() * step;
        }
        Self { from: low, to: high, ticks: numbers(low, high, step) }
    }
}

const UNITS: [(f64, &str); 5] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];

fn unit(largest: f64) -> (f64, &'static str) {
    UNITS.into_iter().find(|(unit, _)| largest >= *unit).unwrap_or((1.0, ""))
}

/// A tick's value, with as many digits as tell it from its neighbours.
fn with_step(value: f64, step: f64, largest: f64) -> String {
    if largest >= 1e15 {
        return format!("{value:.2e}");
    }
    // Thousands are written out up to ten thousand.
    let (unit, name) = if largest < 1e4 { (1.0, "") } else { unit(largest) };
    let digits = (0..9).find(|digits| {
        let scaled = step / unit * 10f64.powi(*digits);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0) && scaled >= 0.5
    });
    let text = format!("{:.*}", digits.unwrap_or(9) as usize, value / unit);
    let zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
    if zero { "0".to_owned() } else { text + name }
}

/// A value in about three digits: `57.1`, `143`, `12.5k`, `0.0123`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        return format!("{value:.2e}");
    }
    let (unit, name) = if size < 1e4 { (1.0, "") } else { unit(size) };
    let scaled = value / unit;
    let whole = if scaled == 0.0 { 1 } else { scaled.abs().log10().floor() as i32 + 1 };
    let text = format!("{scaled:.*}", usize::try_from(3 - whole).unwrap_or(0));
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{short}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (57.142_857, "57.1"),
            (142.857, "143"),
            (175.0, "175"),
            (1234.0, "1234"),
            (12_500.0, "12.5k"),
            (-3.5, "-3.5"),
            (0.012_34, "0.0123"),
            (2e9, "2G"),
            (1e20, "1.00e20"),
            (f64::NAN, "–"),
            (1e-9, "1.00e-9"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn values_get_round_ticks() {
        type Case = (&'static [f64], Option<f64>, Option<f64>, &'static [&'static str]);
        let cases: [Case; 8] = [
            (&[57.1, 175.0], None, None, &["0", "50", "100", "150", "200"]),
            (&[], None, None, &["0", "0.25", "0.50", "0.75", "1.00"]),
            (&[100.0], None, None, &["0", "25", "50", "75", "100"]),
            (&[-4.0, 4.0], None, None, &["-4", "-2", "0", "2", "4"]),
            (&[1000.0, 1003.0], None, None, &["1000", "1001", "1002", "1003"]),
            (&[5.0], Some(0.0), Some(10.0), &["0", "2.5", "5.0", "7.5", "10.0"]),
            (&[5.0], Some(10.0), None, &["10.0", "12.5", "15.0", "17.5", "20.0"]),
            (&[2e6, 45_000.0], None, None, &["0", "0.5M", "1.0M", "1.5M", "2.0M"]),
        ];
        for (values, min, max, expected) in cases {
            let scale = YScale::over(values.iter().copied(), min, max, 200.0);
            let told = texts(&scale.ticks);
            assert_eq!(told, expected, "{values:?} {min:?} {max:?}");
        }
    }

    #[test]
    fn times_are_told_by_the_clock() {
        let start =
            Time::from_civil(2022, 9, 27, 21, 0, 0).map(|time| time.as_secs() as f64).unwrap_or_default();
        let scale = |to: f64, offset_minutes| XScale::Time { from: start, to: start + to, offset_minutes };
        assert_eq!(
            texts(&scale(3_600.0, 0).ticks(500.0)),
            ["21:00", "21:10", "21:20", "21:30", "21:40", "21:50", "22:00"]
        );
        assert_eq!(texts(&scale(6.0 * HOUR, 330).ticks(300.0)), ["04:00", "06:00", "08:00"]);
        assert_eq!(texts(&scale(6.0 * HOUR, 0).ticks(300.0)), ["22:00", "09/28", "02:00"]);
        assert_eq!(texts(&scale(3.0 * DAY, 0).ticks(300.0)), ["09/28", "09/29", "09/30"]);
        assert_eq!(
            texts(&scale(20.0, 0).ticks(300.0)),
            ["21:00:00", "21:00:05", "21:00:10", "21:00:15", "21:00:20"]
        );
        assert!(texts(&scale(0.0, 0).ticks(0.0)).len() <= 1);
        assert!(scale(-5.0, 0).ticks(300.0).is_empty());
    }
}
