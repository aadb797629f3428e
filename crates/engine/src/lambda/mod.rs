//! Lambda: functions as records. Nothing invokes them.

mod code;
mod concurrency;
mod function;
mod permission;
mod rows;
mod tag;
#[cfg(test)]
mod tests;

use capstan_model::Arn;
use capstan_shapes::{Refusal, lambda};

use crate::kernel::{Edit, Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub use rows::Function;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("AddPermission.Principal", "kept and shown; nothing invokes functions"),
    ("CreateFunction.Code", "its size and digest are shown, it is not kept; functions never run"),
    ("CreateFunction.CodeSigningConfigArn", "kept and shown; signatures are not checked"),
    ("CreateFunction.DeadLetterConfig", "kept and shown; functions never run"),
    ("CreateFunction.Environment", "kept and shown; functions never run"),
    ("CreateFunction.FileSystemConfigs", "kept and shown; functions never run"),
    ("CreateFunction.KMSKeyArn", "kept and shown; nothing is encrypted"),
    ("CreateFunction.Layers", "kept and shown; functions never run"),
    ("CreateFunction.LoggingConfig", "kept and shown; functions never run"),
    ("CreateFunction.MemorySize", "kept and shown; functions never run"),
    ("CreateFunction.SnapStart", "kept and shown; functions never run"),
    ("CreateFunction.Timeout", "kept and shown; functions never run"),
    ("CreateFunction.TracingConfig", "kept and shown; functions never run"),
    ("CreateFunction.VpcConfig", "kept and shown; functions never run"),
    ("ListFunctions.MasterRegion", "there are no functions at the edge"),
    ("PutFunctionConcurrency.ReservedConcurrentExecutions", "kept and shown; functions never run"),
    ("UpdateFunctionCode.DryRun", "heeded: nothing changes"),
];

/// The table of Lambda.
#[derive(Clone, Debug, Default)]
pub struct Lambda {
    functions: Table<Function>,
}

impl Lambda {
    pub fn functions(&self) -> &Table<Function> {
        &self.functions
    }
}

tables!(Lambda { functions });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: lambda::Request,
) -> Result<lambda::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, lambda {
        AddPermission => permission::add,
        CreateFunction => function::create,
        DeleteFunction => function::delete,
        DeleteFunctionConcurrency => concurrency::delete,
        GetFunction => function::get,
        GetFunctionCodeSigningConfig => function::code_signing,
        GetFunctionConcurrency => concurrency::get,
        GetFunctionConfiguration => function::configuration,
        GetPolicy => permission::get,
        ListFunctions => function::list,
        ListTags => tag::list,
        ListVersionsByFunction => function::list_versions,
        PutFunctionConcurrency => concurrency::put,
        RemovePermission => permission::remove,
        TagResource => tag::add,
        UntagResource => tag::remove,
        UpdateFunctionCode => function::update_code,
        UpdateFunctionConfiguration => function::update_configuration,
    }))
}

fn arn(cx: &Engine, name: &str) -> String {
    cx.arn("lambda", format_args!("function:{name}"))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::of(&lambda::INVALID_PARAMETER_VALUE_EXCEPTION, message)
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::of(&lambda::RESOURCE_NOT_FOUND_EXCEPTION, message)
}

/// Name and qualifier of a function that is given by name, ARN or the ARN's end (API reference, FunctionName).
fn name_of<'a>(cx: &Engine, text: &'a str) -> Result<(&'a str, Option<&'a str>), Refusal> {
    let whole = match Arn::parse(text) {
        Some(arn) if arn.service == "lambda" && arn.region == cx.config.region.name => {
            arn.resource.strip_prefix("function:").unwrap_or(arn.resource)
        }
        Some(_) => {
            return Err(not_found(format!(
                "Functions from another region or service are not reachable: {text}"
            )));
        }
        None => text.rsplit_once("function:").map_or(text, |(_, rest)| rest),
    };
    Ok(match whole.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (whole, None),
    })
}

fn find<'a>(cx: &'a Engine, text: &str) -> Result<&'a Function, Refusal> {
    let (name, _) = name_of(cx, text)?;
    let row = cx.lambda.functions.get(&name.to_owned());
    row.ok_or_else(|| not_found(format!("Function not found: {}", arn(cx, name))))
}

fn edit<'a>(cx: &'a mut Engine, text: &str) -> Result<Edit<'a, Function>, Refusal> {
    let name = find(cx, text)?.name.clone();
    let missing = not_found(format!("Function not found: {}", arn(cx, &name)));
    cx.lambda.functions.edit(&name).ok_or(missing)
}

/// A page of up to `max` items, 50 where the request does not say.
fn listed<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    marker: Option<&str>,
    max: Option<i32>,
) -> Result<Page<T>, Refusal> {
    let size = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(50).min(50);
    page(items, key, marker, size).map_err(|()| invalid("The marker is not one that a list gave."))
}
