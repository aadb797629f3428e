//! Outputs and exports: resolved when everything stands, held against what other stacks export and import.

use std::collections::BTreeSet;

use capstan_template::{Scope, Template};

use super::definition::Prepared;
use super::operation;
use super::rows::{Output, StackId, StackIndex};
use super::world::{StackWorld, export};
use crate::Engine;

/// Resolves the stack's outputs, and remembers which exports it imports. The error is the reason why the operation fails.
pub(super) fn publish(cx: &mut Engine, id: &StackId) -> Result<(), String> {
    let (outputs, imports) = resolve(cx, id)?;
    for output in &outputs {
        let Some(name) = &output.export else { continue };
        if outputs.iter().filter(|other| other.export.as_ref() == Some(name)).count() > 1 {
            return Err(format!("Template validation error: Duplicate Export names: {name}"));
        }
        if let Some((owner, _)) = export(cx, name)
            && owner != id
        {
            let owner = name_of(cx, owner);
            return Err(format!("Export with name {name} is already exported by stack {owner}. "));
        }
    }
    let Some(stack) = cx.cloudformation.stacks.get(id) else { return Ok(()) };
    for before in &stack.outputs {
        let Some(name) = &before.export else { continue };
        let after = outputs.iter().find(|output| output.export.as_ref() == Some(name));
        let verb = match after {
            None => "deleted",
            Some(after) if after.value != before.value => "updated",
            Some(_) => continue,
        };
        in_use(cx, name, verb)?;
    }
    if let Some(mut stack) = cx.cloudformation.stacks.edit(id) {
        stack.outputs = outputs;
        stack.imports = imports;
    }
    Ok(())
}

/// Refuses to take away or change an export that other stacks import.
pub(super) fn in_use(cx: &Engine, name: &str, verb: &str) -> Result<(), String> {
    let users: Vec<&str> = cx
        .cloudformation
        .stacks
        .by(&StackIndex::Import(name.to_owned()))
        .map(|stack| stack.name.as_str())
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(format!("Export {name} cannot be {verb} as it is in use by {}. ", users.join(" and ")))
}

fn resolve(cx: &Engine, id: &StackId) -> Result<(Vec<Output>, BTreeSet<String>), String> {
    let stack = cx.cloudformation.stacks.get(id).ok_or("the stack has gone")?;
    let operation = operation::of(cx, id).ok_or("the operation has gone")?;
    let definition = stack.definition.as_ref().ok_or("the stack has no definition")?;
    let world = StackWorld::new(cx, id, &stack.name, &stack.settings.notification_arns);
    let scope = Scope {
        template: &operation.template,
        arguments: &definition.arguments,
        conditions: &operation.conditions,
        world: &world,
    };
    let outputs = values(&operation.template, &scope)?;
    // The properties' imports count as well as the outputs'.
    for declaration in &operation.template.resources {
        if operation.dependencies.contains_key(&declaration.logical_id) {
            declaration.properties.resolve(&scope).map_err(|error| error.to_string())?;
        }
    }
    Ok((outputs, world.into_imports()))
}

/// The outputs as they would be; `None` when they cannot be resolved yet.
pub(super) fn preview(prepared: &Prepared, scope: &Scope<'_>) -> Option<Vec<Output>> {
    values(&prepared.template, scope).ok()
}

fn values(template: &Template, scope: &Scope<'_>) -> Result<Vec<Output>, String> {
    let mut outputs = Vec::new();
    for declared in &template.outputs {
        let holds = |condition: &String| scope.conditions.get(condition).copied().unwrap_or_default();
        if !declared.condition.as_ref().is_none_or(holds) {
            continue;
        }
        outputs.push(Output {
            key: declared.name.clone(),
            value: declared.value_in(scope).map_err(|error| error.to_string())?,
            description: declared.description.clone(),
            export: declared.export_in(scope).map_err(|error| error.to_string())?,
        });
    }
    Ok(outputs)
}

fn name_of(cx: &Engine, id: &StackId) -> String {
    cx.cloudformation.stacks.get(id).map(|stack| stack.name.clone()).unwrap_or_default()
}
