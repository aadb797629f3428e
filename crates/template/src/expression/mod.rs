//! Values in which functions may stand.

mod cidr;
mod compile;
mod dynamic;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

pub(crate) use compile::{Compiler, Names, Place, is_boolean};
pub(crate) use resolve::text_of;

use crate::{Lookup, Scope, TemplateError};

/// What stands for a value that is known only after the resource exists, in change sets.
pub const KNOWN_AFTER_APPLY: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// A value of a template in which functions may stand, checked for their form. Two are equal when they say the same,
/// wherever they stand.
#[derive(Clone, Debug)]
pub struct Expression {
    pub(crate) line: usize,
    pub(crate) form: Form,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// A scalar.
    Literal(Json),
    List(Vec<Expression>),
    Object(Vec<(String, Expression)>),
    Call(Box<Function>),
}

/// A call of a function with its arguments; texts where CloudFormation takes no function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Function {
    NoValue,
    Pseudo(String),
    Parameter(String),
    /// `Ref` of a resource.
    Resource(String),
    GetAtt(String, Expression),
    Sub(Vec<Part>, BTreeMap<String, Expression>),
    Join(Expression, Expression),
    Select(Expression, Expression),
    Split(Expression, Expression),
    If(String, Expression, Expression),
    Condition(String),
    Equals(Expression, Expression),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Expression),
    FindInMap(Expression, Expression, Expression, Option<Expression>),
    ImportValue(Expression),
    GetAzs(Expression),
    Base64(Expression),
    Cidr(Expression, Expression, Option<Expression>),
    Length(Expression),
    ToJsonString(Expression),
    Contains(Expression, Expression),
    EachMemberEquals(Expression, Expression),
    EachMemberIn(Expression, Expression),
    RefAll(String),
    ValueOf(String, String),
    ValueOfAll(String, String),
}

/// A piece of an `Fn::Sub` text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    /// A variable of the second argument.
    Variable(String),
    /// A reference, as Ref or Fn::GetAtt.
    Reference(Expression),
}

/// What an expression refers to, by Ref, Fn::GetAtt, Fn::Sub and Fn::If.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct References<'a> {
    /// Logical ids of Ref, and of Fn::GetAtt whose attribute is computed.
    pub resources: BTreeSet<&'a str>,
    /// `(logical id, attribute)` of Fn::GetAtt.
    pub attributes: BTreeSet<(&'a str, &'a str)>,
    /// Names of parameters.
    pub parameters: BTreeSet<&'a str>,
    /// Names of conditions.
    pub conditions: BTreeSet<&'a str>,
}

/// Which branches of `Fn::If` count.
#[derive(Clone, Copy)]
pub(crate) enum Branches<'a> {
    /// Both.
    All,
    /// Neither: what is referred to whatever the conditions are.
    None,
    /// The one that these conditions take.
    Taken(&'a BTreeMap<String, bool>),
}

impl Expression {
    pub(crate) fn new(line: usize, form: Form) -> Self {
        Self { line, form }
    }

    pub(crate) fn empty_object(line: usize) -> Self {
        Self::new(line, Form::Object(Vec::new()))
    }

    /// Evaluates. `None` is `AWS::NoValue`. Dynamic references are looked up.
    ///
    /// # Errors
    /// In CloudFormation's words, with the path below this expression and the line.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<Option<Json>, TemplateError> {
        let mut value = self.evaluate(scope)?;
        if let Some(value) = &mut value {
            dynamic::replace(value, scope.world).map_err(|error| error.on_line(self.line))?;
        }
        Ok(value)
    }

    /// Where it begins, 1-based.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The members of an object, each an expression of its own: a change set compares property by property. Empty for
    /// anything else, a function that gives an object included.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Self)> {
        let members = match &self.form {
            Form::Object(members) => members.as_slice(),
            _ => &[],
        };
        members.iter().map(|(name, expression)| (name.as_str(), expression))
    }

    /// What it refers to in the branches that these conditions take.
    pub fn references_under(&self, conditions: &BTreeMap<String, bool>) -> References<'_> {
        self.references(Branches::Taken(conditions))
    }

    /// Whether it refers to resources at all.
    pub(crate) fn is_of_resources(&self) -> bool {
        let References { resources, attributes, .. } = self.references(Branches::All);
        !resources.is_empty() || !attributes.is_empty()
    }

    pub(crate) fn references(&self, branches: Branches<'_>) -> References<'_> {
        let mut found = References::default();
        self.collect(branches, &mut found);
        found
    }

    fn collect<'a>(&'a self, branches: Branches<'_>, found: &mut References<'a>) {
        match &self.form {
            Form::Literal(_) => {}
            Form::List(items) => items.iter().for_each(|item| item.collect(branches, found)),
            Form::Object(members) => members.iter().for_each(|(_, member)| member.collect(branches, found)),
            Form::Call(function) => function.collect(branches, found),
        }
    }

    /// A literal text.
    pub(crate) fn literal_text(&self) -> Option<&str> {
        match &self.form {
            Form::Literal(Json::String(text)) => Some(text),
            _ => None,
        }
    }
}

impl Function {
    fn collect<'a>(&'a self, branches: Branches<'_>, found: &mut References<'a>) {
        match self {
            Self::NoValue | Self::Pseudo(_) | Self::RefAll(_) | Self::ValueOfAll(..) => {}
            Self::Parameter(name) | Self::ValueOf(name, _) => {
                found.parameters.insert(name);
            }
            Self::Resource(id) => {
                found.resources.insert(id);
            }
            Self::GetAtt(id, attribute) => {
                match attribute.literal_text() {
                    Some(attribute) => {
                        found.attributes.insert((id, attribute));
                    }
                    None => {
                        found.resources.insert(id);
                    }
                }
                attribute.collect(branches, found);
            }
            Self::Sub(parts, variables) => {
                for part in parts {
                    if let Part::Reference(reference) = part {
                        reference.collect(branches, found);
                    }
                }
                variables.values().for_each(|variable| variable.collect(branches, found));
            }
            Self::If(condition, then, otherwise) => {
                found.conditions.insert(condition);
                match branches {
                    Branches::None => {}
                    Branches::All => {
                        then.collect(branches, found);
                        otherwise.collect(branches, found);
                    }
                    Branches::Taken(conditions) => {
                        let holds = conditions.get(condition).copied().unwrap_or(false);
                        if holds { then } else { otherwise }.collect(branches, found);
                    }
                }
            }
            Self::Condition(name) => {
                found.conditions.insert(name);
            }
            Self::And(all) | Self::Or(all) => all.iter().for_each(|it| it.collect(branches, found)),
            Self::FindInMap(map, first, second, default) => {
                for it in [map, first, second].into_iter().chain(default) {
                    it.collect(branches, found);
                }
            }
            Self::Cidr(block, count, bits) => {
                for it in [block, count].into_iter().chain(bits) {
                    it.collect(branches, found);
                }
            }
            Self::Join(a, b)
            | Self::Select(a, b)
            | Self::Split(a, b)
            | Self::Equals(a, b)
            | Self::Contains(a, b)
            | Self::EachMemberEquals(a, b)
            | Self::EachMemberIn(a, b) => {
                a.collect(branches, found);
                b.collect(branches, found);
            }
            Self::Not(it)
            | Self::ImportValue(it)
            | Self::GetAzs(it)
            | Self::Base64(it)
            | Self::Length(it)
            | Self::ToJsonString(it) => it.collect(branches, found),
        }
    }
}

impl Lookup {
    pub(crate) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}
