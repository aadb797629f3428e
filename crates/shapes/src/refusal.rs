//! A request that is refused: an ordinary answer, not a failure.

use std::borrow::Cow;

use crate::ErrorShape;

/// What a client gets instead of an output: an AWS error code, its HTTP status and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code on the wire: `ClusterNotFoundException`, `ValidationError`, `InvalidInstanceID.NotFound`.
    pub code: Cow<'static, str>,
    /// The shape's name where the model has one that differs from the code (`AlreadyExistsFault`); else the code.
    pub shape: Cow<'static, str>,
    pub status: u16,
    pub message: String,
    /// Further members of the modelled error, such as `resourceIds` of a conflict.
    pub members: Vec<(&'static str, ErrorMember)>,
}

/// The content of an error's further member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorMember {
    Texts(Vec<String>),
    /// Records of texts, each with its members' names.
    Records(Vec<Vec<(&'static str, String)>>),
}

impl Refusal {
    /// A modelled error.
    pub fn of(shape: &'static ErrorShape, message: impl Into<String>) -> Self {
        Self {
            code: shape.code.into(),
            shape: shape.name.into(),
            status: shape.status,
            message: message.into(),
            members: Vec::new(),
        }
    }

    /// A code that the model does not list (EC2 lists none), HTTP status 400.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let code = code.into();
        Self { shape: code.clone(), code, status: 400, message: message.into(), members: Vec::new() }
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn with_member(mut self, name: &'static str, values: Vec<String>) -> Self {
        self.members.push((name, ErrorMember::Texts(values)));
        self
    }

    pub fn with_records(mut self, name: &'static str, records: Vec<Vec<(&'static str, String)>>) -> Self {
        self.members.push((name, ErrorMember::Records(records)));
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}
