//! Parameters: how templates declare them, and the values that come for them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value as Json;

use crate::decimal::Decimal;
use crate::node::{Entry, Node};
use crate::{TemplateError, World};

/// An entry of `Parameters`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// `String`, `Number`, `List<Number>`, `AWS::SSM::Parameter::Value<String>` and so on.
    pub parameter_type: String,
    /// The value when none is given.
    pub default: Option<String>,
    /// Whether descriptions show `****`.
    pub no_echo: bool,
    /// What it may be; empty: anything.
    pub allowed_values: Vec<String>,
    /// What it must match as a whole.
    pub allowed_pattern: Option<String>,
    /// Of a number.
    pub min_value: Option<String>,
    /// Of a number.
    pub max_value: Option<String>,
    /// Characters.
    pub min_length: Option<usize>,
    /// Characters.
    pub max_length: Option<usize>,
    /// Said when a constraint fails.
    pub constraint_description: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where it stands in the template, 1-based.
    pub line: usize,
}

/// A parameter value as CreateStack and UpdateStack take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// `ParameterValue`.
    Value(String),
    /// `UsePreviousValue`, with what the stack has now ([`Argument::value`], so that SSM parameters are read again).
    Previous(String),
}

/// The values of all parameters, from [`crate::Template::bind`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// By parameter name.
    pub values: BTreeMap<String, Argument>,
}

/// The value of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// As given or defaulted; the name of the parameter in the store for SSM types.
    pub value: String,
    /// What the store holds, for SSM types only (`ResolvedValue`).
    pub resolved: Option<String>,
    /// What `Ref` gives: a text, or a list of texts for list types.
    pub reference: Json,
    /// Whether descriptions show `****`.
    pub no_echo: bool,
}

/// What CloudFormation accepts as `Type`, the lists and the Parameter Store's aside.
const TYPES: [&str; 13] = [
    "AWS::EC2::AvailabilityZone::Name",
    "AWS::EC2::Image::Id",
    "AWS::EC2::Instance::Id",
    "AWS::EC2::KeyPair::KeyName",
    "AWS::EC2::SecurityGroup::GroupName",
    "AWS::EC2::SecurityGroup::Id",
    "AWS::EC2::Subnet::Id",
    "AWS::EC2::Volume::Id",
    "AWS::EC2::VPC::Id",
    "AWS::Route53::HostedZone::Id",
    "AWS::SSM::Parameter::Name",
    "Number",
    "String",
];

/// Longest value, bytes (CloudFormation quotas).
const LONGEST_VALUE: usize = 4096;

/// What the type of a parameter means.
struct Kind<'a> {
    /// The type of the value, or of each of them.
    base: &'a str,
    list: bool,
    /// Whether the value is the name of a parameter in the store.
    stored: bool,
}

impl<'a> Kind<'a> {
    fn of(parameter_type: &'a str) -> Option<Self> {
        let (inner, stored) = match parameter_type.strip_prefix("AWS::SSM::Parameter::Value<") {
            Some(inner) => (inner.strip_suffix('>')?, true),
            None => (parameter_type, false),
        };
        let (base, list) = match inner.strip_prefix("List<") {
            Some(base) => (base.strip_suffix('>')?, true),
            None if inner == "CommaDelimitedList" => ("String", true),
            None => (inner, false),
        };
        (TYPES.contains(&base) && !(stored && base == "Number")).then_some(Self { base, list, stored })
    }
}

impl Parameter {
    /// Whether `Ref` of it gives a list.
    pub fn is_list(&self) -> bool {
        Kind::of(&self.parameter_type).is_some_and(|kind| kind.list)
    }

    /// Whether its value is the name of a parameter in the Parameter Store, so that the value behind it may change without
    /// the stack.
    pub fn is_stored(&self) -> bool {
        Kind::of(&self.parameter_type).is_some_and(|kind| kind.stored)
    }
}

fn error(line: usize, message: impl std::fmt::Display) -> TemplateError {
    TemplateError::new(format!("Template format error: {message}")).on_line(line)
}

/// Reads a declaration.
pub(crate) fn read(entry: &Entry) -> Result<Parameter, TemplateError> {
    let members =
        entry.node.as_map().ok_or_else(|| error(entry.line, "Any Parameters member must be an object."))?;
    let mut parameter = Parameter { name: entry.key.clone(), line: entry.line, ..Parameter::default() };
    for member in members {
        let key = member.key.as_str();
        let node = &member.node;
        let text = || {
            node.scalar()
                .ok_or_else(|| error(node.line, format_args!("Every {key} member must be a string.")))
        };
        let number = || {
            let text = text()?;
            Decimal::parse(&text).map(|_| text.clone()).ok_or_else(|| {
                error(node.line, format_args!("Every {key} member must be a number, not '{text}'."))
            })
        };
        let length = || {
            text()?
                .parse::<usize>()
                .map_err(|_| error(node.line, format_args!("Every {key} member must be a number.")))
        };
        match key {
            "Type" => parameter.parameter_type = text()?,
            "Default" => parameter.default = Some(text()?),
            "Description" => parameter.description = Some(text()?),
            "ConstraintDescription" => parameter.constraint_description = Some(text()?),
            "AllowedPattern" => parameter.allowed_pattern = Some(text()?),
            "NoEcho" => parameter.no_echo = text()?.eq_ignore_ascii_case("true"),
            "MinValue" => parameter.min_value = Some(number()?),
            "MaxValue" => parameter.max_value = Some(number()?),
            "MinLength" => parameter.min_length = Some(length()?),
            "MaxLength" => parameter.max_length = Some(length()?),
            "AllowedValues" => {
                let values = node.as_list().map(|items| items.iter().map(Node::scalar).collect());
                parameter.allowed_values = values.flatten().ok_or_else(|| {
                    error(node.line, "Every AllowedValues member must be a list of strings.")
                })?;
            }
            other => {
                return Err(TemplateError::new(format!("Invalid template parameter property '{other}'"))
                    .on_line(member.line));
            }
        }
    }
    if parameter.parameter_type.is_empty() {
        return Err(error(entry.line, "Every Parameters object must contain a Type member."));
    }
    let Some(kind) = Kind::of(&parameter.parameter_type) else {
        return Err(error(
            entry.line,
            format_args!("Unrecognized parameter type: {}", parameter.parameter_type),
        ));
    };
    for (key, present, wanted) in [
        ("MinValue", parameter.min_value.is_some(), "Number"),
        ("MaxValue", parameter.max_value.is_some(), "Number"),
        ("MinLength", parameter.min_length.is_some(), "String"),
        ("MaxLength", parameter.max_length.is_some(), "String"),
    ] {
        if present && (kind.base == "Number") != (wanted == "Number") {
            return Err(TemplateError::new(format!(
                "Template error: Parameter '{}' {key} must be on a parameter of type {wanted}",
                parameter.name
            ))
            .on_line(entry.line));
        }
    }
    if let Some(default) = &parameter.default {
        if default.len() > LONGEST_VALUE {
            return Err(error(
                entry.line,
                format_args!(
                    "Parameter '{}' default value '[****]' length is greater than {LONGEST_VALUE}.",
                    parameter.name
                ),
            ));
        }
        check(&parameter, &kind, default).map_err(|error| error.on_line(entry.line))?;
    }
    Ok(parameter)
}

/// The members of a list value.
fn members(value: &str) -> impl Iterator<Item = &str> {
    let parts = if value.is_empty() { None } else { Some(value.split(',')) };
    parts.into_iter().flatten().map(str::trim)
}

/// Holds a value to the constraints of its declaration.
fn check(parameter: &Parameter, kind: &Kind<'_>, value: &str) -> Result<(), TemplateError> {
    // Constraints on parameters of the store are about their names, not about what they hold.
    let values = if kind.list && !kind.stored { members(value).collect() } else { vec![value] };
    values.into_iter().try_for_each(|value| check_one(parameter, kind, value))
}

fn check_one(parameter: &Parameter, kind: &Kind<'_>, value: &str) -> Result<(), TemplateError> {
    let name = &parameter.name;
    let fails = |message: std::fmt::Arguments<'_>| {
        TemplateError::whole(match &parameter.constraint_description {
            Some(description) => format!("Parameter {name} failed to satisfy constraint: {description}"),
            None => format!("Parameter '{name}' {message}"),
        })
    };
    if !parameter.allowed_values.is_empty() && !parameter.allowed_values.iter().any(|it| it == value) {
        return Err(fails(format_args!("must be one of AllowedValues")));
    }
    if kind.base == "Number" && !kind.stored {
        let Some(number) = Decimal::parse(value) else {
            return Err(fails(format_args!("must be a number.")));
        };
        let beyond = |bound: &Option<String>, order: Ordering| {
            let bound = bound.as_deref()?;
            (number.compare(&Decimal::parse(bound)?) == order).then(|| bound.to_owned())
        };
        if let Some(least) = beyond(&parameter.min_value, Ordering::Less) {
            return Err(fails(format_args!("must be a number not less than {least}")));
        }
        if let Some(most) = beyond(&parameter.max_value, Ordering::Greater) {
            return Err(fails(format_args!("must be a number not greater than {most}")));
        }
    }
    let length = value.chars().count();
    if let Some(least) = parameter.min_length.filter(|least| length < *least) {
        return Err(fails(format_args!("must contain at least {least} characters")));
    }
    if let Some(most) = parameter.max_length.filter(|most| length > *most) {
        return Err(fails(format_args!("must contain at most {most} characters")));
    }
    if let Some(pattern) = &parameter.allowed_pattern {
        let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
            TemplateError::whole(format!(
                "Parameter '{name}' AllowedPattern {pattern} is no regular expression that is understood here (without \
                 look-around, backreferences and Unicode classes)"
            ))
        })?;
        if !regex.is_match(value) {
            return Err(fails(format_args!("must match pattern {pattern}")));
        }
    }
    Ok(())
}

/// Takes values, defaults and what the Parameter Store holds.
pub(crate) fn bind(
    parameters: &[Parameter],
    given: &BTreeMap<String, Given>,
    world: &dyn World,
) -> Result<Arguments, TemplateError> {
    let names = |names: Vec<&str>| names.join(", ");
    let unknown =
        given.keys().map(String::as_str).filter(|name| !parameters.iter().any(|it| it.name == *name));
    let unknown = unknown.collect::<Vec<_>>();
    if !unknown.is_empty() {
        return Err(TemplateError::whole(format!(
            "Parameters: [{}] do not exist in the template",
            names(unknown)
        )));
    }
    let value_of = |parameter: &Parameter| match given.get(&parameter.name) {
        Some(Given::Value(value) | Given::Previous(value)) => Some(value.clone()),
        None => parameter.default.clone(),
    };
    let missing = parameters.iter().filter(|it| value_of(it).is_none()).map(|it| it.name.as_str());
    let missing = missing.collect::<Vec<_>>();
    if !missing.is_empty() {
        return Err(TemplateError::whole(format!("Parameters: [{}] must have values", names(missing))));
    }
    let mut arguments = Arguments::default();
    let mut absent = Vec::new();
    for parameter in parameters {
        let Some(kind) = Kind::of(&parameter.parameter_type) else { continue };
        let value = value_of(parameter).unwrap_or_default();
        if value.len() > LONGEST_VALUE {
            return Err(TemplateError::whole(format!(
                "Parameter '{}' length is greater than {LONGEST_VALUE}.",
                parameter.name
            )));
        }
        check(parameter, &kind, &value)?;
        let resolved = if kind.stored {
            let (name, version) = match value.rsplit_once(':') {
                Some((name, version)) if version.bytes().all(|it| it.is_ascii_digit()) => {
                    (name, Some(version))
                }
                _ => (value.as_str(), None),
            };
            match world.ssm(name, version) {
                Some(resolved) => Some(resolved),
                None => {
                    absent.push(value.clone());
                    continue;
                }
            }
        } else {
            None
        };
        let text = resolved.as_deref().unwrap_or(&value);
        let values = if kind.list { members(text).collect::<Vec<_>>() } else { vec![text] };
        if kind.base.contains("::") {
            for value in &values {
                if !world.exists(kind.base, value) {
                    return Err(TemplateError::whole(format!(
                        "Parameter validation failed: parameter value {value} for parameter name {} does not exist",
                        parameter.name
                    )));
                }
            }
        }
        let reference = if kind.list { Json::from(values) } else { Json::from(text) };
        let argument = Argument { value, resolved, reference, no_echo: parameter.no_echo };
        arguments.values.insert(parameter.name.clone(), argument);
    }
    if !absent.is_empty() {
        return Err(TemplateError::whole(format!(
            "Unable to fetch parameters [{}] from parameter store for this account.",
            absent.join(",")
        )));
    }
    Ok(arguments)
}
