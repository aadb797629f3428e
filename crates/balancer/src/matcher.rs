//! `Matcher.HttpCode`: which status codes are a success.

use std::ops::RangeInclusive;

/// Codes and ranges such as `200-299,301`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matcher(Vec<RangeInclusive<u16>>);

impl Matcher {
    /// Parts that make no sense match nothing; the API refuses them.
    pub(crate) fn parse(text: &str) -> Self {
        let part = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
        };
        Self(text.split(',').filter_map(part).collect())
    }

    pub(crate) fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|codes| codes.contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for (text, status, expected) in [
            ("200", 200, true),
            ("200", 201, false),
            ("200-299,301", 299, true),
            ("200-299,301", 300, false),
            ("200-299, 301", 301, true),
            ("", 200, false),
            ("ok", 200, false),
        ] {
            assert_eq!(Matcher::parse(text).matches(status), expected, "{text} on {status}");
        }
    }
}
