//! A shape's content without its Rust type: what protocols read and write.

use std::collections::BTreeMap;

use bytes::Bytes;
use capstan_model::Time;

/// The content of one shape. Which variant may stand where is said by its [`Schema`](crate::Schema).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Shared: an object of many megabytes is not copied on its way.
    Blob(Bytes),
    Bool(bool),
    Float(f64),
    Int(i64),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    /// One entry for each member of the record's schema, in the schema's order.
    Record(Vec<Option<Self>>),
    Text(String),
    Time(Time),
}
