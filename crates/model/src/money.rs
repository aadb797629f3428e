//! Money as integers.

use std::fmt;
use std::ops::{Add, AddAssign};

/// Micro-dollars (10⁻⁶ USD). Prices are per hour unless a name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroDollars(pub i64);

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
    }
}
