//! What stacks export, and which import it.

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    Export, ListExportsRequest, ListExportsResponse, ListImportsRequest, ListImportsResponse,
};

use super::definition::invalid;
use super::describe::bad_token;
use super::rows::StackIndex;
use super::world;
use crate::kernel::page;
use crate::{Caller, Engine};

/// Exports or stacks in one answer (API reference).
const PAGE: usize = 100;

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: ListExportsRequest,
) -> Result<ListExportsResponse, Refusal> {
    let mut exports: Vec<(&str, &str, &str)> = Vec::new();
    for stack in cx.cloudformation.stacks.iter().filter(|stack| stack.is_live()) {
        let named = stack.outputs.iter().filter_map(|output| Some((output.export.as_deref()?, output)));
        exports.extend(named.map(|(name, output)| (name, output.value.as_str(), stack.id.as_ref())));
    }
    exports.sort_unstable();
    let page = page(exports, |(name, ..)| (*name).to_owned(), request.next_token.as_deref(), PAGE)
        .map_err(bad_token)?;
    let shape = |(name, value, stack): (&str, &str, &str)| Export {
        exporting_stack_id: Some(stack.to_owned()),
        name: Some(name.to_owned()),
        value: Some(value.to_owned()),
    };
    Ok(ListExportsResponse {
        exports: Some(page.items.into_iter().map(shape).collect()),
        next_token: page.next,
    })
}

pub(super) fn list_imports(
    cx: &mut Engine,
    _caller: &Caller,
    request: ListImportsRequest,
) -> Result<ListImportsResponse, Refusal> {
    let name = request.export_name;
    if world::export(cx, &name).is_none() {
        return Err(invalid(format!("Export '{name}' does not exist.")));
    }
    let mut users: Vec<String> = cx
        .cloudformation
        .stacks
        .by(&StackIndex::Import(name.clone()))
        .map(|stack| stack.name.clone())
        .collect();
    if users.is_empty() {
        return Err(invalid(format!("Export '{name}' is not imported by any stack.")));
    }
    users.sort_unstable();
    let page = page(users, String::clone, request.next_token.as_deref(), PAGE).map_err(bad_token)?;
    Ok(ListImportsResponse { imports: Some(page.items), next_token: page.next })
}
