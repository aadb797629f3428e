//! What the JSON and the space-delimited form share: reading words and operators, and comparing values.

use regex_lite::Regex;

use crate::policy::is_like;

/// Parentheses deeper than this are refused.
pub(super) const DEPTH_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What stands on the right of an operator.
#[derive(Debug)]
pub(super) enum Operand {
    /// Without quotes it may also be a number. `*` stands for any characters.
    Text {
        text: String,
        number: Option<f64>,
    },
    Regex(Regex),
}

/// A value of an event, on the left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    Number(f64),
    Text(&'a str),
}

impl Operand {
    pub(super) fn compare(&self, operator: Operator, found: Found<'_>) -> bool {
        match (self, operator) {
            (_, Operator::Equal) => self.equals(found),
            (_, Operator::Unequal) => !self.equals(found),
            (Self::Text { number: Some(wanted), .. }, _) => {
                let found = match found {
                    Found::Number(found) => Some(found),
                    Found::Text(text) => text.parse().ok(),
                };
                found.is_some_and(|found| match operator {
                    Operator::Greater => found > *wanted,
                    Operator::GreaterOrEqual => found >= *wanted,
                    Operator::Less => found < *wanted,
                    Operator::LessOrEqual => found <= *wanted,
                    Operator::Equal | Operator::Unequal => false,
                })
            }
            _ => false,
        }
    }

    fn equals(&self, found: Found<'_>) -> bool {
        match (self, found) {
            (Self::Text { number: Some(wanted), .. }, Found::Number(found)) => found == *wanted,
            (Self::Text { text, number }, Found::Text(found)) => {
                let as_number = || number.zip(found.parse::<f64>().ok());
                is_like(text, found) || as_number().is_some_and(|(wanted, found)| wanted == found)
            }
            (Self::Text { text, .. }, Found::Number(found)) => is_like(text, &found.to_string()),
            (Self::Regex(regex), Found::Text(found)) => regex.is_match(found),
            (Self::Regex(regex), Found::Number(found)) => regex.is_match(&found.to_string()),
        }
    }
}

/// Reads a pattern from left to right.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(super) fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes that text, after spaces, if it is what comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        self.skip_spaces();
        self.rest.strip_prefix(text).map(|rest| self.rest = rest).is_some()
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.take(text) { Ok(()) } else { Err(format!("{text} is missing before {}", self.shown())) }
    }

    /// Takes a word such as `IS`, in any case, that ends where letters end.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        let Some(head) = self.rest.get(..word.len()) else { return false };
        let rest = &self.rest[word.len()..];
        let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let taken = head.eq_ignore_ascii_case(word) && ends;
        if taken {
            self.rest = rest;
        }
        taken
    }

    /// Takes characters as long as they are wanted.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(super) fn next_is(&mut self, c: char) -> bool {
        self.skip_spaces();
        self.rest.starts_with(c)
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.rest.is_empty()
    }

    /// What comes next, for messages.
    pub(super) fn shown(&self) -> String {
        match self.rest.chars().take(20).collect::<String>() {
            text if text.is_empty() => "the end".to_owned(),
            text => format!("\"{text}\""),
        }
    }

    pub(super) fn operator(&mut self) -> Result<Operator, String> {
        // The longer ones first.
        let operators = [
            ("!=", Operator::Unequal),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        let found = operators.into_iter().find(|(text, _)| self.take(text));
        found
            .map(|(_, operator)| operator)
            .ok_or_else(|| format!("an operator is missing before {}", self.shown()))
    }

    /// A text in quotes, a regular expression between percent signs, or a word that ends before one of `ends`.
    pub(super) fn operand(&mut self, ends: &str) -> Result<Operand, String> {
        self.skip_spaces();
        if self.rest.starts_with('"') {
            return Ok(Operand::Text { text: self.quoted()?, number: None });
        }
        if self.rest.starts_with('%') {
            return self.regex().map(Operand::Regex);
        }
        let word = self.take_while(|c| !c.is_whitespace() && !ends.contains(c));
        if word.is_empty() {
            return Err(format!("a value is missing before {}", self.shown()));
        }
        Ok(Operand::Text { text: word.to_owned(), number: number(word) })
    }

    /// `"…"`, in which a backslash keeps the next character.
    pub(super) fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                _ => text.push(c),
            }
        }
        Err("a double quotation mark is not closed".to_owned())
    }

    /// `%…%`, with the characters that the service allows.
    pub(super) fn regex(&mut self) -> Result<Regex, String> {
        let text = self.rest.strip_prefix('%').unwrap_or(self.rest);
        let end = text.find('%').ok_or("a regular expression is not closed by %")?;
        self.rest = &text[end + 1..];
        let text = &text[..end];
        let allowed = |c: char| c.is_ascii_alphanumeric() || " :_#=@/;,-^$?[]{}|\\*+.".contains(c);
        if let Some(c) = text.chars().find(|c| !allowed(*c)) {
            return Err(format!("regular expressions do not support {c}"));
        }
        Regex::new(text).map_err(|e| format!("{text} is no regular expression: {e}"))
    }
}

/// Numbers may have a sign, a fraction and an exponent; `inf` and `nan` are words.
fn number(word: &str) -> Option<f64> {
    let starts = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    word.parse().ok().filter(|number: &f64| starts && number.is_finite())
}
