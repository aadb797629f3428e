//! `[ip, user, ..., status = 4* || status = 5*, bytes > 1000]`: what stands between spaces.

use super::condition::{DEPTH_MAX, Found, Operand, Operator, Reader};

/// The fields of an event, in order; `...` for any number of them, once.
#[derive(Debug)]
pub(super) struct Fields {
    before: Vec<Field>,
    /// After `...`; `None` when there is none, so that the number of fields must agree.
    after: Option<Vec<Field>>,
}

/// `None`: any field will do.
type Field = Option<Condition>;

#[derive(Debug)]
enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare { operator: Operator, operand: Operand },
}

impl Condition {
    fn matches(&self, field: &str) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(field)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(field)),
            Self::Compare { operator, operand } => operand.compare(*operator, Found::Text(field)),
        }
    }
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::new(text);
        reader.expect("[")?;
        let (mut before, mut after) = (Vec::new(), None::<Vec<Field>>);
        loop {
            if reader.take("...") {
                if after.replace(Vec::new()).is_some() {
                    return Err("the ellipsis (...) may stand once".to_owned());
                }
            } else {
                let field = field(&mut reader)?;
                after.as_mut().unwrap_or(&mut before).push(field);
            }
            if !reader.take(",") {
                break;
            }
        }
        reader.expect("]")?;
        match reader.is_at_end() {
            true => Ok(Self { before, after }),
            false => Err(format!("nothing may follow the closing bracket, but {} does", reader.shown())),
        }
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        let fields = split(message);
        let fit = |wanted: &[Field], found: &[&str]| {
            wanted
                .iter()
                .zip(found)
                .all(|(wanted, found)| wanted.as_ref().is_none_or(|condition| condition.matches(found)))
        };
        match &self.after {
            None => fields.len() == self.before.len() && fit(&self.before, &fields),
            Some(after) => {
                fields.len() >= self.before.len() + after.len()
                    && fit(&self.before, &fields)
                    && fit(after, &fields[fields.len() - after.len()..])
            }
        }
    }
}

/// A name, or conditions on one; nothing at all is a field too.
fn field(reader: &mut Reader<'_>) -> Result<Field, String> {
    let name = name(reader).to_owned();
    if reader.next_is(',') || reader.next_is(']') {
        return Ok(None);
    }
    if name.is_empty() {
        let mut of = None;
        let condition = any(reader, &mut of, DEPTH_MAX)?;
        return Ok(Some(condition));
    }
    let mut of = Some(name);
    let first = compare(reader)?;
    let first = all_from(first, reader, &mut of, DEPTH_MAX)?;
    any_from(first, reader, &mut of, DEPTH_MAX).map(Some)
}

fn name<'a>(reader: &mut Reader<'a>) -> &'a str {
    reader.skip_spaces();
    reader.take_while(|c| c.is_alphanumeric() || "_-.".contains(c))
}

fn any(reader: &mut Reader<'_>, of: &mut Option<String>, depth: usize) -> Result<Condition, String> {
    let first = all(reader, of, depth)?;
    any_from(first, reader, of, depth)
}

fn any_from(
    first: Condition,
    reader: &mut Reader<'_>,
    of: &mut Option<String>,
    depth: usize,
) -> Result<Condition, String> {
    let mut parts = vec![first];
    while reader.take("||") {
        parts.push(all(reader, of, depth)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
}

fn all(reader: &mut Reader<'_>, of: &mut Option<String>, depth: usize) -> Result<Condition, String> {
    let first = single(reader, of, depth)?;
    all_from(first, reader, of, depth)
}

fn all_from(
    first: Condition,
    reader: &mut Reader<'_>,
    of: &mut Option<String>,
    depth: usize,
) -> Result<Condition, String> {
    let mut parts = vec![first];
    while reader.take("&&") {
        parts.push(single(reader, of, depth)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
}

/// All conditions of a field are on the same name.
fn single(reader: &mut Reader<'_>, of: &mut Option<String>, depth: usize) -> Result<Condition, String> {
    if reader.take("(") {
        let depth = depth.checked_sub(1).ok_or("the parentheses are nested too deeply")?;
        let inner = any(reader, of, depth)?;
        reader.expect(")")?;
        return Ok(inner);
    }
    let name = name(reader);
    if name.is_empty() {
        return Err(format!("a field's name is missing before {}", reader.shown()));
    }
    match of {
        Some(of) if of != name => {
            return Err(format!("a condition on {of} cannot be joined with one on {name}"));
        }
        _ => *of = Some(name.to_owned()),
    }
    compare(reader)
}

fn compare(reader: &mut Reader<'_>) -> Result<Condition, String> {
    let operator = reader.operator()?;
    let operand = reader.operand(",])&|")?;
    Ok(Condition::Compare { operator, operand })
}

/// What stands between spaces; text in quotation marks or square brackets is one field, without them.
fn split(message: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = message.trim_start();
    while let Some(first) = rest.chars().next() {
        let close = match first {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        let closed = close.and_then(|close| rest[1..].find(close));
        let end = match closed {
            Some(at) => {
                fields.push(&rest[1..=at]);
                at + 2
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                fields.push(&rest[..end]);
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    fields
}
