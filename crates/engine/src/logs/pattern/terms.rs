//! `ERROR "exact phrase" -exclude ?either ?or %regex%`.

use regex_lite::Regex;

use super::condition::Reader;

/// Every required term, no excluded one, and one of the optional ones when there are only those.
#[derive(Debug, Default)]
pub(super) struct Terms {
    required: Vec<Term>,
    excluded: Vec<Term>,
    optional: Vec<Term>,
}

/// Terms are found anywhere in a message, in their own case (whether inside of words too is our reading).
#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

impl Terms {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::new(text);
        let mut terms = Self::default();
        while !reader.is_at_end() {
            let list = if reader.take("-") {
                &mut terms.excluded
            } else if reader.take("?") {
                &mut terms.optional
            } else {
                &mut terms.required
            };
            let term = if reader.next_is('"') {
                Term::Text(reader.quoted()?)
            } else if reader.next_is('%') {
                Term::Regex(reader.regex()?)
            } else {
                let word = reader.take_while(|c| !c.is_whitespace());
                // Other characters must be quoted, or they would be taken for syntax.
                let stray = word.chars().find(|c| !c.is_alphanumeric() && !"_*-.".contains(*c));
                match stray {
                    Some(c) => {
                        return Err(format!(
                            "Invalid character(s) in term '{c}': put the term in double quotation marks"
                        ));
                    }
                    None if word.is_empty() => return Err("a term is missing at the end".to_owned()),
                    None => Term::Text(word.to_owned()),
                }
            };
            list.push(term);
        }
        Ok(terms)
    }

    /// Beside required terms the optional ones count for nothing (guide: the question mark is ignored; our reading).
    pub(super) fn matches(&self, message: &str) -> bool {
        self.required.iter().all(|term| term.is_in(message))
            && !self.excluded.iter().any(|term| term.is_in(message))
            && (!self.required.is_empty()
                || self.optional.is_empty()
                || self.optional.iter().any(|term| term.is_in(message)))
    }
}
