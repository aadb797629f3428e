//! The rules of composite alarms: `ALARM("cpu") AND NOT OK(disk)` (CloudWatch API reference, PutCompositeAlarm).

use std::collections::BTreeSet;
use std::sync::Arc;

use capstan_shapes::cloudwatch::StateValue;

use super::composite::name_of;

/// A rule as it was read. NOT binds closest, then AND, then OR.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Constant(bool),
    /// Whether the alarm of that name is in that state.
    State(StateValue, Arc<str>),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl Expression {
    /// Whether the rule is true; an alarm that is gone is in no state.
    pub(super) fn holds(&self, state: &dyn Fn(&Arc<str>) -> Option<StateValue>) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::State(wanted, alarm) => state(alarm) == Some(*wanted),
            Self::Not(inner) => !inner.holds(state),
            Self::And(parts) => parts.iter().all(|part| part.holds(state)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(state)),
        }
    }

    /// The alarms that it names, each once.
    pub(super) fn alarms(&self) -> BTreeSet<Arc<str>> {
        match self {
            Self::Constant(_) => BTreeSet::new(),
            Self::State(_, alarm) => BTreeSet::from([alarm.clone()]),
            Self::Not(inner) => inner.alarms(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::alarms).collect(),
        }
    }
}

/// Nested parentheses that a rule may have; deeper ones are refused rather than followed.
const DEPTH_MAX: usize = 64;

/// Reads a rule; the error says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut reader = Reader { rest: text, depth: 0 };
    let expression = reader.any()?;
    match reader.rest.trim_start() {
        "" => Ok(expression),
        rest => Err(format!("unexpected {rest:?}")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn any(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.all()?];
        while self.word("OR") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.one()?];
        while self.word("AND") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn one(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        let read = self.operand();
        self.depth -= 1;
        read
    }

    fn operand(&mut self) -> Result<Expression, String> {
        if self.word("NOT") {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        if self.sign('(') {
            let inner = self.any()?;
            return if self.sign(')') { Ok(inner) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        for (word, value) in [("TRUE", true), ("FALSE", false)] {
            if self.word(word) {
                return Ok(Expression::Constant(value));
            }
        }
        if self.word("AT_LEAST") {
            return Err("AT_LEAST is not built".to_owned());
        }
        let states = [StateValue::Alarm, StateValue::Ok, StateValue::InsufficientData];
        let Some(state) = states.into_iter().find(|state| self.word(state.as_str())) else {
            return Err(format!("an alarm's state is expected where {:?} stands", self.rest.trim_start()));
        };
        if !self.sign('(') {
            return Err(format!("{state} needs the name of an alarm in parentheses"));
        }
        let name = self.name()?;
        if !self.sign(')') {
            return Err("a parenthesis is not closed".to_owned());
        }
        Ok(Expression::State(state, Arc::from(name_of(&name))))
    }

    /// Takes that word, if it stands next.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some(after) = rest.strip_prefix(word) else { return false };
        if after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        self.rest = after;
        true
    }

    fn sign(&mut self, sign: char) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    /// A name as it is, or in quotes with `\"` and `\\` in it.
    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest.trim_start();
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find([')', ' ', '(', ',']).unwrap_or(rest.len());
            if end == 0 {
                return Err("an alarm's name is missing".to_owned());
            }
            self.rest = &rest[end..];
            return Ok(rest[..end].to_owned());
        };
        let (mut name, mut escaped) = (String::new(), false);
        for (at, c) in quoted.char_indices() {
            match c {
                '"' if !escaped => {
                    self.rest = &quoted[at + 1..];
                    return Ok(name);
                }
                '\\' if !escaped => escaped = true,
                c => {
                    name.push(c);
                    escaped = false;
                }
            }
        }
        Err("a quote is not closed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        // `a` is in ALARM, `b` is OK, `c` lacks data, all others are missing.
        let state = |name: &Arc<str>| match &**name {
            "a" | "with \"quote\"" => Some(StateValue::Alarm),
            "b" => Some(StateValue::Ok),
            "c" => Some(StateValue::InsufficientData),
            _ => None,
        };
        let check = |rule: &str, expected: bool| {
            let expression = parse(rule).unwrap_or_else(|why| panic!("{rule}: {why}"));
            assert_eq!(expression.holds(&state), expected, "{rule}");
        };
        check("ALARM(a)", true);
        check("ALARM(\"a\") AND OK(b)", true);
        check("NOT ALARM(a) OR OK(b)", true);
        check("NOT (ALARM(a) OR OK(b))", false);
        check("ALARM(b) OR ALARM(a) AND INSUFFICIENT_DATA(c)", true);
        check("(ALARM(b) OR ALARM(a)) AND ALARM(c)", false);
        check("ALARM(\"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a\")", true);
        check("ALARM(\"with \\\"quote\\\"\")", true);
        check("ALARM(gone)", false);
        check("TRUE AND NOT FALSE", true);
        let check = |rule: &str, expected: &str| assert_eq!(parse(rule), Err(expected.to_owned()), "{rule}");
        check("", "an alarm's state is expected where \"\" stands");
        check("ALARM(a", "a parenthesis is not closed");
        check("ALARM a", "ALARM needs the name of an alarm in parentheses");
        check("ALARM(a) ALARM(b)", "unexpected \"ALARM(b)\"");
        check("ALARM(\"a)", "a quote is not closed");
        check("AT_LEAST(1, ALARM, (a))", "AT_LEAST is not built");
        check(&"(".repeat(100), "it is nested too deeply");
        check(&"NOT ".repeat(100), "it is nested too deeply");
    }
}
