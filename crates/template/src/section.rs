//! From the tree of a text to a [`Template`]: sections, their members, and CloudFormation's complaints about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::expression::{Branches, Compiler, Form, Names, Place, is_boolean};
use crate::node::{Entry, Node, Value};
use crate::template::{Condition, Declaration, DeletionPolicy, Mappings, Output, Rule, Template, cycle};
use crate::{Expression, TemplateError, foreach, json, parameter, yaml};

const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];

/// The only transform that is carried out here.
const EXTENSIONS: &str = "AWS::LanguageExtensions";

/// CloudFormation quotas; sizes of the body are the caller's to check.
const MOST_RESOURCES: usize = 500;
const MOST_OTHERS: usize = 200;
const LONGEST_NAME: usize = 255;
/// Bytes.
const LONGEST_DESCRIPTION: usize = 1024;

pub(crate) fn template(text: &str) -> Result<Template, TemplateError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut root = if text.trim_start().starts_with('{') { json::read(text)? } else { yaml::read(text)? };
    let Some(sections) = root.as_map() else {
        return Err(TemplateError::whole("Template format error: unsupported structure."));
    };
    let unknown = sections.iter().map(|it| it.key.as_str()).filter(|key| !SECTIONS.contains(key));
    let unknown = unknown.collect::<Vec<_>>();
    if unknown.contains(&"Hooks") {
        return Err(TemplateError::whole(
            "Template format error: the Hooks section (AWS::CodeDeploy::BlueGreen) is not supported here",
        ));
    }
    if !unknown.is_empty() {
        return Err(TemplateError::whole(format!(
            "Invalid template property or properties [{}]",
            unknown.join(", ")
        )));
    }
    root.refuse_nulls(&mut Vec::new())?;
    let transforms = transforms(root.get("Transform"))?;
    if !transforms.is_empty() {
        foreach::expand(&mut root)?;
    }
    let names = names(&root, !transforms.is_empty())?;
    let reader = Reader { root: &root, names: &names };
    let template = Template {
        format_version: format_version(&root)?,
        description: description(&root)?,
        metadata: root.get("Metadata").map(Node::json),
        transforms,
        parameters: reader.parameters()?,
        rules: reader.rules()?,
        mappings: reader.mappings()?,
        conditions: reader.conditions()?,
        resources: reader.resources()?,
        outputs: reader.outputs()?,
    };
    template.refuse_cycles()?;
    Ok(template)
}

fn format_error(line: usize, message: impl std::fmt::Display) -> TemplateError {
    TemplateError::new(format!("Template format error: {message}")).on_line(line)
}

fn format_version(root: &Node) -> Result<Option<String>, TemplateError> {
    match root.get("AWSTemplateFormatVersion") {
        None => Ok(None),
        Some(node) => match node.scalar().as_deref() {
            Some("2010-09-09") => Ok(Some("2010-09-09".to_owned())),
            _ => Err(format_error(node.line, "unsupported value for AWSTemplateFormatVersion.")),
        },
    }
}

fn description(root: &Node) -> Result<Option<String>, TemplateError> {
    let Some(node) = root.get("Description") else { return Ok(None) };
    let text =
        node.scalar().ok_or_else(|| format_error(node.line, "Description member must be a string."))?;
    if text.len() > LONGEST_DESCRIPTION {
        return Err(format_error(
            node.line,
            format_args!("'Description' length is greater than {LONGEST_DESCRIPTION}."),
        ));
    }
    Ok(Some(text))
}

fn transforms(node: Option<&Node>) -> Result<Vec<String>, TemplateError> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let items = node.as_list().unwrap_or_else(|| std::slice::from_ref(node));
    let mut transforms = Vec::new();
    for item in items {
        let name = item.as_text().or_else(|| item.get("Name").and_then(Node::as_text));
        match name {
            Some(EXTENSIONS) => transforms.push(EXTENSIONS.to_owned()),
            Some(name) => {
                return Err(TemplateError::whole(format!(
                    "No transform named {name} found. Only {EXTENSIONS} is carried out here (line {}).",
                    item.line
                )));
            }
            None => return Err(format_error(item.line, "Transform must be a string or a list of strings.")),
        }
    }
    Ok(transforms)
}

/// The members of a section; none if it is absent.
fn members<'a>(root: &'a Node, section: &str, most: usize) -> Result<&'a [Entry], TemplateError> {
    let Some(node) = root.get(section) else { return Ok(&[]) };
    let entries =
        node.as_map().ok_or_else(|| format_error(node.line, format_args!("{section} must be an object.")))?;
    if entries.len() > most {
        return Err(TemplateError::whole(format!(
            "Template format error: Number of {}, {}, is greater than maximum allowed, {most}",
            section.to_lowercase(),
            entries.len()
        )));
    }
    if let Some(entry) = entries.iter().find(|entry| entry.key == "Fn::Transform") {
        let name = entry.node.get("Name").and_then(Node::as_text).unwrap_or("Fn::Transform");
        return Err(TemplateError::new(format!("No transform named {name} found."))
            .within(section)
            .on_line(entry.line));
    }
    Ok(entries)
}

fn names(root: &Node, extensions: bool) -> Result<Names, TemplateError> {
    let keys = |section: &str, most, what: &str| {
        let entries = members(root, section, most)?;
        for entry in entries {
            let name = entry.key.as_str();
            let message = if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) || name.is_empty() {
                format!("Template format error: {what} name {name} is non alphanumeric.")
            } else if name.len() > LONGEST_NAME {
                format!("Template format error: {what} name {name} is longer than {LONGEST_NAME} characters.")
            } else {
                continue;
            };
            return Err(TemplateError::whole(format!("{message} (line {})", entry.line)));
        }
        Ok(entries.iter().map(|entry| entry.key.clone()).collect::<BTreeSet<_>>())
    };
    let names = Names {
        parameters: keys("Parameters", MOST_OTHERS, "Parameter")?,
        mappings: keys("Mappings", MOST_OTHERS, "Mapping")?,
        conditions: keys("Conditions", usize::MAX, "Condition")?,
        resources: keys("Resources", MOST_RESOURCES, "Resource")?,
        extensions,
    };
    keys("Outputs", MOST_OTHERS, "Output")?;
    if names.resources.is_empty() {
        return Err(TemplateError::whole(
            "Template format error: At least one Resources member must be defined.",
        ));
    }
    let common = names.parameters.intersection(&names.resources).map(String::as_str).collect::<Vec<_>>();
    if !common.is_empty() {
        return Err(TemplateError::whole(format!(
            "Template format error: all resources and parameters must have unique names. Common name(s): [{}]",
            common.join(", ")
        )));
    }
    Ok(names)
}

pub(crate) fn malformed_export(output: &str) -> TemplateError {
    TemplateError::new(format!(
        "Template format error: Output {output} is malformed. The Name field of every Export member must be specified and \
         consist only of alphanumeric characters, colons, or hyphens."
    ))
}

struct Reader<'a> {
    root: &'a Node,
    names: &'a Names,
}

impl<'a> Reader<'a> {
    /// Reads every member of a section, and puts the place into errors.
    fn each<T>(
        &self,
        section: &str,
        mut read: impl FnMut(&'a Entry) -> Result<T, TemplateError>,
    ) -> Result<Vec<T>, TemplateError> {
        let mut result = Vec::new();
        for entry in members(self.root, section, usize::MAX)? {
            result.push(
                read(entry)
                    .map_err(|error| error.on_line(entry.line).within(entry.key.as_str()).within(section))?,
            );
        }
        Ok(result)
    }

    fn parameters(&self) -> Result<Vec<crate::Parameter>, TemplateError> {
        self.each("Parameters", parameter::read)
    }

    fn mappings(&self) -> Result<Mappings, TemplateError> {
        let level = |node: &'a Node| {
            node.as_map().ok_or_else(|| {
                format_error(node.line, "Every Mappings member must be a map of maps of strings or lists.")
            })
        };
        let maps = self.each("Mappings", |entry| {
            let mut first = BTreeMap::new();
            for key in level(&entry.node)? {
                let mut second = BTreeMap::new();
                for attribute in level(&key.node)? {
                    let value = match &attribute.node.value {
                        Value::Map(_) | Value::Null => {
                            return Err(format_error(
                                attribute.line,
                                "Every Mappings attribute must be a String or a List.",
                            ));
                        }
                        _ => attribute.node.json(),
                    };
                    second.insert(attribute.key.clone(), value);
                }
                first.insert(key.key.clone(), second);
            }
            Ok((entry.key.clone(), first))
        })?;
        Ok(maps.into_iter().collect())
    }

    /// Compiles what stands in one entry and complains about its references to nothing.
    fn compile<T>(
        &self,
        place: Place,
        read: impl FnOnce(&mut Compiler<'a>) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        let mut compiler = Compiler::new(self.names, place);
        let result = read(&mut compiler)?;
        if let Some((_, line)) = compiler.unresolved.first() {
            let names = compiler.unresolved.iter().map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            let message = match place {
                Place::Resources | Place::Outputs => format!(
                    "Template format error: Unresolved resource dependencies [{names}] in the {} block of the template",
                    place.name()
                ),
                Place::Conditions | Place::Rules => format!(
                    "Template format error: Unresolved dependencies [{names}]. Cannot reference resources in the {} \
                     block of the template",
                    place.name()
                ),
            };
            return Err(TemplateError::new(message).on_line(*line));
        }
        if let Some((name, line)) = compiler.unresolved_conditions.first() {
            return Err(format_error(
                *line,
                format_args!(
                    "Unresolved condition dependency {name} in the {} block of the template",
                    place.name()
                ),
            ));
        }
        Ok(result)
    }

    fn rules(&self) -> Result<Vec<Rule>, TemplateError> {
        self.each("Rules", |entry| {
            let wrong =
                |line, message: &str| format_error(line, format_args!("Rule {}: {message}", entry.key));
            let boolean = |compiler: &mut Compiler<'a>, node: &Node| {
                let expression = compiler.expression(node)?;
                if is_boolean(&expression) {
                    Ok(expression)
                } else {
                    Err(wrong(node.line, "conditions and assertions must be boolean functions"))
                }
            };
            let mut rule = Rule { name: entry.key.clone(), condition: None, assertions: Vec::new() };
            let members = entry
                .node
                .as_map()
                .ok_or_else(|| wrong(entry.line, "every Rules member must be an object"))?;
            for member in members {
                match member.key.as_str() {
                    "RuleCondition" => {
                        rule.condition =
                            Some(self.compile(Place::Rules, |compiler| boolean(compiler, &member.node))?);
                    }
                    "Assertions" => {
                        let items = member
                            .node
                            .as_list()
                            .ok_or_else(|| wrong(member.line, "Assertions must be a list"))?;
                        for item in items {
                            let assert = item
                                .get("Assert")
                                .ok_or_else(|| wrong(item.line, "every assertion must contain an Assert"))?;
                            let description = item.get("AssertDescription").and_then(Node::scalar);
                            let assert = self.compile(Place::Rules, |compiler| boolean(compiler, assert))?;
                            rule.assertions.push((assert, description));
                        }
                    }
                    other => {
                        return Err(wrong(member.line, &format!("unrecognised property '{other}'")));
                    }
                }
            }
            if rule.assertions.is_empty() {
                return Err(wrong(entry.line, "Assertions must be specified"));
            }
            Ok(rule)
        })
    }

    fn conditions(&self) -> Result<Vec<Condition>, TemplateError> {
        let mut conditions = self.each("Conditions", |entry| {
            let expression = self.compile(Place::Conditions, |compiler| compiler.expression(&entry.node))?;
            if !is_boolean(&expression) {
                return Err(format_error(
                    entry.line,
                    "Conditions can only be boolean operations on parameters and other conditions",
                ));
            }
            Ok(Condition { name: entry.key.clone(), expression })
        })?;
        let edges = conditions
            .iter()
            .map(|it| (it.name.as_str(), it.expression.references(Branches::All).conditions))
            .collect::<BTreeMap<_, _>>();
        if let Some(cycle) = cycle(&edges) {
            return Err(TemplateError::whole(format!(
                "Template error: Found circular condition dependency: [{}] ({} -> {})",
                cycle.join(", "),
                cycle.join(" -> "),
                cycle.first().copied().unwrap_or_default()
            )));
        }
        // Each after those that it refers to: by the length of the longest chain below it.
        let mut depth = BTreeMap::new();
        while depth.len() < edges.len() {
            for (name, needs) in &edges {
                let below = needs.iter().map(|need| depth.get(need).copied()).collect::<Option<Vec<usize>>>();
                if let Some(below) = below {
                    depth.insert(*name, below.into_iter().max().map_or(0, |it| it + 1));
                }
            }
        }
        let depth =
            depth.into_iter().map(|(name, depth)| (name.to_owned(), depth)).collect::<BTreeMap<_, _>>();
        conditions.sort_by_key(|it| depth.get(&it.name).copied());
        Ok(conditions)
    }

    fn resources(&self) -> Result<Vec<Declaration>, TemplateError> {
        self.each("Resources", |entry| self.resource(entry))
    }

    fn resource(&self, entry: &'a Entry) -> Result<Declaration, TemplateError> {
        let id = &entry.key;
        let attributes = entry
            .node
            .as_map()
            .ok_or_else(|| format_error(entry.line, "Any Resources member must be an object."))?;
        let resource_type = match entry.node.get("Type") {
            Some(node) => node.as_text().ok_or_else(|| {
                format_error(
                    node.line,
                    format_args!("[/Resources/{id}/Type] Every Type member must be a string."),
                )
            })?,
            None => {
                return Err(format_error(
                    entry.line,
                    format_args!("[/Resources/{id}] Every Resources object must contain a Type member."),
                ));
            }
        };
        let mut declaration = Declaration {
            logical_id: id.clone(),
            resource_type: resource_type.to_owned(),
            properties: Expression::empty_object(entry.line),
            depends_on: Vec::new(),
            condition: None,
            deletion_policy: DeletionPolicy::Delete,
            update_replace_policy: DeletionPolicy::Delete,
            creation_policy: None,
            update_policy: None,
            metadata: None,
            line: entry.line,
        };
        self.compile(Place::Resources, |compiler| {
            for attribute in attributes {
                let node = &attribute.node;
                let read = |compiler: &mut Compiler<'a>| {
                    compiler.expression(node).map_err(|error| error.within(attribute.key.as_str()))
                };
                match attribute.key.as_str() {
                    "Type" => {}
                    "Properties" => {
                        declaration.properties = read(compiler)?;
                        if matches!(declaration.properties.form, Form::Literal(_) | Form::List(_)) {
                            return Err(format_error(
                                attribute.line,
                                format_args!(
                                    "[/Resources/{id}/Properties] Every Properties member must be an object."
                                ),
                            ));
                        }
                    }
                    "Metadata" => declaration.metadata = Some(read(compiler)?),
                    "CreationPolicy" => declaration.creation_policy = Some(read(compiler)?),
                    "UpdatePolicy" => declaration.update_policy = Some(read(compiler)?),
                    "DependsOn" => declaration.depends_on = self.depends_on(compiler, node)?,
                    "Condition" => {
                        let name = node.as_text().ok_or_else(|| {
                            format_error(node.line, "Every Condition member must be a string.")
                        })?;
                        compiler.condition(name, node.line);
                        declaration.condition = Some(name.to_owned());
                    }
                    "DeletionPolicy" => declaration.deletion_policy = policy(id, attribute)?,
                    "UpdateReplacePolicy" => declaration.update_replace_policy = policy(id, attribute)?,
                    other => {
                        return Err(TemplateError::new(format!(
                            "Invalid template resource property '{other}'"
                        ))
                        .on_line(attribute.line));
                    }
                }
            }
            Ok(())
        })?;
        Ok(declaration)
    }

    fn depends_on(&self, compiler: &mut Compiler<'a>, node: &Node) -> Result<Vec<String>, TemplateError> {
        let items = node.as_list().unwrap_or_else(|| std::slice::from_ref(node));
        let mut ids = Vec::new();
        for item in items {
            let id = item.as_text().ok_or_else(|| {
                format_error(item.line, "Every DependsOn value must be a string or a list of strings.")
            })?;
            if !self.names.resources.contains(id) {
                compiler.unresolved.push((id.to_owned(), item.line));
            }
            ids.push(id.to_owned());
        }
        Ok(ids)
    }

    fn outputs(&self) -> Result<Vec<Output>, TemplateError> {
        self.each("Outputs", |entry| {
            let malformed = |message: &str| format_error(entry.line, message);
            let members =
                entry.node.as_map().ok_or_else(|| malformed("Any Outputs member must be an object."))?;
            self.compile(Place::Outputs, |compiler| {
                let mut output = Output {
                    name: entry.key.clone(),
                    description: None,
                    value: Expression::empty_object(0),
                    export: None,
                    condition: None,
                    line: entry.line,
                };
                let mut value = None;
                for member in members {
                    let node = &member.node;
                    match member.key.as_str() {
                        "Value" => {
                            value = Some(compiler.expression(node).map_err(|error| error.within("Value"))?);
                        }
                        "Description" => {
                            output.description = Some(
                                node.scalar()
                                    .ok_or_else(|| malformed("Every Description member must be a string."))?,
                            );
                        }
                        "Condition" => {
                            let name = node
                                .as_text()
                                .ok_or_else(|| malformed("Every Condition member must be a string."))?;
                            compiler.condition(name, node.line);
                            output.condition = Some(name.to_owned());
                        }
                        "Export" => {
                            let name = node.get("Name").ok_or_else(|| malformed_export(&entry.key))?;
                            let name = compiler.expression(name).map_err(|error| error.within("Export"))?;
                            if name.is_of_resources() {
                                return Err(TemplateError::new(format!(
                                    "Template format error: Output {} is malformed. The Name field of every Export member \
                                     must not depend on any resources, imported values, or Fn::GetAZs",
                                    entry.key
                                ))
                                .on_line(node.line));
                            }
                            output.export = Some(name);
                        }
                        other => {
                            return Err(TemplateError::new(format!(
                                "Invalid template output property '{other}'"
                            ))
                            .on_line(member.line));
                        }
                    }
                }
                output.value =
                    value.ok_or_else(|| malformed("Every Outputs member must contain a Value object"))?;
                if matches!(output.value.form, Form::List(_) | Form::Object(_)) {
                    return Err(malformed(
                        "The Value field of every Outputs member must evaluate to a String and not a List.",
                    ));
                }
                Ok(output)
            })
        })
    }
}

fn policy(id: &str, attribute: &Entry) -> Result<DeletionPolicy, TemplateError> {
    match (attribute.node.as_text(), attribute.key.as_str()) {
        (Some("Delete"), _) => Ok(DeletionPolicy::Delete),
        (Some("Retain"), _) => Ok(DeletionPolicy::Retain),
        (Some("RetainExceptOnCreate"), "DeletionPolicy") => Ok(DeletionPolicy::RetainExceptOnCreate),
        (Some("Snapshot"), _) => Ok(DeletionPolicy::Snapshot),
        (Some(other), key) => {
            Err(format_error(attribute.line, format_args!("Unrecognized {key} {other} for resource {id}")))
        }
        (None, key) => {
            Err(format_error(attribute.line, format_args!("Every {key} member must be a string.")))
        }
    }
}
