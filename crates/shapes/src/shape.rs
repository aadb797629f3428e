//! Between [`Value`] and Rust types.

use std::collections::BTreeMap;

use bytes::Bytes;
use capstan_model::Time;

use crate::{Operation, Request, Response, Schema, Value};

/// A Rust type of an AWS shape. Reading is total: a value is held against its schema before it gets here, so what does
/// not fit can only be our own mistake, and reads as the default.
pub trait Shape: Sized {
    fn read(value: Option<Value>) -> Self;
    fn write(self) -> Option<Value>;
}

/// A request that names its operation by its type.
pub trait Call: Shape + Into<Request> {
    type Output: Shape;
    const OPERATION: &'static Operation;
    const INPUT: &'static Schema;
    /// The typed output of a response to this request; `None` when it is another operation's.
    fn output(response: Response) -> Option<Self::Output>;
}

/// Bytes that travel as base64 (JSON, query) or as they are (CBOR).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Bytes);

macro_rules! scalar {
    ($($rust:ty: $variant:ident, $value:ident => $from:expr, $to:expr;)*) => {$(
        impl Shape for $rust {
            fn read(value: Option<Value>) -> Self {
                match value {
                    Some(Value::$variant($value)) => $from,
                    _ => Self::default(),
                }
            }
            fn write(self) -> Option<Value> {
                let $value = self;
                Some(Value::$variant($to))
            }
        }
    )*};
}

scalar! {
    Blob: Blob, v => Self(v), v.0;
    String: Text, v => v, v;
    Time: Time, v => v, v;
    bool: Bool, v => v, v;
    f64: Float, v => v, v;
    i32: Int, v => Self::try_from(v).unwrap_or_default(), i64::from(v);
    i64: Int, v => v, v;
}

impl<T: Shape> Shape for Option<T> {
    fn read(value: Option<Value>) -> Self {
        value.map(|value| T::read(Some(value)))
    }
    fn write(self) -> Option<Value> {
        self.and_then(T::write)
    }
}

impl<T: Shape> Shape for Box<T> {
    fn read(value: Option<Value>) -> Self {
        Self::new(T::read(value))
    }
    fn write(self) -> Option<Value> {
        (*self).write()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(value: Option<Value>) -> Self {
        match value {
            Some(Value::List(items)) => items.into_iter().map(|item| T::read(Some(item))).collect(),
            _ => Self::new(),
        }
    }
    fn write(self) -> Option<Value> {
        Some(Value::List(self.into_iter().filter_map(T::write).collect()))
    }
}

impl<T: Shape> Shape for BTreeMap<String, T> {
    fn read(value: Option<Value>) -> Self {
        match value {
            Some(Value::Map(items)) => {
                items.into_iter().map(|(key, item)| (key, T::read(Some(item)))).collect()
            }
            _ => Self::new(),
        }
    }
    fn write(self) -> Option<Value> {
        let written = self.into_iter().filter_map(|(key, item)| Some((key, item.write()?)));
        Some(Value::Map(written.collect()))
    }
}
