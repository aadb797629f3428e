//! From nodes to expressions: which function, and whether its arguments have the form that CloudFormation wants.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{Expression, Form, Function, Part};
use crate::TemplateError;
use crate::node::{Entry, Node, Value};

/// Names that references in a template can mean.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) parameters: BTreeSet<String>,
    pub(crate) resources: BTreeSet<String>,
    pub(crate) conditions: BTreeSet<String>,
    pub(crate) mappings: BTreeSet<String>,
    /// Whether `AWS::LanguageExtensions` is in `Transform`.
    pub(crate) extensions: bool,
}

/// The section that an expression stands in; it decides which functions may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Conditions,
    Rules,
    Resources,
    Outputs,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Conditions => "Conditions",
            Self::Rules => "Rules",
            Self::Resources => "Resources",
            Self::Outputs => "Outputs",
        }
    }
}

const PSEUDO: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

pub(crate) struct Compiler<'a> {
    pub(crate) names: &'a Names,
    pub(crate) place: Place,
    /// References to nothing, with their lines.
    pub(crate) unresolved: Vec<(String, usize)>,
    /// Conditions that are not there, with their lines.
    pub(crate) unresolved_conditions: Vec<(String, usize)>,
}

fn error(line: usize, message: impl Into<String>) -> TemplateError {
    TemplateError::new(message).on_line(line)
}

/// Macros are refused by name.
fn no_transform(argument: &Node, line: usize) -> TemplateError {
    let name = argument.get("Name").and_then(Node::as_text).unwrap_or("Fn::Transform");
    error(line, format!("No transform named {name} found."))
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(names: &'a Names, place: Place) -> Self {
        Self { names, place, unresolved: Vec::new(), unresolved_conditions: Vec::new() }
    }

    pub(crate) fn expression(&mut self, node: &Node) -> Result<Expression, TemplateError> {
        let form = match &node.value {
            Value::List(items) => Form::List(self.items(items)?),
            Value::Map(entries) => match entries.as_slice() {
                [entry] if self.is_function(entry) => {
                    let function = self
                        .function(&entry.key, &entry.node, entry.line)
                        .map_err(|error| error.on_line(entry.line).within(entry.key.as_str()))?;
                    Form::Call(Box::new(function))
                }
                _ => Form::Object(self.members(entries)?),
            },
            _ => Form::Literal(node.json()),
        };
        Ok(Expression::new(node.line, form))
    }

    fn items(&mut self, items: &[Node]) -> Result<Vec<Expression>, TemplateError> {
        let compile = |(index, item): (usize, &Node)| {
            self.expression(item).map_err(|error| error.within(index.to_string()))
        };
        items.iter().enumerate().map(compile).collect()
    }

    fn members(&mut self, entries: &[Entry]) -> Result<Vec<(String, Expression)>, TemplateError> {
        let compile = |entry: &Entry| {
            if entry.key == "Fn::Transform" {
                return Err(no_transform(&entry.node, entry.line));
            }
            if entry.key.starts_with("Fn::") {
                return Err(error(
                    entry.line,
                    format!(
                        "Template format error: {} must be the only key of its object",
                        entry.key.split("::").take(2).collect::<Vec<_>>().join("::")
                    ),
                ));
            }
            let expression =
                self.expression(&entry.node).map_err(|error| error.within(entry.key.as_str()))?;
            Ok((entry.key.clone(), expression))
        };
        entries.iter().map(compile).collect()
    }

    /// `Condition` is a function among conditions only; elsewhere it is a key like any other (of IAM policies).
    fn is_function(&self, entry: &Entry) -> bool {
        entry.key == "Ref"
            || entry.key.starts_with("Fn::")
            || entry.key == "Condition" && matches!(self.place, Place::Conditions | Place::Rules)
    }

    fn function(&mut self, name: &str, argument: &Node, line: usize) -> Result<Function, TemplateError> {
        let wrong = |message: &str| error(line, format!("Template error: {message}"));
        let conditional = matches!(self.place, Place::Conditions | Place::Rules);
        match name {
            "Ref" => {
                let target = argument
                    .as_text()
                    .ok_or_else(|| wrong("every Ref object must have a single String value."))?;
                Ok(self.reference(target, line))
            }
            "Fn::GetAtt" => self.get_att(argument, line),
            "Fn::Sub" => self.sub(argument, line),
            "Fn::Join" => {
                let message = "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of \
                               strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) \
                               to be joined.";
                let [delimiter, list] = self.fixed(argument).ok_or_else(|| wrong(message))??;
                if matches!(list.form, Form::Literal(_) | Form::Object(_)) {
                    return Err(wrong(message));
                }
                Ok(Function::Join(delimiter, list))
            }
            "Fn::Select" => {
                let [index, list] = self.fixed(argument).ok_or_else(|| {
                    wrong(
                        "Fn::Select requires a list argument with two elements: an integer index and a list",
                    )
                })??;
                Ok(Function::Select(index, list))
            }
            "Fn::Split" => {
                let [delimiter, text] = self.fixed(argument).ok_or_else(|| {
                    wrong("every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to \
                         be split or a function that returns a string to be split.")
                })??;
                Ok(Function::Split(delimiter, text))
            }
            "Fn::If" => {
                let items = argument.as_list().unwrap_or_default();
                let Some(condition) = items.first().and_then(Node::as_text) else {
                    return Err(wrong(
                        "Fn::If requires a list argument with the first element being a condition",
                    ));
                };
                let [_, then, otherwise] = items else {
                    return Err(wrong("Fn::If requires a list argument with three elements"));
                };
                self.condition(condition, line);
                Ok(Function::If(
                    condition.to_owned(),
                    self.expression(then).map_err(|error| error.within("1"))?,
                    self.expression(otherwise).map_err(|error| error.within("2"))?,
                ))
            }
            "Condition" => {
                let name = argument
                    .as_text()
                    .ok_or_else(|| wrong("every Condition object must have a single String value."))?;
                self.condition(name, line);
                Ok(Function::Condition(name.to_owned()))
            }
            "Fn::Equals" if conditional => {
                let [left, right] = self
                    .fixed(argument)
                    .ok_or_else(|| wrong("Fn::Equals requires a list argument with two elements"))??;
                Ok(Function::Equals(left, right))
            }
            "Fn::And" | "Fn::Or" if conditional => {
                let message = format!(
                    "Template error: every {name} object requires a list of at least 2 and at most 10 boolean \
                     parameters."
                );
                let items = argument.as_list().unwrap_or_default();
                if !(2..=10).contains(&items.len()) {
                    return Err(error(line, message));
                }
                let items = self.items(items)?;
                if !items.iter().all(is_boolean) {
                    return Err(error(line, message));
                }
                Ok(if name == "Fn::And" { Function::And(items) } else { Function::Or(items) })
            }
            "Fn::Not" if conditional => {
                let [inner] = self
                    .fixed(argument)
                    .ok_or_else(|| wrong("Fn::Not requires a list argument with one element"))??;
                if !is_boolean(&inner) {
                    return Err(wrong("Fn::Not requires a list argument with one function token"));
                }
                Ok(Function::Not(inner))
            }
            "Fn::FindInMap" => self.find_in_map(argument, line),
            "Fn::ImportValue" => {
                let name = self.expression(argument)?;
                if matches!(name.form, Form::List(_) | Form::Object(_)) {
                    return Err(wrong(
                        "the attribute in Fn::ImportValue must be a string or a function that returns a string",
                    ));
                }
                if name.is_of_resources() {
                    return Err(wrong(
                        "the attribute in Fn::ImportValue must not depend on any resources, imported values, or Fn::GetAZs",
                    ));
                }
                Ok(Function::ImportValue(name))
            }
            "Fn::GetAZs" => {
                let region = self.expression(argument)?;
                if matches!(region.form, Form::List(_) | Form::Object(_)) {
                    return Err(wrong("every Fn::GetAZs object must have a String-typed value."));
                }
                Ok(Function::GetAzs(region))
            }
            "Fn::Base64" => {
                let text = self.expression(argument)?;
                if matches!(text.form, Form::List(_) | Form::Object(_)) {
                    return Err(wrong("every Fn::Base64 object must have a String-typed value."));
                }
                Ok(Function::Base64(text))
            }
            "Fn::Cidr" => {
                let items = argument.as_list().unwrap_or_default();
                if !(2..=3).contains(&items.len()) {
                    return Err(wrong(
                        "every Fn::Cidr object requires two or three parameters: the address block, the count and the \
                         number of bits of each part.",
                    ));
                }
                let mut items = self.items(items)?.into_iter();
                let (Some(block), Some(count)) = (items.next(), items.next()) else {
                    return Err(wrong("every Fn::Cidr object requires two or three parameters"));
                };
                Ok(Function::Cidr(block, count, items.next()))
            }
            "Fn::Length" | "Fn::ToJsonString" if self.names.extensions => {
                let value = self.expression(argument)?;
                match (name, &value.form) {
                    ("Fn::Length", Form::Literal(_) | Form::Object(_)) => {
                        Err(wrong("Fn::Length requires a list or a function that returns a list"))
                    }
                    ("Fn::ToJsonString", Form::Literal(_)) => {
                        Err(wrong("Fn::ToJsonString requires an object or an array"))
                    }
                    ("Fn::Length", _) => Ok(Function::Length(value)),
                    _ => Ok(Function::ToJsonString(value)),
                }
            }
            "Fn::Length" | "Fn::ToJsonString" => Err(wrong(&format!(
                "{name} needs the transform AWS::LanguageExtensions; add `Transform: AWS::LanguageExtensions`"
            ))),
            "Fn::Contains" | "Fn::EachMemberEquals" | "Fn::EachMemberIn" if self.place == Place::Rules => {
                let [left, right] = self
                    .fixed(argument)
                    .ok_or_else(|| wrong(&format!("{name} requires a list argument with two elements")))??;
                Ok(match name {
                    "Fn::Contains" => Function::Contains(left, right),
                    "Fn::EachMemberEquals" => Function::EachMemberEquals(left, right),
                    _ => Function::EachMemberIn(left, right),
                })
            }
            "Fn::RefAll" if self.place == Place::Rules => {
                let kind = argument.as_text().ok_or_else(|| wrong("Fn::RefAll requires a parameter type"))?;
                Ok(Function::RefAll(kind.to_owned()))
            }
            "Fn::ValueOf" | "Fn::ValueOfAll" if self.place == Place::Rules => {
                let texts = argument.as_list().unwrap_or_default().iter().map(Node::as_text);
                match texts.collect::<Option<Vec<_>>>().as_deref() {
                    Some([kind, attribute]) if name == "Fn::ValueOfAll" => {
                        Ok(Function::ValueOfAll((*kind).to_owned(), (*attribute).to_owned()))
                    }
                    Some([parameter, attribute]) => {
                        if !self.names.parameters.contains(*parameter) {
                            self.unresolved.push(((*parameter).to_owned(), line));
                        }
                        Ok(Function::ValueOf((*parameter).to_owned(), (*attribute).to_owned()))
                    }
                    _ => Err(wrong(&format!("{name} requires a list argument with two texts"))),
                }
            }
            "Fn::Transform" => Err(no_transform(argument, line)),
            "Fn::Equals"
            | "Fn::And"
            | "Fn::Or"
            | "Fn::Not"
            | "Fn::Contains"
            | "Fn::EachMemberEquals"
            | "Fn::EachMemberIn"
            | "Fn::RefAll"
            | "Fn::ValueOf"
            | "Fn::ValueOfAll" => Err(wrong(&format!(
                "{name} cannot be used in the {} block of the template",
                self.place.name()
            ))),
            _ if name.starts_with("Fn::ForEach") => Err(wrong(
                "Fn::ForEach is supported at the top of Resources, Outputs, Conditions and Properties, with the transform \
                 AWS::LanguageExtensions",
            )),
            _ => Err(wrong(&format!(
                "Encountered unsupported function: {name} Supported functions are: [Fn::Base64, Fn::GetAtt, Fn::GetAZs, \
                 Fn::ImportValue, Fn::Join, Fn::Split, Fn::FindInMap, Fn::Select, Ref, Fn::Equals, Fn::If, Fn::Not, \
                 Condition, Fn::And, Fn::Or, Fn::Contains, Fn::EachMemberEquals, Fn::EachMemberIn, Fn::ValueOf, \
                 Fn::ValueOfAll, Fn::RefAll, Fn::Sub, Fn::Cidr]"
            ))),
        }
    }

    /// A list of exactly `N` arguments; `None` if it is not.
    fn fixed<const N: usize>(&mut self, node: &Node) -> Option<Result<[Expression; N], TemplateError>> {
        let items = node.as_list().filter(|items| items.len() == N)?;
        Some(self.items(items).map(|items| items.try_into().unwrap_or_else(|_| unreachable!("N items"))))
    }

    pub(crate) fn condition(&mut self, name: &str, line: usize) {
        if !self.names.conditions.contains(name) {
            self.unresolved_conditions.push((name.to_owned(), line));
        }
    }

    fn reference(&mut self, target: &str, line: usize) -> Function {
        if target == "AWS::NoValue" {
            Function::NoValue
        } else if PSEUDO.contains(&target) {
            Function::Pseudo(target.to_owned())
        } else if self.names.parameters.contains(target) {
            Function::Parameter(target.to_owned())
        } else {
            let resources_exist = matches!(self.place, Place::Resources | Place::Outputs);
            if !(resources_exist && self.names.resources.contains(target)) {
                self.unresolved.push((target.to_owned(), line));
            }
            Function::Resource(target.to_owned())
        }
    }

    fn attribute(&mut self, id: &str, attribute: Expression, line: usize) -> Result<Function, TemplateError> {
        if matches!(self.place, Place::Conditions | Place::Rules) {
            self.unresolved.push((id.to_owned(), line));
        } else if !self.names.resources.contains(id) {
            return Err(error(
                line,
                format!("Template error: instance of Fn::GetAtt references undefined resource {id}"),
            ));
        }
        Ok(Function::GetAtt(id.to_owned(), attribute))
    }

    fn get_att(&mut self, argument: &Node, line: usize) -> Result<Function, TemplateError> {
        let wrong = || {
            error(
                line,
                "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the \
                 resource attribute",
            )
        };
        let (id, attribute) = match &argument.value {
            Value::Text(text) => {
                let (id, attribute) = text.split_once('.').ok_or_else(wrong)?;
                (id.to_owned(), Expression::new(line, Form::Literal(Json::from(attribute))))
            }
            Value::List(items) => match items.as_slice() {
                [id, attribute] => {
                    let id = id.as_text().ok_or_else(wrong)?.to_owned();
                    let attribute = self.expression(attribute)?;
                    match &attribute.form {
                        Form::Literal(Json::String(_)) | Form::Call(_) => (id, attribute),
                        _ => return Err(wrong()),
                    }
                }
                // In YAML's list form a dotted attribute may come in pieces.
                [id, rest @ ..] if !rest.is_empty() => {
                    let texts =
                        rest.iter().map(Node::as_text).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
                    let id = id.as_text().ok_or_else(wrong)?.to_owned();
                    (id, Expression::new(line, Form::Literal(Json::from(texts.join(".")))))
                }
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        if id.is_empty() || attribute.literal_text() == Some("") {
            return Err(wrong());
        }
        self.attribute(&id, attribute, line)
    }

    fn find_in_map(&mut self, argument: &Node, line: usize) -> Result<Function, TemplateError> {
        let wrong = || {
            error(
                line,
                "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the \
                 attribute for return value",
            )
        };
        let items = argument.as_list().ok_or_else(wrong)?;
        let (keys, default) = match items {
            [_, _, _] => (items, None),
            [keys @ .., default] if keys.len() == 3 && self.names.extensions => {
                let default = match default.as_map() {
                    Some([entry]) if entry.key == "DefaultValue" => &entry.node,
                    _ => return Err(wrong()),
                };
                (keys, Some(self.expression(default)?))
            }
            _ => return Err(wrong()),
        };
        let [map, first, second]: [Expression; 3] =
            self.items(keys)?.try_into().unwrap_or_else(|_| unreachable!("three keys"));
        if let Some(name) = map.literal_text()
            && default.is_none()
            && !self.names.mappings.contains(name)
        {
            return Err(error(
                line,
                format!(
                    "Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
                ),
            ));
        }
        Ok(Function::FindInMap(map, first, second, default))
    }

    fn sub(&mut self, argument: &Node, line: usize) -> Result<Function, TemplateError> {
        let wrong = || {
            error(
                line,
                "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a \
                 string as first argument, and an optional second argument to specify a mapping of values to replace in \
                 the string",
            )
        };
        let (text, entries) = match (argument.scalar(), argument.as_list()) {
            (Some(text), _) => (text, None),
            (None, Some([text])) => (text.as_text().ok_or_else(wrong)?.to_owned(), None),
            (None, Some([text, map])) => {
                (text.as_text().ok_or_else(wrong)?.to_owned(), Some(map.as_map().ok_or_else(wrong)?))
            }
            _ => return Err(wrong()),
        };
        let variables = match entries {
            Some(entries) => self.members(entries)?.into_iter().collect::<BTreeMap<_, _>>(),
            None => BTreeMap::new(),
        };
        let mut parts = Vec::new();
        for piece in pieces(&text) {
            parts.push(match piece {
                Piece::Text(text) => Part::Text(text),
                Piece::Name(name) if variables.contains_key(name) => Part::Variable(name.to_owned()),
                Piece::Name(name) => Part::Reference(self.sub_reference(name, line)?),
            });
        }
        Ok(Function::Sub(parts, variables))
    }

    fn sub_reference(&mut self, name: &str, line: usize) -> Result<Expression, TemplateError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(error(
                line,
                "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, \
                 periods, and colons",
            ));
        }
        let function = match name.split_once('.') {
            Some((id, attribute)) if self.names.resources.contains(id) => {
                self.attribute(id, Expression::new(line, Form::Literal(Json::from(attribute))), line)?
            }
            Some((id, _)) => {
                self.unresolved.push((id.to_owned(), line));
                Function::NoValue
            }
            None => self.reference(name, line),
        };
        Ok(Expression::new(line, Form::Call(Box::new(function))))
    }
}

/// Whether it gives true or false.
pub(crate) fn is_boolean(expression: &Expression) -> bool {
    match &expression.form {
        Form::Literal(literal) => matches!(literal, Json::Bool(_)),
        Form::Call(function) => matches!(
            **function,
            Function::Condition(_)
                | Function::Equals(..)
                | Function::And(_)
                | Function::Or(_)
                | Function::Not(_)
                | Function::Contains(..)
                | Function::EachMemberEquals(..)
                | Function::EachMemberIn(..)
        ),
        Form::List(_) | Form::Object(_) => false,
    }
}

enum Piece<'a> {
    Text(String),
    Name(&'a str),
}

/// Splits at `${Name}`; `${!Name}` is the text `${Name}`.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start + 2..].find('}') else { break };
        let name = &rest[start + 2..start + 2 + length];
        literal.push_str(&rest[..start]);
        if let Some(name) = name.strip_prefix('!') {
            literal.push_str("${");
            literal.push_str(name);
            literal.push('}');
        } else {
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Name(name.trim()));
        }
        rest = &rest[start + 2 + length + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    pieces
}
