use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::{Arguments, Expression, Given, Parameter, TemplateError, World};

/// A template that has passed CloudFormation's validation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// `AWSTemplateFormatVersion`.
    pub format_version: Option<String>,
    /// `Description`.
    pub description: Option<String>,
    /// `Metadata`, as written; functions in it are not evaluated.
    pub metadata: Option<Json>,
    /// `Transform`: `AWS::LanguageExtensions` at most, others are refused.
    pub transforms: Vec<String>,
    /// In the template's order.
    pub parameters: Vec<Parameter>,
    /// In the template's order.
    pub resources: Vec<Declaration>,
    /// In the template's order.
    pub outputs: Vec<Output>,
}

/// An entry of `Resources`.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// Alphanumeric.
    pub logical_id: String,
    /// `AWS::ECS::Cluster`.
    pub resource_type: String,
    /// An object; the empty one where the template has none.
    pub properties: Expression,
    /// Logical ids.
    pub depends_on: Vec<String>,
    /// The resource exists only while this holds.
    pub condition: Option<String>,
    /// What becomes of the resource when it leaves the stack.
    pub deletion_policy: DeletionPolicy,
    /// What becomes of the old resource of a replacement.
    pub update_replace_policy: DeletionPolicy,
    /// `CreationPolicy`.
    pub creation_policy: Option<Expression>,
    /// `UpdatePolicy`.
    pub update_policy: Option<Expression>,
    /// `Metadata`.
    pub metadata: Option<Expression>,
    /// Where it stands in the template, 1-based.
    pub line: usize,
}

impl Declaration {
    /// Logical ids of the resources that this one needs first: DependsOn, and Ref, GetAtt and Sub of resources, in both
    /// branches of every Fn::If. [`Template::dependencies`] knows which of them count.
    pub fn dependencies(&self) -> BTreeSet<&str> {
        self.depends_on.iter().map(String::as_str).collect()
    }
}

/// `DeletionPolicy` and `UpdateReplacePolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// The default.
    #[default]
    Delete,
    /// Keep the resource.
    Retain,
    /// Keep it, unless the stack operation that created it is rolled back.
    RetainExceptOnCreate,
    /// A snapshot is taken, for types that have them.
    Snapshot,
}

/// An entry of `Outputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Evaluates to a text.
    pub value: Expression,
    /// `Export.Name`.
    pub export: Option<Expression>,
    /// The output exists only while this holds.
    pub condition: Option<String>,
    /// Where it stands in the template, 1-based.
    pub line: usize,
}

impl Template {
    /// Reads JSON or YAML.
    ///
    /// # Errors
    /// Structure, names, unresolved references, cycles and limits, in CloudFormation's words. The size of the body is the
    /// caller's to check.
    pub fn parse(_text: &str) -> Result<Self, TemplateError> {
        Err(TemplateError::new("Template format error: unsupported structure."))
    }

    /// Parameter values as CreateStack and UpdateStack take them: defaults and constraints, SSM types looked up, Rules
    /// asserted.
    ///
    /// # Errors
    /// In CloudFormation's words.
    pub fn bind(
        &self,
        _given: &BTreeMap<String, Given>,
        _world: &dyn World,
    ) -> Result<Arguments, TemplateError> {
        Ok(Arguments::default())
    }

    /// Decides every condition.
    ///
    /// # Errors
    /// When a function in one cannot be evaluated.
    pub fn conditions(
        &self,
        _arguments: &Arguments,
        _world: &dyn World,
    ) -> Result<BTreeMap<String, bool>, TemplateError> {
        Ok(BTreeMap::new())
    }

    /// The resource of a logical id.
    pub fn resource(&self, logical_id: &str) -> Option<&Declaration> {
        self.resources.iter().find(|it| it.logical_id == logical_id)
    }

    /// The resources that exist under these conditions, each with those of them that it needs first. Free of cycles.
    ///
    /// # Errors
    /// `Circular dependency between resources` for a cycle that only these conditions close.
    pub fn dependencies(
        &self,
        _conditions: &BTreeMap<String, bool>,
    ) -> Result<BTreeMap<&str, BTreeSet<&str>>, TemplateError> {
        Ok(BTreeMap::new())
    }

    /// Capabilities that the caller must acknowledge: `CAPABILITY_IAM` or `CAPABILITY_NAMED_IAM`, and
    /// `CAPABILITY_AUTO_EXPAND`.
    pub fn capabilities(&self) -> Vec<&'static str> {
        Vec::new()
    }
}
