//! Money as integers.

use std::fmt;
use std::ops::{Add, AddAssign};

/// Micro-dollars (10⁻⁶ USD). Prices are per hour unless a name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroDollars(pub i64);

impl MicroDollars {
    /// Reads a decimal number of dollars (`0.0322`, `.05`, `1`); decimals beyond the sixth do not count. `None` when the
    /// text is none, or above 999,999,999 dollars.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) || whole.len() > 9 {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
        Some(Self(whole * 1_000_000 + micros))
    }

    /// Dollars with no more decimals than they need: `0.0735`.
    pub fn decimal(self) -> String {
        self.to_string().trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Add for MicroDollars {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for MicroDollars {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// Dollars with six decimals, as EC2 prints Spot prices.
impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:06}", self.0.abs() / 1_000_000, self.0.abs() % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_ec2_does() {
        assert_eq!(MicroDollars(96_000).to_string(), "0.096000");
        assert_eq!(MicroDollars(-1_500_000).to_string(), "-1.500000");
        assert_eq!(MicroDollars(73_500).decimal(), "0.0735");
        assert_eq!(MicroDollars(10_000_000).decimal(), "10");
    }

    #[test]
    fn prices_are_read_exactly() {
        let cases = [
            ("0.05", Some(50_000)),
            (".05", Some(50_000)),
            ("1", Some(1_000_000)),
            ("0.0123456789", Some(12_345)),
            ("", None),
            (".", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ];
        for (text, micros) in cases {
            assert_eq!(MicroDollars::parse(text), micros.map(MicroDollars), "{text}");
        }
    }
}
