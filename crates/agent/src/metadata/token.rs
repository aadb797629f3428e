//! Session tokens of IMDSv2 (EC2 guide, configuring-instance-metadata-service).

use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_model::{InstanceId, Span, Time};

/// Seconds that a token may live, from and to.
const TTL_SECS: std::ops::RangeInclusive<i64> = 1..=21_600;
/// The first bytes of every token.
const MARK: [u8; 4] = [1, 0, 4, 0];
/// Bytes: mark, moment of expiry, seal.
const LENGTH: usize = 4 + 8 + 16;

/// Gives tokens and knows its own again. Nothing is kept: a token carries its expiry, sealed with a key of this server.
/// Clones share the key, so that a token of an instance is good at each of its endpoints.
#[derive(Clone, Debug, Default)]
pub struct Tokens(RandomState);

impl Tokens {
    /// A token of that instance, for so many seconds as the header says; `None` when it says none from 1 to 21,600.
    pub(super) fn give(&self, instance: InstanceId, ttl: &str, now: Time) -> Option<(String, i64)> {
        let secs: i64 = ttl.parse().ok().filter(|secs| TTL_SECS.contains(secs))?;
        let until = (now + Span::from_secs(secs)).as_micros();
        let token = [&MARK[..], &until.to_be_bytes(), &self.seal(instance, until)].concat();
        Some((STANDARD.encode(token), secs))
    }

    /// Whether it is a token of that instance and has not expired.
    pub(super) fn is_good(&self, instance: InstanceId, token: &str, now: Time) -> bool {
        let Ok(bytes) = STANDARD.decode(token) else { return false };
        let Ok(bytes) = <[u8; LENGTH]>::try_from(bytes) else { return false };
        let until = bytes[4..12].try_into().map_or(0, i64::from_be_bytes);
        bytes[..4] == MARK && bytes[12..] == self.seal(instance, until) && now.as_micros() < until
    }

    fn seal(&self, instance: InstanceId, until: i64) -> [u8; 16] {
        let half = |side: u8| self.0.hash_one((instance, until, side));
        (u128::from(half(0)) << 64 | u128::from(half(1))).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: InstanceId = InstanceId(0xa);
    const NOW: Time = Time::from_secs(1_000);

    #[test]
    fn lives_as_long_as_asked() {
        let tokens = Tokens::default();
        for (ttl, expect) in [
            ("1", Some(1)),
            ("21600", Some(21_600)),
            ("0", None),
            ("21601", None),
            ("-1", None),
            ("", None),
            ("a", None),
            ("1.5", None),
        ] {
            let given = tokens.give(OURS, ttl, NOW);
            assert_eq!(given.as_ref().map(|(_, secs)| *secs), expect, "{ttl}");
            let Some((token, secs)) = given else { continue };
            let end = NOW + Span::from_secs(secs);
            assert!(tokens.is_good(OURS, &token, end - Span::from_micros(1)));
            assert!(!tokens.is_good(OURS, &token, end), "expired");
            assert!(tokens.clone().is_good(OURS, &token, NOW), "clones know it");
            assert!(!tokens.is_good(InstanceId(0xb), &token, NOW), "another instance's");
            assert!(!Tokens::default().is_good(OURS, &token, NOW), "another server's");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let tokens = Tokens::default();
        let (token, _) = tokens.give(OURS, "60", NOW).expect("a token");
        for text in ["", "a", "AQAEAA==", &token[1..], &format!("{token}{token}"), &token.to_lowercase()] {
            assert!(!tokens.is_good(OURS, text, NOW), "{text}");
        }
    }
}
