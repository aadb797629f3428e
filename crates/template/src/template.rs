use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::expression::{Branches, References};
use crate::{Arguments, Expression, Given, Parameter, Scope, TemplateError, World, section};

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
    pub rules: Vec<Rule>,
    /// Texts, numbers, flags and lists of them.
    pub mappings: Mappings,
    /// Each after those that it refers to.
    pub conditions: Vec<Condition>,
    /// In the template's order.
    pub resources: Vec<Declaration>,
    /// In the template's order.
    pub outputs: Vec<Output>,
}

/// By map, first key and second key.
pub type Mappings = BTreeMap<String, BTreeMap<String, BTreeMap<String, Json>>>;

/// An entry of `Conditions`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Its name.
    pub name: String,
    /// True or false.
    pub expression: Expression,
}

/// An entry of `Rules`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// `RuleCondition`: the assertions count only while this holds.
    pub condition: Option<Expression>,
    /// What must hold, each with its `AssertDescription`.
    pub assertions: Vec<(Expression, Option<String>)>,
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

impl DeletionPolicy {
    /// As templates write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Retain => "Retain",
            Self::RetainExceptOnCreate => "RetainExceptOnCreate",
            Self::Snapshot => "Snapshot",
        }
    }
}

/// An entry of `Outputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Evaluates to a text; [`Output::value_in`] holds it to that.
    pub value: Expression,
    /// `Export.Name`; [`Output::export_in`] evaluates it.
    pub export: Option<Expression>,
    /// The output exists only while this holds.
    pub condition: Option<String>,
    /// Where it stands in the template, 1-based.
    pub line: usize,
}

impl Output {
    /// Its value.
    ///
    /// # Errors
    /// Those of [`Expression::resolve`]; a value that is no text.
    pub fn value_in(&self, scope: &Scope<'_>) -> Result<String, TemplateError> {
        let value = self.value.resolve(scope).map_err(|error| self.placed(error, "Value"))?;
        value.as_ref().and_then(crate::expression::text_of).ok_or_else(|| {
            let message = "Template format error: The Value field of every Outputs member must evaluate to a String \
                           and not a List.";
            self.placed(TemplateError::new(message).on_line(self.line), "Value")
        })
    }

    /// The name that it is exported under.
    ///
    /// # Errors
    /// Those of [`Expression::resolve`]; a name of other characters than letters, digits, colons and hyphens.
    pub fn export_in(&self, scope: &Scope<'_>) -> Result<Option<String>, TemplateError> {
        let Some(export) = &self.export else { return Ok(None) };
        let name = export.resolve(scope).map_err(|error| self.placed(error, "Export"))?;
        let valid = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == ':' || c == '-')
        };
        match name.as_ref().and_then(crate::expression::text_of).filter(valid) {
            Some(name) => Ok(Some(name)),
            None => Err(self.placed(section::malformed_export(&self.name).on_line(self.line), "Export")),
        }
    }

    fn placed(&self, error: TemplateError, member: &str) -> TemplateError {
        error.within(member).within(self.name.as_str()).within("Outputs")
    }
}

impl Declaration {
    /// Logical ids of the resources that this one needs first: DependsOn, and Ref, GetAtt and Sub of resources, in both
    /// branches of every Fn::If. [`Template::dependencies`] knows which of them count under given conditions.
    pub fn dependencies(&self) -> BTreeSet<&str> {
        self.needs(Branches::All)
    }

    /// The expressions of this resource, with the attribute that each stands in.
    pub fn expressions(&self) -> impl Iterator<Item = (&'static str, &Expression)> {
        [
            ("Properties", Some(&self.properties)),
            ("Metadata", self.metadata.as_ref()),
            ("CreationPolicy", self.creation_policy.as_ref()),
            ("UpdatePolicy", self.update_policy.as_ref()),
        ]
        .into_iter()
        .filter_map(|(attribute, expression)| Some((attribute, expression?)))
    }

    /// The properties' values: the path from `Resources` on goes into the errors.
    ///
    /// # Errors
    /// Those of [`Expression::resolve`].
    pub fn properties_in(&self, scope: &Scope<'_>) -> Result<serde_json::Map<String, Json>, TemplateError> {
        let value = self.properties.resolve(scope).map_err(|error| {
            error.within("Properties").within(self.logical_id.as_str()).within("Resources").on_line(self.line)
        })?;
        match value {
            Some(Json::Object(properties)) => Ok(properties),
            None => Ok(serde_json::Map::new()),
            Some(_) => {
                Err(TemplateError::new("Template format error: Properties must evaluate to an object")
                    .within("Properties")
                    .within(self.logical_id.as_str())
                    .within("Resources")
                    .on_line(self.line))
            }
        }
    }

    pub(crate) fn needs(&self, branches: Branches<'_>) -> BTreeSet<&str> {
        let mut needs = self.depends_on.iter().map(String::as_str).collect::<BTreeSet<_>>();
        for (_, expression) in self.expressions() {
            let References { resources, attributes, .. } = expression.references(branches);
            needs.extend(resources);
            needs.extend(attributes.into_iter().map(|(id, _)| id));
        }
        needs
    }
}

impl Template {
    /// Reads JSON or YAML.
    ///
    /// # Errors
    /// Structure, names, unresolved references, cycles and limits, in CloudFormation's words. The size of the body is the
    /// caller's to check.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        section::template(text)
    }

    /// Parameter values as CreateStack and UpdateStack take them: defaults and constraints, SSM types looked up, Rules
    /// asserted.
    ///
    /// # Errors
    /// In CloudFormation's words.
    pub fn bind(
        &self,
        given: &BTreeMap<String, Given>,
        world: &dyn World,
    ) -> Result<Arguments, TemplateError> {
        let arguments = crate::parameter::bind(&self.parameters, given, world)?;
        self.assert(&arguments, world)?;
        Ok(arguments)
    }

    fn assert(&self, arguments: &Arguments, world: &dyn World) -> Result<(), TemplateError> {
        let none = BTreeMap::new();
        let scope = Scope { template: self, arguments, conditions: &none, world };
        for rule in &self.rules {
            let placed = |error: TemplateError| error.within(rule.name.as_str()).within("Rules");
            if let Some(condition) = &rule.condition
                && !condition.holds(&scope).map_err(placed)?
            {
                continue;
            }
            for (assert, description) in &rule.assertions {
                if !assert.holds(&scope).map_err(placed)? {
                    let description = description.as_deref().unwrap_or("an assertion does not hold");
                    return Err(TemplateError::whole(format!(
                        "Template error: Rule {} failed: {description}",
                        rule.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// Decides every condition.
    ///
    /// # Errors
    /// When a function in one cannot be evaluated.
    pub fn conditions(
        &self,
        arguments: &Arguments,
        world: &dyn World,
    ) -> Result<BTreeMap<String, bool>, TemplateError> {
        let mut conditions = BTreeMap::new();
        for condition in &self.conditions {
            let scope = Scope { template: self, arguments, conditions: &conditions, world };
            let holds = condition
                .expression
                .holds(&scope)
                .map_err(|error| error.within(condition.name.as_str()).within("Conditions"))?;
            conditions.insert(condition.name.clone(), holds);
        }
        Ok(conditions)
    }

    /// The resource of a logical id.
    pub fn resource(&self, logical_id: &str) -> Option<&Declaration> {
        self.resources.iter().find(|it| it.logical_id == logical_id)
    }

    /// The parameter of a name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|it| it.name == name)
    }

    /// Whether a resource exists under these conditions.
    pub fn exists(&self, declaration: &Declaration, conditions: &BTreeMap<String, bool>) -> bool {
        holds(declaration.condition.as_deref(), conditions)
    }

    /// The resources that exist under these conditions, each with those of them that it needs first. Free of cycles.
    ///
    /// # Errors
    /// `Circular dependency between resources` for a cycle that only these conditions close; references to resources that
    /// do not exist under them.
    pub fn dependencies(
        &self,
        conditions: &BTreeMap<String, bool>,
    ) -> Result<BTreeMap<&str, BTreeSet<&str>>, TemplateError> {
        let exists = |declaration: &&Declaration| self.exists(declaration, conditions);
        let present =
            self.resources.iter().filter(exists).map(|it| it.logical_id.as_str()).collect::<BTreeSet<_>>();
        let edges = self
            .resources
            .iter()
            .filter(exists)
            .map(|it| {
                let mut needs = it.needs(Branches::Taken(conditions));
                needs.retain(|id| present.contains(id));
                (it.logical_id.as_str(), needs)
            })
            .collect();
        self.acyclic(&edges)?;
        self.refuse_absent(&present, conditions)?;
        Ok(edges)
    }

    /// Refuses references to resources whose condition is false, where these conditions take the branch that has them.
    /// DependsOn may name them.
    fn refuse_absent(
        &self,
        present: &BTreeSet<&str>,
        conditions: &BTreeMap<String, bool>,
    ) -> Result<(), TemplateError> {
        let absent = |expression: &Expression| {
            let references = expression.references_under(conditions);
            let ids =
                references.resources.into_iter().chain(references.attributes.into_iter().map(|(id, _)| id));
            let ids = ids.filter(|id| !present.contains(id)).map(str::to_owned).collect::<BTreeSet<_>>();
            (!ids.is_empty()).then(|| ids.into_iter().collect::<Vec<_>>().join(", "))
        };
        let unresolved = |ids: String, block: &str, name: &str, line: usize| {
            TemplateError::new(format!(
                "Template format error: Unresolved resource dependencies [{ids}] in the {block} block of the template"
            ))
            .within(name)
            .within(block)
            .on_line(line)
        };
        for declaration in self.resources.iter().filter(|it| present.contains(it.logical_id.as_str())) {
            if let Some(ids) = declaration.expressions().find_map(|(_, expression)| absent(expression)) {
                return Err(unresolved(ids, "Resources", &declaration.logical_id, declaration.line));
            }
        }
        for output in self.outputs.iter().filter(|it| holds(it.condition.as_deref(), conditions)) {
            if let Some(ids) = absent(&output.value) {
                return Err(unresolved(ids, "Outputs", &output.name, output.line));
            }
        }
        Ok(())
    }

    /// Refuses cycles that stand whatever the conditions are.
    pub(crate) fn refuse_cycles(&self) -> Result<(), TemplateError> {
        let edges =
            self.resources.iter().map(|it| (it.logical_id.as_str(), it.needs(Branches::None))).collect();
        self.acyclic(&edges)
    }

    fn acyclic(&self, edges: &BTreeMap<&str, BTreeSet<&str>>) -> Result<(), TemplateError> {
        let Some(cycle) = cycle(edges) else { return Ok(()) };
        let first = cycle.first().copied().unwrap_or_default();
        let line = self.resource(first).map_or(0, |it| it.line);
        Err(TemplateError::whole(format!(
            "Circular dependency between resources: [{}] ({} -> {first}, line {line})",
            cycle.join(", "),
            cycle.join(" -> "),
        ))
        .within(first)
        .within("Resources")
        .on_line(line))
    }

    /// Capabilities that the caller must acknowledge: for IAM resources ([`Template::capability_resources`]), named or not,
    /// and for transforms.
    pub fn capabilities(&self) -> Vec<&'static str> {
        let named = self.resources.iter().any(|it| {
            let property = match it.resource_type.as_str() {
                "AWS::IAM::Role" => "RoleName",
                "AWS::IAM::User" => "UserName",
                "AWS::IAM::Group" => "GroupName",
                "AWS::IAM::ManagedPolicy" => "ManagedPolicyName",
                "AWS::IAM::InstanceProfile" => "InstanceProfileName",
                _ => return false,
            };
            it.properties.members().any(|(name, _)| name == property)
        });
        let mut capabilities = match (named, self.capability_resources().is_empty()) {
            (true, _) => vec!["CAPABILITY_NAMED_IAM"],
            (false, false) => vec!["CAPABILITY_IAM"],
            (false, true) => Vec::new(),
        };
        if !self.transforms.is_empty() {
            capabilities.push("CAPABILITY_AUTO_EXPAND");
        }
        capabilities
    }

    /// Types of the resources that need [`Template::capabilities`], each once, sorted (CloudFormation guide, "Acknowledging
    /// IAM resources").
    pub fn capability_resources(&self) -> Vec<&str> {
        const IAM: [&str; 7] = [
            "AWS::IAM::AccessKey",
            "AWS::IAM::Group",
            "AWS::IAM::InstanceProfile",
            "AWS::IAM::ManagedPolicy",
            "AWS::IAM::Policy",
            "AWS::IAM::Role",
            "AWS::IAM::User",
        ];
        const MEMBERSHIP: &str = "AWS::IAM::UserToGroupAddition";
        let types = self.resources.iter().map(|it| it.resource_type.as_str());
        types
            .filter(|it| IAM.contains(it) || *it == MEMBERSHIP)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

pub(crate) fn holds(condition: Option<&str>, conditions: &BTreeMap<String, bool>) -> bool {
    condition.is_none_or(|name| conditions.get(name).copied().unwrap_or(false))
}

/// A cycle of the graph, beginning at its smallest name.
pub(crate) fn cycle<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut done = BTreeSet::new();
    for start in edges.keys().copied() {
        // Depth first with a stack of its own, so that long chains cannot exhaust the thread's.
        let mut path: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut next = Some(start);
        loop {
            if let Some(id) = next.take().filter(|id| !done.contains(id)) {
                if let Some(at) = path.iter().position(|(it, _)| *it == id) {
                    let mut cycle = path[at..].iter().map(|(it, _)| *it).collect::<Vec<_>>();
                    let smallest =
                        cycle.iter().enumerate().min_by_key(|(_, it)| **it).map_or(0, |(at, _)| at);
                    cycle.rotate_left(smallest);
                    return Some(cycle);
                }
                let needs = edges.get(id).into_iter().flatten().rev().copied().collect();
                path.push((id, needs));
            }
            match path.last_mut() {
                None => break,
                Some((id, needs)) => match needs.pop() {
                    Some(need) => next = Some(need),
                    None => {
                        done.insert(*id);
                        path.pop();
                    }
                },
            }
        }
    }
    None
}
