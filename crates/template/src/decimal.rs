//! Numbers as templates write them, compared without floats.

use std::cmp::Ordering;

/// A decimal number: sign, digits before and after the point without superfluous zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    whole: Vec<u8>,
    fraction: Vec<u8>,
}

/// Exponents beyond this are no numbers that a template means.
const LARGEST_EXPONENT: i32 = 400;

impl Decimal {
    /// `-12.50`, `1e3`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        if exponent.abs() > LARGEST_EXPONENT {
            return None;
        }
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return None;
        }
        let mut all = [whole, fraction].concat().into_bytes();
        let mut point = i32::try_from(whole.len()).ok()? + exponent;
        while point < 0 {
            all.insert(0, b'0');
            point += 1;
        }
        let point = usize::try_from(point).ok()?;
        while all.len() < point {
            all.push(b'0');
        }
        let mut fraction = all.split_off(point);
        while fraction.last() == Some(&b'0') {
            fraction.pop();
        }
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let whole = all.split_off(leading);
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: mantissa.starts_with('-') && !zero, whole, fraction })
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let size = || {
            let whole = self.whole.len().cmp(&other.whole.len());
            whole.then_with(|| self.whole.cmp(&other.whole)).then_with(|| self.fraction.cmp(&other.fraction))
        };
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(),
            (true, true) => size().reverse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", "1.2.3", "1e", "0x1", "1 ", "NaN", "1e999", "--1", "1e1.5"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        /// However a number is spelled, it compares as the number.
        #[test]
        fn numbers_compare_as_numbers(
            one in -2_000_000_i64..2_000_000, other in -2_000_000_i64..2_000_000, places in 0_usize..7, zeros in 0_usize..3,
        ) {
            let spell = |number: i64| {
                let digits = format!("{:0>width$}", number.unsigned_abs(), width = places + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places);
                let sign = if number < 0 { "-" } else { "" };
                [
                    format!("{sign}{}{whole}.{fraction}{}", "0".repeat(zeros), "0".repeat(zeros)),
                    format!("{sign}{}e-{places}", number.unsigned_abs()),
                    format!("{number}0e-{}", places + 1),
                ]
            };
            for left in spell(one) {
                for right in spell(other) {
                    let parsed = Decimal::parse(&left).zip(Decimal::parse(&right));
                    let compared = parsed.map(|(left, right)| left.compare(&right));
                    prop_assert_eq!(compared, Some(one.cmp(&other)), "{} {}", left, right);
                }
            }
        }
    }
}
