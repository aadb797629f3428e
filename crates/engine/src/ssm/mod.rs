//! Systems Manager parameters: those that users store, and the public ones about images.

mod filter;
mod label;
mod list;
mod public;
mod put;
mod read;
mod rows;
mod tag;
#[cfg(test)]
mod tests;

use capstan_shapes::{Refusal, ssm};

use crate::kernel::{Table, dispatch, tables};
use crate::{Caller, Engine};

pub(crate) use read::value;
pub use rows::{Parameter, Version};

/// Settings that are accepted without effect.
pub const INERT: &[(&str, &str)] = &[
    ("DescribeParameters.Shared", "nothing is shared between accounts"),
    ("GetParameter.WithDecryption", "nothing is encrypted: the value of a SecureString is always shown"),
    (
        "GetParameterHistory.WithDecryption",
        "nothing is encrypted: the value of a SecureString is always shown",
    ),
    ("GetParameters.WithDecryption", "nothing is encrypted: the value of a SecureString is always shown"),
    (
        "GetParametersByPath.WithDecryption",
        "nothing is encrypted: the value of a SecureString is always shown",
    ),
    ("PutParameter.DataType", "that an image exists is not checked"),
    ("PutParameter.KeyId", "kept and shown; a SecureString is stored as plain text"),
    ("PutParameter.Policies", "kept and shown; parameters do not expire and notify nobody"),
];

/// The table of Systems Manager.
#[derive(Clone, Debug, Default)]
pub struct Ssm {
    parameters: Table<Parameter>,
}

impl Ssm {
    /// Stored parameters; the public ones are not among them.
    pub fn parameters(&self) -> &Table<Parameter> {
        &self.parameters
    }
}

tables!(Ssm { parameters });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: ssm::Request,
) -> Result<ssm::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, ssm {
        AddTagsToResource => tag::add,
        DeleteParameter => put::delete,
        DeleteParameters => put::delete_all,
        DescribeParameters => list::describe,
        GetParameter => read::get,
        GetParameterHistory => read::history,
        GetParameters => read::get_all,
        GetParametersByPath => list::by_path,
        LabelParameterVersion => label::add,
        ListTagsForResource => tag::list,
        PutParameter => put::put,
        RemoveTagsFromResource => tag::remove,
        UnlabelParameterVersion => label::remove,
    }))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationException", message)
}

fn not_found(name: &str) -> Refusal {
    Refusal::of(&ssm::PARAMETER_NOT_FOUND, format!("Parameter {name} not found."))
}

/// `arn:aws:ssm:REGION:ACCOUNT:parameter/NAME`
fn arn(cx: &Engine, name: &str) -> String {
    let slash = if name.starts_with('/') { "" } else { "/" };
    cx.arn("ssm", format_args!("parameter{slash}{name}"))
}

/// How many items a page has.
fn size(max: Option<i32>, default: usize) -> usize {
    max.and_then(|max| usize::try_from(max).ok()).unwrap_or(default)
}

fn invalid_token() -> Refusal {
    Refusal::of(&ssm::INVALID_NEXT_TOKEN, "The specified token is not valid.")
}
