//! Requests in form encoding: `Action=DescribeInstances&InstanceId.1=i-…`.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;

/// Longer names than this (in parts between dots) are refused, which bounds every recursion over a form.
const DEPTH_MAX: usize = 64;

/// The decoded pairs, in the order of the request.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=b&c=d`, percent-encoded UTF-8; a part without `=` is a name without a value.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let parts = text.split(|b| *b == b'&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let at = part.iter().position(|b| *b == b'=');
            let (name, value) = at.map_or((part, &b""[..]), |at| (&part[..at], &part[at + 1..]));
            Some((percent_decoded(name, true)?, percent_decoded(value, true)?))
        });
        pairs.collect::<Option<_>>().map(Self).ok_or_else(|| {
            Refusal::new("MalformedQueryString", "The query string contains a syntax error: not UTF-8.")
        })
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds a pair unless there is one of that name, or the value is no more than the root path.
    pub(crate) fn or_default(&mut self, name: &str, value: &str) {
        if value.len() > 1 && self.get(name).is_none() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first pair whose name is that one, whatever the case; names are given in lower case.
    pub(crate) fn named(&self, name: &str) -> Option<(&str, &str)> {
        let mut pairs = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        pairs.next().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The pairs whose names begin so, whatever the case, and what follows in the name.
    pub(crate) fn prefixed<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (String, &'a str)> {
        self.0.iter().filter_map(move |(key, value)| {
            let rest = key.to_ascii_lowercase().strip_prefix(prefix)?.to_owned();
            Some((rest, value.as_str()))
        })
    }

    /// Every value of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The operation's parameters as a tree; what belongs to the call itself (action, version, signature) is left out.
    pub(crate) fn tree(&self) -> Result<Node<'_>, Refusal> {
        let mut root = Node::default();
        for (name, value) in &self.0 {
            if is_of_the_call(name) {
                continue;
            }
            if name.split('.').count() > DEPTH_MAX {
                return Err(malformed(format!("The parameter name {name} has too many parts.")));
            }
            let leaf = name.split('.').fold(&mut root, |node, part| node.children.entry(part).or_default());
            leaf.text = Some(value);
        }
        Ok(root)
    }
}

/// One part of parameter names: `A.1` is child `1` of child `A`.
#[derive(Debug, Default)]
pub(crate) struct Node<'a> {
    pub(crate) text: Option<&'a str>,
    pub(crate) children: BTreeMap<&'a str, Self>,
}

impl<'a> Node<'a> {
    /// The children with numbers for names, by number; the first name that is none as the error. Gaps are no error.
    pub(crate) fn numbered(&self) -> Result<Vec<(u32, &Self)>, &'a str> {
        let mut items = Vec::with_capacity(self.children.len());
        for (name, node) in &self.children {
            let digits = name.bytes().all(|b| b.is_ascii_digit());
            let number: u32 = name.parse().ok().filter(|_| digits).ok_or(*name)?;
            items.push((number, node));
        }
        items.sort_by_key(|(number, _)| *number);
        Ok(items)
    }
}

fn is_of_the_call(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "AWSAccessKeyId",
        "Action",
        "Expires",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "Timestamp",
        "Version",
    ];
    NAMES.contains(&name) || name.starts_with("X-Amz-")
}

/// A form that cannot be read as the operation's input.
pub(crate) fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new("MalformedInput", message)
}

/// `%XX` is a byte; a stray `%` stands for itself. With `plus`, as in forms, `+` is a space. `None` when it is not UTF-8.
pub(crate) fn percent_decoded(text: &[u8], plus: bool) -> Option<String> {
    let hex = |at: usize| text.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) if plus => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}
