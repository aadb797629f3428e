//! From a request to a definition that can be deployed: template, arguments, conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{Capability, Parameter, Tag};
use capstan_template::{Arguments, Given, Scope, Template, TemplateError};

use super::rows::{Definition, Stack, StackId};
use super::world::StackWorld;
use super::{capability, source, types};
use crate::Engine;

/// What CreateStack, UpdateStack and CreateChangeSet say about a definition.
pub(super) struct Wanted {
    pub(super) template_body: Option<String>,
    pub(super) template_url: Option<String>,
    pub(super) use_previous_template: bool,
    pub(super) parameters: Option<Vec<Parameter>>,
    /// `None`: as they are.
    pub(super) tags: Option<Vec<Tag>>,
    pub(super) capabilities: Vec<Capability>,
    pub(super) notification_arns: Vec<String>,
}

/// A definition that has passed CloudFormation's validation.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) definition: Definition,
    pub(super) template: Arc<Template>,
    pub(super) conditions: BTreeMap<String, bool>,
}

/// The definition that a caller wants for the stack of that ARN and name. `current` is the stack as it is.
pub(super) fn prepare(
    cx: &Engine,
    id: &StackId,
    name: &str,
    current: Option<&Stack>,
    wanted: Wanted,
) -> Result<Prepared, Refusal> {
    let current = current.and_then(|stack| stack.definition.as_ref());
    let previous = match (wanted.use_previous_template, current) {
        (true, Some(current)) => Some(Arc::clone(&current.text)),
        (true, None) => return Err(invalid("There is no previous template: the stack was never created.")),
        (false, _) => None,
    };
    let text = source::text(cx, wanted.template_body, wanted.template_url.as_deref(), previous)?;
    let template = parse(&text)?;
    refuse_unknown_types(cx, &template)?;
    capability::check(&template, &wanted.capabilities)?;
    let given = given(wanted.parameters.unwrap_or_default(), current.map(|current| &current.arguments))?;
    let tags = match (wanted.tags, current) {
        (Some(tags), _) => tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        (None, Some(current)) => current.tags.clone(),
        (None, None) => BTreeMap::new(),
    };
    let world = StackWorld::new(cx, id, name, &wanted.notification_arns);
    let arguments = template.bind(&given, &world).map_err(refusal)?;
    let conditions = template.conditions(&arguments, &world).map_err(refusal)?;
    template.dependencies(&conditions).map_err(refusal)?;
    let description = template.description.clone();
    let definition = Definition { text, description, arguments, tags };
    Ok(Prepared { definition, template: Arc::new(template), conditions })
}

/// Refuses a template with types that Capstan does not have.
pub(super) fn refuse_unknown_types(cx: &Engine, template: &Template) -> Result<(), Refusal> {
    if cx.config.lenient_templates {
        return Ok(());
    }
    let (custom, unknown): (Vec<&str>, Vec<&str>) = unknown_types(template)
        .into_iter()
        .partition(|name| name.starts_with("Custom::") || *name == "AWS::CloudFormation::CustomResource");
    let page = format!("{}/_capstan/coverage", cx.config.endpoint);
    if !unknown.is_empty() {
        return Err(invalid(format!(
            "Template format error: Unrecognized resource types: [{}]. Which types there are stands at {page}; a \
             server that runs with --lenient-templates puts placeholders in the others' place.",
            unknown.join(", ")
        )));
    }
    if custom.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "Custom resources are made by code that is not run here, and no behaviour is built in for [{}]. Which custom \
         resources have one stands at {page}.",
        custom.join(", ")
    )))
}

/// A definition that was deployed once, ready to be deployed again.
pub(super) fn again(
    cx: &Engine,
    id: &StackId,
    name: &str,
    arns: &[String],
    definition: Definition,
) -> Result<Prepared, Refusal> {
    let template = parse(&definition.text)?;
    let world = StackWorld::new(cx, id, name, arns);
    let conditions = template.conditions(&definition.arguments, &world).map_err(refusal)?;
    Ok(Prepared { definition, template: Arc::new(template), conditions })
}

impl Prepared {
    /// Everything that the functions of the template look at.
    pub(super) fn scope<'a>(&'a self, world: &'a StackWorld<'a>) -> Scope<'a> {
        Scope {
            template: &self.template,
            arguments: &self.definition.arguments,
            conditions: &self.conditions,
            world,
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Template, Refusal> {
    Template::parse(text).map_err(refusal)
}

/// Resource types of a template that nothing here handles, each once, sorted.
pub(super) fn unknown_types(template: &Template) -> BTreeSet<&str> {
    let types = template.resources.iter().map(|declaration| declaration.resource_type.as_str());
    types.filter(|resource_type| types::handler(resource_type).is_none()).collect()
}

fn given(
    parameters: Vec<Parameter>,
    current: Option<&Arguments>,
) -> Result<BTreeMap<String, Given>, Refusal> {
    let mut given = BTreeMap::new();
    for parameter in parameters {
        let name = parameter.parameter_key.unwrap_or_default();
        let value = match (parameter.parameter_value, parameter.use_previous_value) {
            (Some(_), Some(true)) => {
                return Err(invalid(format!(
                    "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true and non empty \
                     value for a parameter"
                )));
            }
            (Some(value), _) => Given::Value(value),
            (None, Some(true)) => match current.and_then(|current| current.values.get(&name)) {
                Some(argument) => Given::Previous(argument.value.clone()),
                None => {
                    return Err(invalid(format!(
                        "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a \
                         parameter key not in the previous template"
                    )));
                }
            },
            // An empty text arrives as none in the query protocol.
            (None, _) => Given::Value(String::new()),
        };
        given.insert(name, value);
    }
    Ok(given)
}

pub(super) fn refusal(error: TemplateError) -> Refusal {
    invalid(error.to_string())
}

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}
