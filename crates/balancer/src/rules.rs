//! Listener rules, compiled once per snapshot: which action a request gets.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};

use crate::snapshot::{self, QueryStringPair};

/// What conditions look at.
pub(crate) struct Facts<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// Without the port.
    pub(crate) host: &'a [u8],
    pub(crate) client: SocketAddr,
}

/// A rule with its patterns parsed.
pub(crate) struct Rule<A> {
    priority: u32,
    conditions: Vec<Condition>,
    pub(crate) action: A,
}

enum Condition {
    Header(HeaderName, Vec<Pattern>),
    Host(Vec<Pattern>),
    Method(Vec<String>),
    /// Could not be parsed: never holds.
    Never,
    Path(Vec<Pattern>),
    Query(Vec<(Option<Pattern>, Pattern)>),
    Source(Vec<Cidr>),
}

impl<A> Rule<A> {
    pub(crate) fn new(rule: &snapshot::Rule, action: A) -> Self {
        let conditions = rule.conditions.iter().map(Condition::new).collect();
        Self { priority: rule.priority, conditions, action }
    }

    /// Whether all conditions hold.
    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(facts))
    }
}

/// Puts rules in the order of evaluation.
pub(crate) fn sort<A>(rules: &mut [Rule<A>]) {
    rules.sort_by_key(|rule| rule.priority);
}

impl Condition {
    fn new(condition: &snapshot::Condition) -> Self {
        let folded = |values: &[String]| values.iter().map(|v| Pattern::folded(v)).collect();
        match condition {
            snapshot::Condition::HostHeader(values) => Self::Host(folded(values)),
            snapshot::Condition::HttpHeader { name, values } => match HeaderName::from_bytes(name.as_bytes())
            {
                Ok(name) => Self::Header(name, folded(values)),
                Err(_) => Self::Never,
            },
            snapshot::Condition::HttpRequestMethod(values) => Self::Method(values.clone()),
            snapshot::Condition::PathPattern(values) => {
                Self::Path(values.iter().map(|v| Pattern::exact(v)).collect())
            }
            snapshot::Condition::QueryString(pairs) => Self::Query(pairs.iter().map(query_pair).collect()),
            snapshot::Condition::SourceIp(blocks) => {
                Self::Source(blocks.iter().filter_map(|b| Cidr::parse(b)).collect())
            }
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        let any = |patterns: &[Pattern], text: &[u8]| patterns.iter().any(|p| p.matches(text));
        match self {
            Self::Header(name, patterns) => facts
                .headers
                .get_all(name)
                .iter()
                .map(HeaderValue::as_bytes)
                .any(|value| any(patterns, value)),
            Self::Host(patterns) => any(patterns, facts.host),
            Self::Method(methods) => methods.iter().any(|m| m == facts.method.as_str()),
            Self::Never => false,
            Self::Path(patterns) => any(patterns, facts.uri.path().as_bytes()),
            Self::Query(pairs) => {
                let query = facts.uri.query().unwrap_or_default();
                query.split('&').filter(|part| !part.is_empty()).any(|part| {
                    let (key, value) = part.split_once('=').unwrap_or((part, ""));
                    pairs.iter().any(|(want_key, want_value)| {
                        want_key.as_ref().is_none_or(|p| p.matches(key.as_bytes()))
                            && want_value.matches(value.as_bytes())
                    })
                })
            }
            Self::Source(blocks) => {
                let ip = facts.client.ip().to_canonical();
                blocks.iter().any(|block| block.contains(ip))
            }
        }
    }
}

fn query_pair(pair: &QueryStringPair) -> (Option<Pattern>, Pattern) {
    (pair.key.as_deref().map(Pattern::folded), Pattern::folded(&pair.value))
}

/// A value with `*` and `?`.
struct Pattern {
    text: Bytes,
    fold: bool,
}

impl Pattern {
    fn exact(text: &str) -> Self {
        Self { text: Bytes::copy_from_slice(text.as_bytes()), fold: false }
    }

    fn folded(text: &str) -> Self {
        Self { text: text.to_ascii_lowercase().into(), fold: true }
    }

    /// Linear but for one level of backtracking: only the last `*` ever has to give way.
    fn matches(&self, text: &[u8]) -> bool {
        let pattern = &self.text[..];
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            let byte = if self.fold { text[t].to_ascii_lowercase() } else { text[t] };
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                    continue;
                }
                Some(b'?') => {}
                Some(&want) if want == byte => {}
                _ => {
                    let Some((star_p, star_t)) = star else { return false };
                    star = Some((star_p, star_t + 1));
                    (p, t) = (star_p + 1, star_t + 1);
                    continue;
                }
            }
            (p, t) = (p + 1, t + 1);
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }
}

/// A block of addresses.
struct Cidr {
    network: IpAddr,
    prefix: u32,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let network: IpAddr = address.parse().ok()?;
        let prefix: u32 = prefix.parse().ok()?;
        let bits = if network.is_ipv4() { 32 } else { 128 };
        (prefix <= bits).then_some(Self { network, prefix })
    }

    fn contains(&self, ip: IpAddr) -> bool {
        match (self.network, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                (network.to_bits() ^ ip.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                (network.to_bits() ^ ip.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Condition as C;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("/img/*", "/img/", true),
            ("/img/*", "/img", false),
            ("/img/*/pics", "/img/a/b/pics", true),
            ("/img/*/pics", "/img/a/b/pic", false),
            ("*a*b*c", "xxaxxbxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("/A", "/a", false),
            ("**x", "x", true),
        ] {
            assert_eq!(Pattern::exact(pattern).matches(text.as_bytes()), expected, "{pattern} on {text}");
        }
        assert!(Pattern::folded("*.Example.COM").matches(b"a.eXample.com"));
    }

    fn strings(values: &[&str]) -> Vec<String> {
        values.iter().map(|v| (*v).to_owned()).collect()
    }

    #[track_caller]
    fn check(condition: &C, method: &str, uri: &str, headers: &[(&'static str, &str)], client: &str) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header value"));
        }
        let facts = Facts {
            method: &method.parse().expect("a method"),
            uri: &uri.parse().expect("a URI"),
            headers: &map,
            host: b"www.example.com",
            client: client.parse().expect("an address"),
        };
        Condition::new(condition).holds(&facts)
    }

    #[test]
    fn conditions() {
        let get = |condition: &C| {
            check(condition, "GET", "/a/b?Version=v1&x", &[("user-agent", "Chrome/1")], "10.0.1.2:9")
        };
        let pair = |key: Option<&str>, value: &str| {
            C::QueryString(vec![QueryStringPair { key: key.map(str::to_owned), value: value.to_owned() }])
        };
        let header =
            |name: &str, values: &[&str]| C::HttpHeader { name: name.to_owned(), values: strings(values) };
        for (condition, expected) in [
            (C::HostHeader(strings(&["api.*", "*.EXAMPLE.com"])), true),
            (C::HostHeader(strings(&["example.com"])), false),
            (C::PathPattern(strings(&["/a/*"])), true),
            (C::PathPattern(strings(&["/A/*"])), false),
            (header("User-Agent", &["*chrome*"]), true),
            (header("User-Agent", &["*safari*"]), false),
            (header("X-None", &["*"]), false),
            (C::HttpRequestMethod(strings(&["POST", "GET"])), true),
            (C::HttpRequestMethod(strings(&["get"])), false),
            (pair(Some("version"), "V?"), true),
            (pair(None, "v1"), true),
            (pair(Some("x"), ""), true),
            (pair(Some("version"), "v2"), false),
            (C::SourceIp(strings(&["10.0.0.0/16"])), true),
            (C::SourceIp(strings(&["10.0.0.0/24", "::/0"])), false),
            (C::SourceIp(strings(&["0.0.0.0/0"])), true),
        ] {
            assert_eq!(get(&condition), expected, "{condition:?}");
        }
    }
}
