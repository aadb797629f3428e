//! `{ ($.a.b = "x*") && ($.n >= 5) || ($.c NOT EXISTS) || ($.d[0] IS NULL) }`.

use serde_json::Value as Json;

use super::condition::{DEPTH_MAX, Found, Operand, Operator, Reader};

/// A condition on a JSON event, or several joined.
#[derive(Debug)]
pub(super) enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare { path: Path, operator: Operator, operand: Operand },
    Exists { path: Path, wanted: bool },
    Is { path: Path, wanted: Json },
}

/// `$.users[0].name`; `[*]` looks at every item.
type Path = Vec<Step>;

#[derive(Debug)]
pub(super) enum Step {
    Member(String),
    Item(usize),
    EveryItem,
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::new(text);
        reader.expect("{")?;
        let expression = any(&mut reader, DEPTH_MAX)?;
        reader.expect("}")?;
        match reader.is_at_end() {
            true => Ok(expression),
            false => Err(format!("nothing may follow the closing brace, but {} does", reader.shown())),
        }
    }

    pub(super) fn matches(&self, event: &Json) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(event)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(event)),
            Self::Compare { path, operator, operand } => {
                select(path, event).into_iter().any(|found| match found {
                    Json::String(text) => operand.compare(*operator, Found::Text(text)),
                    Json::Number(number) => number
                        .as_f64()
                        .is_some_and(|number| operand.compare(*operator, Found::Number(number))),
                    Json::Bool(flag) => {
                        operand.compare(*operator, Found::Text(if *flag { "true" } else { "false" }))
                    }
                    // Objects, lists and null equal no value.
                    _ => *operator == Operator::Unequal,
                })
            }
            Self::Exists { path, wanted } => select(path, event).is_empty() != *wanted,
            Self::Is { path, wanted } => select(path, event).contains(&wanted),
        }
    }
}

/// `&&` binds closer than `||`.
fn any(reader: &mut Reader<'_>, depth: usize) -> Result<Expression, String> {
    let mut parts = vec![all(reader, depth)?];
    while reader.take("||") {
        parts.push(all(reader, depth)?);
    }
    Ok(one_or(parts, Expression::Any))
}

fn all(reader: &mut Reader<'_>, depth: usize) -> Result<Expression, String> {
    let mut parts = vec![single(reader, depth)?];
    while reader.take("&&") {
        parts.push(single(reader, depth)?);
    }
    Ok(one_or(parts, Expression::All))
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

fn single(reader: &mut Reader<'_>, depth: usize) -> Result<Expression, String> {
    if reader.take("(") {
        let depth = depth.checked_sub(1).ok_or("the parentheses are nested too deeply")?;
        let inner = any(reader, depth)?;
        reader.expect(")")?;
        return Ok(inner);
    }
    let path = path(reader)?;
    if reader.take_word("NOT") {
        return match reader.take_word("EXISTS") {
            true => Ok(Expression::Exists { path, wanted: false }),
            false => Err(format!("EXISTS must follow NOT, but {} does", reader.shown())),
        };
    }
    if reader.take_word("EXISTS") {
        return Ok(Expression::Exists { path, wanted: true });
    }
    if reader.take_word("IS") {
        let constants = [("TRUE", Json::Bool(true)), ("FALSE", Json::Bool(false)), ("NULL", Json::Null)];
        let found = constants.into_iter().find(|(word, _)| reader.take_word(word));
        let wanted = found.map(|(_, wanted)| wanted);
        let wanted = wanted
            .ok_or_else(|| format!("TRUE, FALSE or NULL must follow IS, but {} does", reader.shown()))?;
        return Ok(Expression::Is { path, wanted });
    }
    let operator = reader.operator()?;
    let operand = reader.operand(")}&|")?;
    Ok(Expression::Compare { path, operator, operand })
}

fn path(reader: &mut Reader<'_>) -> Result<Path, String> {
    reader.expect("$")?;
    let mut path = Vec::new();
    loop {
        if reader.next_is('[') {
            reader.expect("[")?;
            let step = if reader.take("*") {
                Step::EveryItem
            } else if reader.next_is('"') {
                Step::Member(reader.quoted()?)
            } else {
                let digits = reader.take_while(|c| c.is_ascii_digit());
                Step::Item(
                    digits.parse().map_err(|_| format!("an index is missing before {}", reader.shown()))?,
                )
            };
            reader.expect("]")?;
            path.push(step);
        } else if reader.take(".") {
            // `$.["a.b"]` is another way to write `$["a.b"]`.
            if reader.next_is('[') {
                continue;
            }
            let name = match reader.next_is('"') {
                true => reader.quoted()?,
                false => reader.take_while(|c| !c.is_whitespace() && !".[]()=!<>&|{}".contains(c)).to_owned(),
            };
            if name.is_empty() {
                return Err(format!("a property's name is missing before {}", reader.shown()));
            }
            path.push(Step::Member(name));
        } else {
            return match path.is_empty() {
                true => Err("a selector begins with $. and the name of a property".to_owned()),
                false => Ok(path),
            };
        }
    }
}

fn select<'a>(path: &Path, event: &'a Json) -> Vec<&'a Json> {
    let mut found = vec![event];
    for step in path {
        found = match step {
            Step::Member(name) => found.into_iter().filter_map(|json| json.get(name)).collect(),
            Step::Item(index) => found.into_iter().filter_map(|json| json.get(index)).collect(),
            Step::EveryItem => found.into_iter().filter_map(Json::as_array).flatten().collect(),
        };
    }
    found
}
