//! rpc-v2-cbor: `POST /service/TARGET/operation/OPERATION`, CBOR in and out.

use std::collections::BTreeMap;

use capstan_model::Time;
use capstan_shapes::{ErrorMember, Kind, Member, Refusal, Schema, Value};
use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};

use crate::json::{mismatch, time_of_float};

/// Deeper bodies are refused.
const DEPTH_MAX: usize = 64;

const EPOCH_SECS: u64 = 1;

enum Failure {
    /// Not CBOR at all.
    Cbor(minicbor::decode::Error),
    /// CBOR of another shape.
    Shape(String),
}

impl From<minicbor::decode::Error> for Failure {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Cbor(error)
    }
}

/// No body at all means an empty input.
pub(crate) fn decode(schema: &Schema, body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return decode(schema, &[0xa0]);
    }
    match read(schema, &mut Decoder::new(body), DEPTH_MAX) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(mismatch("Expected a structure, found null")),
        Err(Failure::Cbor(error)) => Err(mismatch(format!("The body is not CBOR: {error}"))),
        Err(Failure::Shape(message)) => Err(mismatch(message)),
    }
}

/// `None` for null and undefined, which mean that there is nothing.
fn read(schema: &Schema, input: &mut Decoder<'_>, depth: usize) -> Result<Option<Value>, Failure> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Failure::Shape("The body is nested too deeply".to_owned()));
    };
    let found = input.datatype()?;
    if matches!(found, Type::Null | Type::Undefined) {
        input.skip()?;
        return Ok(None);
    }
    let value = match (&schema.kind, found) {
        (Kind::Record { members }, Type::Map | Type::MapIndef) => {
            let mut values = vec![None; members.len()];
            let length = input.map()?;
            let mut at = 0;
            while more(input, length, &mut at)? {
                let name = text(input)?;
                match position(members, at - 1, &name) {
                    Some((index, member)) => values[index] = read(member.schema, input, depth)?,
                    None => input.skip()?,
                }
            }
            Value::Record(values)
        }
        (Kind::List { member, .. }, Type::Array | Type::ArrayIndef) => {
            let mut items = Vec::new();
            let length = input.array()?;
            let mut at = 0;
            while more(input, length, &mut at)? {
                items.extend(read(member, input, depth)?);
            }
            Value::List(items)
        }
        (Kind::Map { value, .. }, Type::Map | Type::MapIndef) => {
            let mut items = BTreeMap::new();
            let length = input.map()?;
            let mut at = 0;
            while more(input, length, &mut at)? {
                let name = text(input)?;
                if let Some(item) = read(value, input, depth)? {
                    items.insert(name, item);
                }
            }
            Value::Map(items)
        }
        (Kind::Text { .. }, Type::String | Type::StringIndef) => Value::Text(text(input)?),
        (Kind::Blob { .. }, Type::Bytes | Type::BytesIndef) => {
            let chunks = input.bytes_iter()?.collect::<Result<Vec<_>, _>>()?;
            Value::Blob(chunks.concat().into())
        }
        (Kind::Bool, Type::Bool) => Value::Bool(input.bool()?),
        (Kind::Int { long, .. }, _) if is_integer(found) => {
            let number = i64::try_from(input.int()?).ok();
            match number.filter(|number| *long || i32::try_from(*number).is_ok()) {
                Some(number) => Value::Int(number),
                None => return Err(Failure::Shape(format!("{} is out of its range", schema.name))),
            }
        }
        (Kind::Float { .. }, _) if is_number(found) => Value::Float(number(input)?),
        (Kind::Time { .. }, _) if found == Type::Tag || is_number(found) => {
            if found == Type::Tag && input.tag()? != Tag::new(EPOCH_SECS) {
                return Err(Failure::Shape("A timestamp must have tag 1".to_owned()));
            }
            let time = if is_integer(input.datatype()?) {
                i64::try_from(input.int()?).ok().map(Time::from_secs)
            } else {
                time_of_float(number(input)?)
            };
            Value::Time(time.ok_or_else(|| Failure::Shape("A timestamp is out of its range".to_owned()))?)
        }
        _ => {
            let expected = match schema.kind {
                Kind::Blob { .. } => "a byte string",
                Kind::Bool => "a boolean",
                Kind::Document => "a document",
                Kind::Float { .. } => "a number",
                Kind::Int { .. } => "an integer",
                Kind::List { .. } => "a list",
                Kind::Map { .. } | Kind::Record { .. } => "a map",
                Kind::Text { .. } => "a string",
                Kind::Time { .. } => "a timestamp",
            };
            return Err(Failure::Shape(format!("Expected {expected}, found {found}")));
        }
    };
    Ok(Some(value))
}

/// Members mostly come in the schema's order, so the guess is looked at first.
fn position<'a>(members: &'a [Member], guess: usize, name: &str) -> Option<(usize, &'a Member)> {
    match members.get(guess) {
        Some(member) if member.name == name => Some((guess, member)),
        _ => members.iter().enumerate().find(|(_, member)| member.name == name),
    }
}

/// Whether another item follows, of a list or map of `length` or up to a break; counts it in `at`.
fn more(input: &mut Decoder<'_>, length: Option<u64>, at: &mut usize) -> Result<bool, Failure> {
    *at += 1;
    match length {
        Some(length) => Ok(*at as u64 <= length),
        None if input.datatype()? == Type::Break => {
            input.set_position(input.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

fn text(input: &mut Decoder<'_>) -> Result<String, Failure> {
    if !matches!(input.datatype()?, Type::String | Type::StringIndef) {
        return Err(Failure::Shape("Expected a string".to_owned()));
    }
    Ok(input.str_iter()?.collect::<Result<_, _>>()?)
}

fn is_integer(found: Type) -> bool {
    use Type::{I8, I16, I32, I64, Int, U8, U16, U32, U64};
    matches!(found, I8 | I16 | I32 | I64 | Int | U8 | U16 | U32 | U64)
}

fn is_number(found: Type) -> bool {
    is_integer(found) || matches!(found, Type::F16 | Type::F32 | Type::F64)
}

fn number(input: &mut Decoder<'_>) -> Result<f64, Failure> {
    let found = input.datatype()?;
    if is_integer(found) { Ok(i128::from(input.int()?) as f64) } else { Ok(input.f64()?) }
}

pub(crate) fn encode(schema: &Schema, value: &Value, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail.
    let _ = write(schema, value, &mut Encoder::new(out));
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn write(schema: &Schema, value: &Value, out: &mut Encoder<&mut Vec<u8>>) -> Written {
    match (&schema.kind, value) {
        (Kind::Record { members }, Value::Record(values)) => {
            out.map(values.iter().flatten().count() as u64)?;
            for (member, value) in members.iter().zip(values) {
                if let Some(value) = value {
                    out.str(member.name)?;
                    write(member.schema, value, out)?;
                }
            }
            Ok(())
        }
        (Kind::List { member, .. }, Value::List(items)) => {
            out.array(items.len() as u64)?;
            items.iter().try_for_each(|item| write(member, item, out))
        }
        (Kind::Map { value, .. }, Value::Map(items)) => {
            out.map(items.len() as u64)?;
            for (name, item) in items {
                out.str(name)?;
                write(value, item, out)?;
            }
            Ok(())
        }
        (_, Value::Text(text)) => out.str(text)?.ok(),
        (_, Value::Bool(flag)) => out.bool(*flag)?.ok(),
        (_, Value::Int(number)) => out.i64(*number)?.ok(),
        (_, Value::Float(number)) => out.f64(*number)?.ok(),
        (_, Value::Blob(bytes)) => out.bytes(bytes)?.ok(),
        (_, Value::Time(time)) => {
            out.tag(Tag::new(EPOCH_SECS))?;
            out.f64(time.as_millis() as f64 / 1e3)?.ok()
        }
        // A value that is not of its schema can only be our own mistake.
        (_, Value::Record(_) | Value::List(_) | Value::Map(_)) => out.null()?.ok(),
    }
}

/// An error body: `__type`, `message` and the error's further members.
pub(crate) fn encode_error(refusal: &Refusal, out: &mut Vec<u8>) {
    let _ = write_error(refusal, &mut Encoder::new(out));
}

fn write_error(refusal: &Refusal, out: &mut Encoder<&mut Vec<u8>>) -> Written {
    out.map(2 + refusal.members.len() as u64)?;
    out.str("__type")?.str(&refusal.shape)?;
    out.str("message")?.str(&refusal.message)?;
    for (name, content) in &refusal.members {
        out.str(name)?;
        match content {
            ErrorMember::Texts(texts) => {
                out.array(texts.len() as u64)?;
                for text in texts {
                    out.str(text)?;
                }
            }
            ErrorMember::Records(records) => {
                out.array(records.len() as u64)?;
                for record in records {
                    out.map(record.len() as u64)?;
                    for (name, text) in record {
                        out.str(name)?.str(text)?;
                    }
                }
            }
        }
    }
    Ok(())
}
