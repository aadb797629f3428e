//! awsJson 1.0 and 1.1.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstan_model::Time;
use capstan_shapes::{Kind, Refusal, Schema, TimeFormat, Value};
use serde_json::Value as Json;

/// What a body that does not fit the operation's input is answered with.
pub(crate) fn mismatch(message: impl Into<String>) -> Refusal {
    Refusal::new("SerializationException", message)
}

/// No body at all means an empty input. `serde_json` bounds the depth.
pub(crate) fn decode(schema: &Schema, body: &[u8]) -> Result<Value, Refusal> {
    let json = if body.trim_ascii().is_empty() {
        Json::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(body).map_err(|e| mismatch(format!("The body is not JSON: {e}")))?
    };
    match read(schema, json)? {
        Some(value) => Ok(value),
        None => Err(mismatch("Expected a structure, found null")),
    }
}

/// `None` for null, which means that there is nothing.
fn read(schema: &Schema, json: Json) -> Result<Option<Value>, Refusal> {
    let value = match (&schema.kind, json) {
        (_, Json::Null) => return Ok(None),
        (Kind::Record { members }, Json::Object(mut map)) => {
            // Members that the schema does not have are ignored, as AWS does.
            let values = members.iter().map(|member| match map.remove(member.name) {
                Some(json) => read(member.schema, json),
                None => Ok(None),
            });
            Value::Record(values.collect::<Result<_, _>>()?)
        }
        (Kind::List { member, .. }, Json::Array(items)) => {
            let values = items.into_iter().filter_map(|json| read(member, json).transpose());
            Value::List(values.collect::<Result<_, _>>()?)
        }
        (Kind::Map { value, .. }, Json::Object(map)) => {
            let values = map.into_iter().filter_map(|(key, json)| match read(value, json) {
                Ok(item) => Some(Ok((key, item?))),
                Err(refusal) => Some(Err(refusal)),
            });
            Value::Map(values.collect::<Result<_, _>>()?)
        }
        (Kind::Text { .. }, Json::String(text)) => Value::Text(text),
        (Kind::Bool, Json::Bool(flag)) => Value::Bool(flag),
        (Kind::Int { long, .. }, Json::Number(number)) => Value::Int(integer(&number, *long)?),
        (Kind::Float { .. }, Json::Number(number)) => Value::Float(number.as_f64().unwrap_or_default()),
        (Kind::Float { .. }, Json::String(text)) => match text.as_str() {
            "NaN" => Value::Float(f64::NAN),
            "Infinity" => Value::Float(f64::INFINITY),
            "-Infinity" => Value::Float(f64::NEG_INFINITY),
            _ => return Err(mismatch("STRING_VALUE cannot be converted to Double")),
        },
        (Kind::Blob { .. }, Json::String(text)) => match BASE64.decode(text) {
            Ok(bytes) => Value::Blob(bytes.into()),
            Err(e) => return Err(mismatch(format!("A blob is not base64: {e}"))),
        },
        (Kind::Time { .. }, Json::Number(number)) => {
            let time = match number.as_i64() {
                Some(secs) => Some(Time::from_secs(secs)),
                None => number.as_f64().and_then(time_of_float),
            };
            Value::Time(time.ok_or_else(|| mismatch(format!("{number} is no time in epoch seconds")))?)
        }
        (Kind::Time { .. }, Json::String(text)) => match Time::parse_iso(&text) {
            Some(time) => Value::Time(time),
            None => return Err(mismatch("STRING_VALUE cannot be converted to Timestamp")),
        },
        (kind, json) => return Err(mismatch(wrong_type(kind, &json))),
    };
    Ok(Some(value))
}

fn integer(number: &serde_json::Number, long: bool) -> Result<i64, Refusal> {
    // `2.0` is an integer to AWS; `2.5` is not.
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9.0e15).then_some(float as i64);
    let found = number.as_i64().or_else(|| number.as_f64().and_then(whole));
    match found {
        Some(found) if long || i32::try_from(found).is_ok() => Ok(found),
        _ => {
            let size = if long { "Long" } else { "Integer" };
            Err(mismatch(format!("NUMBER_VALUE cannot be converted to {size}: {number}")))
        }
    }
}

/// Epoch seconds with a fraction, to whole microseconds; `None` when it is out of range.
pub(crate) fn time_of_float(secs: f64) -> Option<Time> {
    let micros = (secs * 1e6).round();
    (micros.abs() < 9.2e18).then(|| Time::from_micros(micros as i64))
}

/// The texts of AWS's own parser, as seen in its answers.
fn wrong_type(kind: &Kind, json: &Json) -> String {
    let found = match json {
        Json::Object(_) if !matches!(kind, Kind::List { .. }) => {
            return "Start of structure or map found where not expected.".to_owned();
        }
        Json::Array(_) => return "Start of list found where not expected".to_owned(),
        Json::Bool(true) => "TRUE_VALUE",
        Json::Bool(false) => "FALSE_VALUE",
        Json::Number(_) => "NUMBER_VALUE",
        _ => "STRING_VALUE",
    };
    let expected = match kind {
        Kind::List { .. } => return "Expected list or null".to_owned(),
        Kind::Map { .. } => return "Expected map or null".to_owned(),
        Kind::Record { .. } => return "Expected null".to_owned(),
        Kind::Blob { .. } => "Blob",
        Kind::Bool => "Boolean",
        Kind::Document => "Document",
        Kind::Float { .. } => "Double",
        Kind::Int { long: false, .. } => "Integer",
        Kind::Int { long: true, .. } => "Long",
        Kind::Text { .. } => "String",
        Kind::Time { .. } => "Timestamp",
    };
    format!("{found} cannot be converted to {expected}")
}

pub(crate) fn encode(schema: &Schema, value: &Value, out: &mut Vec<u8>) {
    match (&schema.kind, value) {
        (Kind::Record { members }, Value::Record(values)) => {
            out.push(b'{');
            let mut first = true;
            for (member, value) in members.iter().zip(values) {
                if let Some(value) = value {
                    key(member.name, &mut first, out);
                    encode(member.schema, value, out);
                }
            }
            out.push(b'}');
        }
        (Kind::List { member, .. }, Value::List(items)) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                encode(member, item, out);
            }
            out.push(b']');
        }
        (Kind::Map { value, .. }, Value::Map(items)) => {
            out.push(b'{');
            let mut first = true;
            for (name, item) in items {
                key(name, &mut first, out);
                encode(value, item, out);
            }
            out.push(b'}');
        }
        (_, Value::Text(text)) => string(text, out),
        (_, Value::Bool(flag)) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        (_, Value::Int(number)) => {
            let _ = write!(out, "{number}");
        }
        (_, Value::Float(number)) if number.is_finite() => {
            let _ = write!(out, "{number:?}");
        }
        (_, Value::Float(number)) => string(non_finite(*number), out),
        (_, Value::Blob(bytes)) => string(&BASE64.encode(bytes), out),
        (Kind::Time { format: TimeFormat::Iso8601 }, Value::Time(time)) => string(&time.iso_millis(), out),
        (_, Value::Time(time)) => epoch_secs(*time, out),
        // A value that is not of its schema can only be our own mistake.
        (_, Value::Record(_) | Value::List(_) | Value::Map(_)) => out.extend_from_slice(b"null"),
    }
}

fn key(name: &str, first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    string(name, out);
    out.push(b':');
}

pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // Writing into a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}

pub(crate) fn non_finite(number: f64) -> &'static str {
    match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

/// `1601113073.123`: milliseconds as a fraction, without trailing zeros.
fn epoch_secs(time: Time, out: &mut Vec<u8>) {
    let millis = time.as_millis();
    let sign = if millis < 0 { "-" } else { "" };
    let (secs, rest) = (millis.unsigned_abs() / 1_000, millis.unsigned_abs() % 1_000);
    let _ = match (rest % 10, rest % 100, rest) {
        (_, _, 0) => write!(out, "{sign}{secs}"),
        (_, 0, _) => write!(out, "{sign}{secs}.{}", rest / 100),
        (0, _, _) => write!(out, "{sign}{secs}.{:02}", rest / 10),
        _ => write!(out, "{sign}{secs}.{rest:03}"),
    };
}
