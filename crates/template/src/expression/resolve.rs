//! Evaluation.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::{Expression, Form, Function, KNOWN_AFTER_APPLY, Part, cidr, dynamic};
use crate::{Lookup, Scope, TemplateError};

fn wrong(message: impl std::fmt::Display) -> TemplateError {
    TemplateError::new(format!("Template error: {message}"))
}

/// A scalar as text.
pub(crate) fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(bool) => Some(bool.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// Whether a value, or a part of it, is known only after a resource exists.
fn is_later(value: &Json) -> bool {
    matches!(value, Json::String(text) if text.contains(KNOWN_AFTER_APPLY))
}

fn later() -> Json {
    Json::from(KNOWN_AFTER_APPLY)
}

impl Expression {
    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<Json>, TemplateError> {
        match &self.form {
            Form::Literal(literal) => Ok(Some(literal.clone())),
            Form::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    values.extend(item.evaluate(scope).map_err(|error| error.within(index.to_string()))?);
                }
                Ok(Some(Json::Array(values)))
            }
            Form::Object(members) => {
                let mut values = Map::with_capacity(members.len());
                for (name, member) in members {
                    if let Some(value) =
                        member.evaluate(scope).map_err(|error| error.within(name.as_str()))?
                    {
                        values.insert(name.clone(), value);
                    }
                }
                Ok(Some(Json::Object(values)))
            }
            Form::Call(function) => function.evaluate(scope).map_err(|error| error.on_line(self.line)),
        }
    }

    /// The value of an argument, which must have one.
    fn value(&self, scope: &Scope<'_>) -> Result<Json, TemplateError> {
        Ok(self.evaluate(scope)?.unwrap_or(Json::Null))
    }

    fn text(&self, scope: &Scope<'_>) -> Result<Option<String>, TemplateError> {
        Ok(text_of(&self.value(scope)?))
    }

    /// The value of a condition.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool, TemplateError> {
        match self.value(scope)? {
            Json::Bool(bool) => Ok(bool),
            Json::String(text) if text == "true" || text == "false" => Ok(text == "true"),
            _ => Err(wrong("a condition must evaluate to true or false").on_line(self.line)),
        }
    }

    /// A list of texts.
    fn texts(&self, scope: &Scope<'_>) -> Result<Option<Vec<String>>, TemplateError> {
        Ok(match self.value(scope)? {
            Json::Array(items) => items.iter().map(text_of).collect(),
            _ => None,
        })
    }
}

fn found(lookup: Lookup, absent: impl FnOnce() -> TemplateError) -> Result<Option<Json>, TemplateError> {
    match lookup {
        Lookup::Known(value) => Ok(Some(value)),
        Lookup::Later => Ok(Some(later())),
        Lookup::Absent => Err(absent()),
    }
}

impl Function {
    fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<Json>, TemplateError> {
        let value = match self {
            Self::NoValue => return Ok(None),
            Self::Pseudo(name) => {
                scope.world.pseudo(name).ok_or_else(|| wrong(format_args!("{name} has no value here")))?
            }
            Self::Parameter(name) => {
                let argument = scope.arguments.values.get(name);
                argument
                    .ok_or_else(|| TemplateError::whole(format!("Parameters: [{name}] must have values")))?
                    .reference
                    .clone()
            }
            Self::Resource(id) => {
                return found(scope.world.physical_id(id), || {
                    TemplateError::new(format!(
                        "Template format error: Unresolved resource dependencies [{id}] in the Resources block of the \
                         template"
                    ))
                });
            }
            Self::GetAtt(id, attribute) => {
                let attribute = attribute
                    .text(scope)?
                    .ok_or_else(|| wrong("the attribute of Fn::GetAtt must be a string"))?;
                return found(scope.world.attribute(id, &attribute), || {
                    if scope.world.physical_id(id).is_absent() {
                        TemplateError::new(format!(
                            "Template format error: Unresolved resource dependencies [{id}] in the Resources block of \
                             the template"
                        ))
                    } else {
                        wrong(format_args!(
                            "resource {id} does not support attribute type {attribute} in Fn::GetAtt"
                        ))
                    }
                });
            }
            Self::Sub(parts, variables) => Json::String(sub(parts, variables, scope)?),
            Self::Join(delimiter, list) => join(delimiter, list, scope)?,
            Self::Select(index, list) => return select(index, list, scope),
            Self::Split(delimiter, text) => split(delimiter, text, scope)?,
            Self::If(condition, then, otherwise) => {
                let (branch, index) =
                    if condition_value(condition, scope)? { (then, "1") } else { (otherwise, "2") };
                return branch.evaluate(scope).map_err(|error| error.within(index).within("Fn::If"));
            }
            Self::Condition(name) => Json::Bool(condition_value(name, scope)?),
            Self::Equals(left, right) => Json::Bool(equal(&left.value(scope)?, &right.value(scope)?)),
            Self::And(all) => Json::Bool(all_hold(all, scope, false)?),
            Self::Or(any) => Json::Bool(!all_hold(any, scope, true)?),
            Self::Not(inner) => Json::Bool(!inner.holds(scope)?),
            Self::FindInMap(map, first, second, default) => {
                return find_in_map(map, first, second, default.as_ref(), scope);
            }
            Self::ImportValue(name) => {
                let name = name.text(scope)?.ok_or_else(|| {
                    wrong("the attribute in Fn::ImportValue must be a string or a function that returns a string")
                })?;
                let value = scope.world.export(&name);
                Json::String(
                    value.ok_or_else(|| TemplateError::new(format!("No export named {name} found.")))?,
                )
            }
            Self::GetAzs(region) => {
                let mut region = region
                    .text(scope)?
                    .ok_or_else(|| wrong("every Fn::GetAZs object must have a String-typed value."))?;
                if region.is_empty() {
                    region = scope.world.pseudo("AWS::Region").as_ref().and_then(text_of).unwrap_or_default();
                }
                Json::from(scope.world.zones(&region))
            }
            Self::Base64(text) => {
                let mut value = text.value(scope)?;
                dynamic::replace(&mut value, scope.world)?;
                let text = text_of(&value)
                    .ok_or_else(|| wrong("every Fn::Base64 object must have a String-typed value."))?;
                if is_later(&value) { later() } else { Json::String(STANDARD.encode(text)) }
            }
            Self::Cidr(block, count, bits) => {
                let block = block.value(scope)?;
                let count = count.value(scope)?;
                let bits = bits.as_ref().map(|bits| bits.value(scope)).transpose()?;
                if is_later(&block) || is_later(&count) || bits.as_ref().is_some_and(is_later) {
                    later()
                } else {
                    // A list of one block (Vpc.Ipv6CidrBlocks is one) is that block.
                    let block = match &block {
                        Json::Array(blocks) => blocks.first().and_then(text_of),
                        block => text_of(block),
                    };
                    let blocks = cidr::split(
                        &block.unwrap_or_default(),
                        &text_of(&count).unwrap_or_default(),
                        bits.as_ref().and_then(text_of).as_deref(),
                    );
                    Json::from(blocks.map_err(wrong)?)
                }
            }
            Self::Length(list) => match list.value(scope)? {
                Json::Array(items) => Json::from(items.len()),
                value if is_later(&value) => later(),
                _ => return Err(wrong("Fn::Length requires a list or a function that returns a list")),
            },
            Self::ToJsonString(value) => Json::String(value.value(scope)?.to_string()),
            Self::Contains(list, value) => {
                let value = value.text(scope)?;
                let list = list.texts(scope)?;
                let (Some(list), Some(value)) = (list, value) else {
                    return Err(wrong("Fn::Contains requires a list of strings and a string"));
                };
                Json::Bool(list.contains(&value))
            }
            Self::EachMemberEquals(list, value) => {
                let (Some(list), Some(value)) = (list.texts(scope)?, value.text(scope)?) else {
                    return Err(wrong("Fn::EachMemberEquals requires a list of strings and a string"));
                };
                Json::Bool(list.iter().all(|member| *member == value))
            }
            Self::EachMemberIn(members, list) => {
                let (Some(members), Some(list)) = (members.texts(scope)?, list.texts(scope)?) else {
                    return Err(wrong("Fn::EachMemberIn requires two lists of strings"));
                };
                Json::Bool(members.iter().all(|member| list.contains(member)))
            }
            Self::RefAll(kind) => {
                let of_kind = scope.template.parameters.iter().filter(|it| it.parameter_type == *kind);
                let values = of_kind.filter_map(|it| scope.arguments.values.get(&it.name));
                Json::Array(values.map(|argument| argument.reference.clone()).collect())
            }
            Self::ValueOf(..) | Self::ValueOfAll(..) => {
                return Err(wrong(
                    "Fn::ValueOf and Fn::ValueOfAll look into resources of other services, which is not supported here",
                ));
            }
        };
        Ok(Some(value))
    }
}

/// Texts compare as texts: the number 1 equals the text "1".
fn equal(left: &Json, right: &Json) -> bool {
    match (text_of(left), text_of(right)) {
        (Some(left), Some(right)) => left == right,
        (None, None) => match (left, right) {
            (Json::Array(left), Json::Array(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
            }
            _ => left == right,
        },
        _ => false,
    }
}

fn condition_value(name: &str, scope: &Scope<'_>) -> Result<bool, TemplateError> {
    scope.conditions.get(name).copied().ok_or_else(|| {
        TemplateError::new(format!(
            "Template format error: Unresolved condition dependency {name} in the Conditions block of the template"
        ))
    })
}

/// Whether each is other than `except`.
fn all_hold(all: &[Expression], scope: &Scope<'_>, except: bool) -> Result<bool, TemplateError> {
    for it in all {
        if it.holds(scope)? == except {
            return Ok(false);
        }
    }
    Ok(true)
}

fn sub(
    parts: &[Part],
    variables: &BTreeMap<String, Expression>,
    scope: &Scope<'_>,
) -> Result<String, TemplateError> {
    let mut text = String::new();
    for part in parts {
        let (name, value) = match part {
            Part::Text(literal) => {
                text.push_str(literal);
                continue;
            }
            Part::Variable(name) => match variables.get(name) {
                Some(variable) => (name.as_str(), variable.evaluate(scope)?),
                None => (name.as_str(), None),
            },
            Part::Reference(reference) => (reference.name(), reference.evaluate(scope)?),
        };
        match value.as_ref().and_then(text_of) {
            Some(value) => text.push_str(&value),
            None => {
                return Err(wrong(format_args!(
                    "variable {name} in Fn::Sub expression does not resolve to a string"
                )));
            }
        }
    }
    Ok(text)
}

impl Expression {
    /// What a reference refers to, for messages.
    fn name(&self) -> &str {
        match &self.form {
            Form::Call(function) => match &**function {
                Function::Pseudo(name)
                | Function::Parameter(name)
                | Function::Resource(name)
                | Function::GetAtt(name, _) => name,
                _ => "AWS::NoValue",
            },
            _ => "",
        }
    }
}

fn join(delimiter: &Expression, list: &Expression, scope: &Scope<'_>) -> Result<Json, TemplateError> {
    let wrong = || {
        wrong(
            "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined \
             or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
        )
    };
    let delimiter = delimiter.text(scope)?.ok_or_else(wrong)?;
    match list.value(scope)? {
        Json::Array(items) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in &items {
                match item {
                    // A list inside the list (a list parameter, an attribute) is joined as its members.
                    Json::Array(inner) => {
                        texts.extend(inner.iter().map(text_of).collect::<Option<Vec<_>>>().ok_or_else(wrong)?)
                    }
                    item => texts.push(text_of(item).ok_or_else(wrong)?),
                }
            }
            Ok(Json::String(texts.join(&delimiter)))
        }
        value if is_later(&value) => Ok(later()),
        _ => Err(wrong()),
    }
}

fn select(index: &Expression, list: &Expression, scope: &Scope<'_>) -> Result<Option<Json>, TemplateError> {
    let index = index.text(scope)?.and_then(|index| index.parse::<usize>().ok()).ok_or_else(|| {
        wrong("Fn::Select requires a list argument with a valid index value as its first element")
    })?;
    match list.value(scope)? {
        Json::Array(mut items) if index < items.len() => Ok(Some(items.swap_remove(index))),
        Json::Array(_) => {
            Err(wrong(format_args!("Fn::Select cannot select nonexistent value at index {index}")))
        }
        value if is_later(&value) => Ok(Some(later())),
        _ => Err(wrong("Fn::Select requires a list argument with two elements: an integer index and a list")),
    }
}

fn split(delimiter: &Expression, text: &Expression, scope: &Scope<'_>) -> Result<Json, TemplateError> {
    let wrong = || {
        wrong(
            "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a \
             function that returns a string to be split.",
        )
    };
    let delimiter = delimiter.text(scope)?.filter(|delimiter| !delimiter.is_empty()).ok_or_else(wrong)?;
    let value = text.value(scope)?;
    if is_later(&value) {
        return Ok(later());
    }
    let text = text_of(&value).ok_or_else(wrong)?;
    Ok(Json::Array(text.split(&delimiter).map(Json::from).collect()))
}

fn find_in_map(
    map: &Expression,
    first: &Expression,
    second: &Expression,
    default: Option<&Expression>,
    scope: &Scope<'_>,
) -> Result<Option<Json>, TemplateError> {
    let key = |expression: &Expression| {
        expression.text(scope)?.ok_or_else(|| {
            wrong(
                "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return \
                 value",
            )
        })
    };
    let (name, first, second) = (key(map)?, key(first)?, key(second)?);
    let mapping = scope.template.mappings.get(&name);
    if let Some(value) = mapping.and_then(|mapping| mapping.get(&first)).and_then(|it| it.get(&second)) {
        return Ok(Some(value.clone()));
    }
    match default {
        Some(default) => default.evaluate(scope),
        None if mapping.is_none() => Err(wrong(format_args!(
            "Mapping named '{name}' is not present in the 'Mappings' section of template."
        ))),
        None => Err(wrong(format_args!("Unable to get mapping for {name}::{first}::{second}"))),
    }
}
