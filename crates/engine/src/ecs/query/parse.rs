//! From text to an expression: one pass from left to right, bounded in depth.
//!
//! ```text
//! or      := and  ( ("||" | "or")  and )*
//! and     := unary( ("&&" | "and") unary )*
//! unary   := ("!" | "not") unary | "(" or ")" | subject operator [argument]
//! argument:= literal | "[" literal ("," literal)* "]"
//! ```

use capstan_model::Time;

use super::{
    AttributeTest, Comparison, Date, Expression, Invalid, LENGTH_MAX, Order, Pattern, TextMatch, TextTest,
    Version,
};

/// Parentheses and negations inside one another; more than a person writes.
const DEPTH_MAX: usize = 32;

pub(super) fn expression(text: &str) -> Result<Expression, Invalid> {
    if text.chars().count() > LENGTH_MAX {
        return Err(invalid(format!("it is longer than {LENGTH_MAX} characters.")));
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let expression = parser.or()?;
    parser.space();
    if !parser.rest.is_empty() {
        return Err(invalid(format!("unexpected \"{}\".", parser.next_word())));
    }
    Ok(expression)
}

fn invalid(what: impl Into<String>) -> Invalid {
    Invalid { what: what.into() }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

/// Operators as symbols, longest first where one begins with another, and as words.
const SYMBOLS: &[(&str, Operator)] = &[
    ("!exists", Operator::NotExists),
    ("!in", Operator::NotIn),
    ("==", Operator::Order(Order::Equal)),
    ("!=", Operator::Order(Order::NotEqual)),
    (">=", Operator::Order(Order::GreaterOrEqual)),
    ("<=", Operator::Order(Order::LessOrEqual)),
    ("=~", Operator::Matches),
    ("!~", Operator::NotMatches),
    (">", Operator::Order(Order::Greater)),
    ("<", Operator::Order(Order::Less)),
];

const WORDS: &[(&str, Operator)] = &[
    ("equals", Operator::Order(Order::Equal)),
    ("exists", Operator::Exists),
    ("greater_than", Operator::Order(Order::Greater)),
    ("greater_than_equal", Operator::Order(Order::GreaterOrEqual)),
    ("in", Operator::In),
    ("less_than", Operator::Order(Order::Less)),
    ("less_than_equal", Operator::Order(Order::LessOrEqual)),
    ("matches", Operator::Matches),
    ("not_equals", Operator::Order(Order::NotEqual)),
    ("not_exists", Operator::NotExists),
    ("not_in", Operator::NotIn),
    ("not_matches", Operator::NotMatches),
];

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Exists,
    In,
    Matches,
    NotExists,
    NotIn,
    NotMatches,
    Order(Order),
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Expression, Invalid> {
        let mut parts = vec![self.and()?];
        while self.symbol("||") || self.keyword("or") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, Invalid> {
        let mut parts = vec![self.unary()?];
        while self.symbol("&&") || self.keyword("and") {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn unary(&mut self) -> Result<Expression, Invalid> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(invalid(format!("it is nested more than {DEPTH_MAX} deep.")));
        }
        let expression = if self.symbol("!") || self.keyword("not") {
            Expression::Not(Box::new(self.unary()?))
        } else if self.symbol("(") {
            let inner = self.or()?;
            if !self.symbol(")") {
                return Err(invalid("a closing parenthesis is missing."));
            }
            inner
        } else {
            Expression::Compare(self.comparison()?)
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn comparison(&mut self) -> Result<Comparison, Invalid> {
        self.space();
        let subject = self.take_while(|c| c.is_ascii_alphanumeric() || "-_./\\:".contains(c));
        if subject.is_empty() {
            return Err(invalid("a subject is missing."));
        }
        if let Some(name) = subject.strip_prefix("attribute:") {
            if name.is_empty() {
                return Err(invalid("attribute: needs a name."));
            }
            let test = match self.operator(subject)? {
                Operator::Exists => AttributeTest::Exists,
                Operator::NotExists => AttributeTest::NotExists,
                operator => AttributeTest::Text(self.text_test(subject, operator)?),
            };
            return Ok(Comparison::Attribute { name: name.to_owned(), test });
        }
        let known = ["agentConnected", "agentVersion", "ec2InstanceId", "registeredAt", "runningTasksCount"];
        if subject != "task:group" && !known.contains(&subject) {
            return Err(invalid(format!("unknown subject \"{subject}\".")));
        }
        let operator = self.operator(subject)?;
        match subject {
            "agentConnected" => Ok(Comparison::AgentConnected(self.text_test(subject, operator)?)),
            "ec2InstanceId" => Ok(Comparison::Ec2InstanceId(self.text_test(subject, operator)?)),
            "task:group" => Ok(Comparison::TaskGroup(self.text_test(subject, operator)?)),
            _ => {
                let Operator::Order(order) = operator else {
                    return Err(invalid(format!("{subject} cannot be compared with that operator.")));
                };
                let text = self.literal(false)?;
                let wrong = |kind: &str| invalid(format!("\"{text}\" is not {kind}."));
                match subject {
                    "agentVersion" => {
                        let version = Version::parse(&text).ok_or_else(|| wrong("a version"))?;
                        Ok(Comparison::AgentVersion(order, version))
                    }
                    "registeredAt" => {
                        let time = Time::parse_iso(&text).ok_or_else(|| wrong("a date"))?;
                        Ok(Comparison::RegisteredAt(order, Date { text, time }))
                    }
                    _ => {
                        let count = text.parse().map_err(|_| wrong("a whole number"))?;
                        Ok(Comparison::RunningTasksCount(order, count))
                    }
                }
            }
        }
    }

    fn operator(&mut self, subject: &str) -> Result<Operator, Invalid> {
        self.space();
        let word = self.next_word();
        if let Some((_, operator)) = WORDS.iter().find(|(name, _)| *name == word) {
            self.rest = &self.rest[word.len()..];
            return Ok(*operator);
        }
        for (symbol, operator) in SYMBOLS {
            if let Some(rest) = self.rest.strip_prefix(symbol) {
                self.rest = rest;
                return Ok(*operator);
            }
        }
        Err(invalid(format!("an operator is missing after \"{subject}\".")))
    }

    fn text_test(&mut self, subject: &str, operator: Operator) -> Result<TextTest, Invalid> {
        let negative =
            matches!(operator, Operator::NotIn | Operator::NotMatches | Operator::Order(Order::NotEqual));
        let by = match operator {
            Operator::Order(Order::Equal | Order::NotEqual) => TextMatch::Equals(self.literal(false)?),
            Operator::In | Operator::NotIn => TextMatch::In(self.list()?),
            Operator::Matches | Operator::NotMatches => {
                let text = self.literal(false)?;
                let wrong = || invalid(format!("\"{text}\" is not a regular expression."));
                TextMatch::Matches(Pattern::new(&text).ok_or_else(wrong)?)
            }
            Operator::Exists | Operator::NotExists | Operator::Order(_) => {
                return Err(invalid(format!("{subject} cannot be compared with that operator.")));
            }
        };
        Ok(TextTest { negative, by })
    }

    fn list(&mut self) -> Result<Vec<String>, Invalid> {
        if !self.symbol("[") {
            return Ok(vec![self.literal(false)?]);
        }
        let mut texts = vec![self.literal(true)?];
        while self.symbol(",") {
            texts.push(self.literal(true)?);
        }
        if !self.symbol("]") {
            return Err(invalid("a closing bracket is missing."));
        }
        Ok(texts)
    }

    /// Quoted, or bare up to a blank, a parenthesis, `&&` or `||`, and inside a list up to a comma or the bracket.
    fn literal(&mut self, in_list: bool) -> Result<String, Invalid> {
        self.space();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let text = if let Some(quote) = quote {
            let inner = &self.rest[1..];
            let end = inner.find(quote).ok_or_else(|| invalid("a closing quotation mark is missing."))?;
            self.rest = &inner[end + 1..];
            &inner[..end]
        } else {
            let ends = |at: usize, c: char| {
                c.is_whitespace()
                    || matches!(c, '(' | ')')
                    || (in_list && matches!(c, ',' | '[' | ']'))
                    || self.rest[at..].starts_with("&&")
                    || self.rest[at..].starts_with("||")
            };
            let end = self.rest.char_indices().find(|(at, c)| ends(*at, *c));
            let end = end.map_or(self.rest.len(), |(at, _)| at);
            let (text, rest) = self.rest.split_at(end);
            if text.is_empty() {
                return Err(invalid("a value is missing."));
            }
            self.rest = rest;
            text
        };
        // ECS guide: an expression cannot contain parentheses, other than to group.
        if text.contains(['(', ')']) {
            return Err(invalid("a value cannot contain parentheses."));
        }
        Ok(text.to_owned())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(symbol) else { return false };
        self.rest = rest;
        true
    }

    /// A word that ends where it ends: `or`, not `order`.
    fn keyword(&mut self, keyword: &str) -> bool {
        self.space();
        if self.next_word() != keyword {
            return false;
        }
        self.rest = &self.rest[keyword.len()..];
        true
    }

    fn next_word(&self) -> &'a str {
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '!' | '=' | '<' | '>');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        &self.rest[..end]
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

fn one_or(mut parts: Vec<Expression>, make: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { make(parts) }
}
