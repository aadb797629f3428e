//! What a definition would change: resource by resource, property by property, and why.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::cloudformation::{
    AfterValueFrom, AttributeChangeType, BeforeValueFrom, Change, ChangeAction, ChangeSource, ChangeType,
    EvaluationType, PolicyAction, Replacement, RequiresRecreation, ResourceAttribute, ResourceChange,
    ResourceChangeDetail, ResourceTargetDefinition,
};
use capstan_shapes::resource_type;
use capstan_template::{Declaration, DeletionPolicy, Expression, Template};
use serde_json::{Map, Value as Json, json};

use super::definition::Prepared;
use super::deploy::{self, Desired};
use super::property::{self, PropertyChange, Recreation};
use super::resource::scalar;
use super::rows::{Made, Stack, StackResource};
use super::world::{Preview, StackWorld};
use super::{definition, operation};
use crate::Engine;

/// Shown instead of what came from a NoEcho parameter.
const MASKED: &str = "****";

/// The changes, sorted by logical id. The error is why the definition cannot be deployed.
pub(super) fn changes(
    cx: &Engine,
    stack: &Stack,
    notification_arns: &[String],
    prepared: &Prepared,
) -> Result<Vec<Change>, String> {
    let wanted = operation::dependencies(prepared).map_err(|refusal| refusal.message)?;
    let before = stack.definition.as_ref().and_then(|current| definition::parse(&current.text).ok());
    let mut difference =
        Difference { cx, stack, prepared, before, preview: Preview::default(), arns: notification_arns };
    let mut changes = Vec::new();
    for logical_id in in_order(&wanted) {
        let Some(declaration) = prepared.template.resource(logical_id) else { continue };
        changes.extend(difference.resource(declaration)?);
    }
    for row in operation::resources(cx, &stack.id) {
        if let Some(made) = row.made.as_ref().filter(|_| !wanted.contains_key(&row.logical_id)) {
            changes.push(removed(row, made));
        }
    }
    changes.sort_by(|a, b| a.logical_resource_id.cmp(&b.logical_resource_id));
    let change = |change| Change {
        r#type: Some(ChangeType::Resource),
        hook_invocation_count: None,
        resource_change: Some(change),
    };
    Ok(changes.into_iter().map(change).collect())
}

/// A change without what IncludePropertyValues asks for.
pub(super) fn without_values(mut change: Change) -> Change {
    if let Some(resource) = &mut change.resource_change {
        resource.before_context = None;
        resource.after_context = None;
        for target in resource.details.iter_mut().flatten().filter_map(|detail| detail.target.as_mut()) {
            *target = ResourceTargetDefinition {
                attribute: target.attribute,
                name: target.name.take(),
                requires_recreation: target.requires_recreation,
                ..ResourceTargetDefinition::default()
            };
        }
    }
    change
}

/// Logical ids, each after what it needs.
fn in_order(wanted: &BTreeMap<String, BTreeSet<String>>) -> Vec<&str> {
    let mut order: Vec<&str> = Vec::new();
    let mut placed = BTreeSet::new();
    while order.len() < wanted.len() {
        let count = order.len();
        for (logical_id, needs) in wanted {
            if !placed.contains(logical_id) && needs.iter().all(|need| placed.contains(need)) {
                placed.insert(logical_id);
                order.push(logical_id);
            }
        }
        assert!(order.len() > count, "dependencies are free of cycles");
    }
    order
}

struct Difference<'a> {
    cx: &'a Engine,
    stack: &'a Stack,
    prepared: &'a Prepared,
    /// The template as it was.
    before: Option<Template>,
    /// What is known so far of the resources that others refer to.
    preview: Preview,
    arns: &'a [String],
}

/// Why something changes.
#[derive(Clone, Debug, PartialEq)]
struct Cause {
    source: ChangeSource,
    entity: Option<String>,
    evaluation: EvaluationType,
}

const DIRECT: Cause =
    Cause { source: ChangeSource::DirectModification, entity: None, evaluation: EvaluationType::Static };

impl Difference<'_> {
    fn resource(&mut self, declaration: &Declaration) -> Result<Option<ResourceChange>, String> {
        let cx = self.cx;
        let world = StackWorld::new(cx, &self.stack.id, &self.stack.name, self.arns).preview(&self.preview);
        let scope = self.prepared.scope(&world);
        // What the template gets wrong fails the change set; what the type does not take fails the resource.
        let raw = declaration.properties_in(&scope).map_err(|error| error.to_string())?;
        let desired = deploy::resolve(declaration, &scope).unwrap_or_else(|_| Desired {
            properties: raw,
            metadata: None,
            creation_policy: Json::Null,
            update_policy: Json::Null,
        });
        let row = operation::resources(cx, &self.stack.id)
            .find(|row| row.logical_id == declaration.logical_id)
            .and_then(|row| Some((row, row.made.as_ref()?)));
        let Some((row, made)) = row else {
            return Ok(Some(self.added(declaration, &desired)));
        };
        let change = self.modified(declaration, &desired, row, made);
        if let Some(change) = &change {
            let id = declaration.logical_id.clone();
            match change.replacement {
                Some(Replacement::True) => self.preview.replaced.insert(id, true).is_none(),
                Some(Replacement::Conditional) if self.may_replace(declaration, made, &desired) => {
                    self.preview.replaced.insert(id, false).is_none()
                }
                _ => self.preview.moved.insert(id),
            };
        }
        Ok(change)
    }

    /// Whether a conditional replacement may come true: on values that are known later, or as the conditions of the type
    /// say.
    fn may_replace(&self, declaration: &Declaration, made: &Made, desired: &Desired) -> bool {
        resource_type(&declaration.resource_type)
            .is_none_or(|schema| property::replaces(schema, &property_changes(declaration, made, desired)))
    }

    fn added(&self, declaration: &Declaration, desired: &Desired) -> ResourceChange {
        ResourceChange {
            action: Some(ChangeAction::Add),
            logical_resource_id: Some(declaration.logical_id.clone()),
            resource_type: Some(declaration.resource_type.clone()),
            scope: Some(Vec::new()),
            details: Some(Vec::new()),
            after_context: Some(self.after(declaration, desired)),
            ..ResourceChange::default()
        }
    }

    fn modified(
        &self,
        declaration: &Declaration,
        desired: &Desired,
        row: &StackResource,
        made: &Made,
    ) -> Option<ResourceChange> {
        let schema = resource_type(&declaration.resource_type);
        let mut details = Vec::new();
        let mut replacement = Replacement::False;
        let same_type = made.resource_type == declaration.resource_type;
        if same_type {
            let changes = property_changes(declaration, made, desired);
            let tags = schema.and_then(|schema| schema.tags);
            for change in &changes {
                let is_tags = tags == Some(change.property());
                let causes = self.causes(declaration, change);
                let certain = causes.iter().any(|cause| cause.evaluation == EvaluationType::Static);
                let this = match change.recreation {
                    Recreation::Always if certain => Replacement::True,
                    Recreation::Always | Recreation::Conditionally => Replacement::Conditional,
                    Recreation::Never => Replacement::False,
                };
                replacement = stronger(replacement, this);
                let masked = self.is_secret(declaration, change.property());
                details
                    .extend(causes.into_iter().map(|cause| property_detail(change, cause, is_tags, masked)));
            }
            if deploy::will_replace(&desired.update_policy) && deploy::has_conditional(&changes) {
                replacement = Replacement::True;
            }
            if tags.is_some() && made.tags != self.prepared.definition.tags {
                details.push(attribute_detail(
                    ResourceAttribute::Tags,
                    &json!(made.tags),
                    &json!(self.prepared.definition.tags),
                ));
            }
        } else {
            replacement = Replacement::True;
        }
        let policy = |policy: DeletionPolicy| json!(policy.as_str());
        let attributes = [
            (
                ResourceAttribute::Metadata,
                row.metadata.clone().unwrap_or_default(),
                desired.metadata.clone().unwrap_or_default(),
            ),
            (
                ResourceAttribute::CreationPolicy,
                made.creation_policy.clone(),
                desired.creation_policy.clone(),
            ),
            (ResourceAttribute::UpdatePolicy, made.update_policy.clone(), desired.update_policy.clone()),
            (
                ResourceAttribute::DeletionPolicy,
                policy(made.deletion_policy),
                policy(declaration.deletion_policy),
            ),
            (
                ResourceAttribute::UpdateReplacePolicy,
                policy(made.update_replace_policy),
                policy(declaration.update_replace_policy),
            ),
        ];
        for (attribute, before, after) in &attributes {
            if before != after {
                details.push(attribute_detail(*attribute, before, after));
            }
        }
        if details.is_empty() && same_type {
            return None;
        }
        let mut scope: Vec<ResourceAttribute> =
            details.iter().filter_map(|detail| detail.target.as_ref()?.attribute).collect();
        scope.sort();
        scope.dedup();
        let replaced_policy = match made.update_replace_policy {
            DeletionPolicy::Delete => PolicyAction::ReplaceAndDelete,
            DeletionPolicy::Retain | DeletionPolicy::RetainExceptOnCreate => PolicyAction::ReplaceAndRetain,
            DeletionPolicy::Snapshot => PolicyAction::ReplaceAndSnapshot,
        };
        Some(ResourceChange {
            policy_action: (replacement == Replacement::True).then_some(replaced_policy),
            action: Some(ChangeAction::Modify),
            logical_resource_id: Some(declaration.logical_id.clone()),
            physical_resource_id: Some(made.physical_id.clone()),
            resource_type: Some(declaration.resource_type.clone()),
            replacement: Some(replacement),
            scope: Some(scope),
            details: Some(details),
            before_context: Some(self.before(row, made)),
            after_context: Some(self.after(declaration, desired)),
            ..ResourceChange::default()
        })
    }

    /// Why a property changes: parameters and resources that its expression refers to, and the expression itself.
    fn causes(&self, declaration: &Declaration, change: &PropertyChange) -> Vec<Cause> {
        let expression = member(declaration, change.property());
        let old = self
            .before
            .as_ref()
            .and_then(|template| template.resource(&declaration.logical_id))
            .and_then(|declaration| member(declaration, change.property()));
        let mut causes = Vec::new();
        if let Some(expression) = expression {
            let parameters = self.parameters(expression).into_iter().filter(|name| self.has_changed(name));
            causes.extend(parameters.map(|name| Cause {
                source: ChangeSource::ParameterReference,
                entity: Some(name.to_owned()),
                evaluation: EvaluationType::Static,
            }));
            let references = expression.references_under(&self.prepared.conditions);
            for id in references.resources {
                if let Some(evaluation) = self.id_evaluation(id) {
                    let entity = Some(id.to_owned());
                    causes.push(Cause { source: ChangeSource::ResourceReference, entity, evaluation });
                }
            }
            for (id, attribute) in references.attributes {
                if let Some(evaluation) = self.attribute_evaluation(id, attribute) {
                    let entity = Some(format!("{id}.{attribute}"));
                    causes.push(Cause { source: ChangeSource::ResourceAttribute, entity, evaluation });
                }
            }
        }
        if causes.is_empty() || expression != old {
            causes.insert(0, DIRECT);
        }
        causes
    }

    /// The parameters that decide in an expression, through conditions as well.
    fn parameters<'e>(&'e self, expression: &'e Expression) -> BTreeSet<&'e str> {
        let references = expression.references_under(&self.prepared.conditions);
        let mut parameters = references.parameters;
        let mut open: Vec<&str> = references.conditions.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let condition = self.prepared.template.conditions.iter().find(|condition| condition.name == name);
            if let Some(condition) = condition.filter(|_| seen.insert(name)) {
                let references = condition.expression.references_under(&self.prepared.conditions);
                parameters.extend(references.parameters);
                open.extend(references.conditions);
            }
        }
        parameters
    }

    fn has_changed(&self, parameter: &str) -> bool {
        let old = self.stack.definition.as_ref().and_then(|it| it.arguments.values.get(parameter));
        let new = self.prepared.definition.arguments.values.get(parameter);
        old.map(|it| &it.reference) != new.map(|it| &it.reference)
    }

    fn is_secret(&self, declaration: &Declaration, property: &str) -> bool {
        let arguments = &self.prepared.definition.arguments.values;
        member(declaration, property).is_some_and(|expression| {
            let parameters = self.parameters(expression);
            parameters.into_iter().any(|name| arguments.get(name).is_some_and(|argument| argument.no_echo))
        })
    }

    /// How surely the id of a resource changes; `None`: it stays.
    fn id_evaluation(&self, logical_id: &str) -> Option<EvaluationType> {
        let is_made = operation::resources(self.cx, &self.stack.id)
            .any(|row| row.logical_id == logical_id && row.made.is_some());
        match self.preview.replaced.get(logical_id) {
            Some(true) => Some(EvaluationType::Static),
            Some(false) => Some(EvaluationType::Dynamic),
            None if is_made => None,
            None => Some(EvaluationType::Static),
        }
    }

    fn attribute_evaluation(&self, logical_id: &str, attribute: &str) -> Option<EvaluationType> {
        self.id_evaluation(logical_id)
            .or_else(|| self.preview.moves(logical_id, attribute).then_some(EvaluationType::Dynamic))
    }

    fn before(&self, row: &StackResource, made: &Made) -> String {
        let declaration = self.before.as_ref().and_then(|template| template.resource(&row.logical_id));
        let properties = match declaration {
            Some(declaration) => self.masked(declaration, &made.properties),
            None => made.properties.clone(),
        };
        let metadata = row.metadata.clone().unwrap_or_default();
        let policies = [made.deletion_policy, made.update_replace_policy];
        context(properties, metadata, &made.creation_policy, &made.update_policy, policies)
    }

    fn after(&self, declaration: &Declaration, desired: &Desired) -> String {
        let properties = self.masked(declaration, &desired.properties);
        let metadata = desired.metadata.clone().unwrap_or_default();
        let policies = [declaration.deletion_policy, declaration.update_replace_policy];
        context(properties, metadata, &desired.creation_policy, &desired.update_policy, policies)
    }

    fn masked(&self, declaration: &Declaration, properties: &Map<String, Json>) -> Map<String, Json> {
        let mask = |(name, value): (&String, &Json)| {
            let value = if self.is_secret(declaration, name) { MASKED.into() } else { value.clone() };
            (name.clone(), value)
        };
        properties.iter().map(mask).collect()
    }
}

/// Where the properties differ; of a type without a schema, everything can be changed in place.
fn property_changes(declaration: &Declaration, made: &Made, desired: &Desired) -> Vec<PropertyChange> {
    let (old, new) = (&made.properties, &desired.properties);
    if let Some(schema) = resource_type(&declaration.resource_type) {
        return property::replacement(schema, old, new);
    }
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| PropertyChange {
        path: name.clone(),
        before: old.get(name).cloned(),
        after: new.get(name).cloned(),
        recreation: Recreation::Never,
    };
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(change).collect()
}

fn stronger(one: Replacement, other: Replacement) -> Replacement {
    match (one, other) {
        (Replacement::True, _) | (_, Replacement::True) => Replacement::True,
        (Replacement::Conditional, _) | (_, Replacement::Conditional) => Replacement::Conditional,
        _ => Replacement::False,
    }
}

/// The expression of a property. Where a function gives all properties at once, that one.
fn member<'a>(declaration: &'a Declaration, property: &str) -> Option<&'a Expression> {
    let mut members = declaration.properties.members().peekable();
    if members.peek().is_none() {
        return Some(&declaration.properties);
    }
    members.find(|(name, _)| *name == property).map(|(_, expression)| expression)
}

fn removed(row: &StackResource, made: &Made) -> ResourceChange {
    let action = match made.deletion_policy {
        DeletionPolicy::Delete => PolicyAction::Delete,
        DeletionPolicy::Retain | DeletionPolicy::RetainExceptOnCreate => PolicyAction::Retain,
        DeletionPolicy::Snapshot => PolicyAction::Snapshot,
    };
    let metadata = row.metadata.clone().unwrap_or_default();
    let policies = [made.deletion_policy, made.update_replace_policy];
    ResourceChange {
        policy_action: Some(action),
        action: Some(ChangeAction::Remove),
        logical_resource_id: Some(row.logical_id.clone()),
        physical_resource_id: Some(made.physical_id.clone()),
        resource_type: Some(made.resource_type.clone()),
        scope: Some(Vec::new()),
        details: Some(Vec::new()),
        before_context: Some(context(
            made.properties.clone(),
            metadata,
            &made.creation_policy,
            &made.update_policy,
            policies,
        )),
        ..ResourceChange::default()
    }
}

fn property_detail(
    change: &PropertyChange,
    cause: Cause,
    is_tags: bool,
    masked: bool,
) -> ResourceChangeDetail {
    let shown = |value: &Option<Json>| match value {
        Some(_) if masked => Some(MASKED.to_owned()),
        value => value.as_ref().map(shown),
    };
    let (attribute, name) = if is_tags {
        (ResourceAttribute::Tags, None)
    } else {
        (ResourceAttribute::Properties, Some(change.property().to_owned()))
    };
    let recreation = match change.recreation {
        Recreation::Never => RequiresRecreation::Never,
        Recreation::Conditionally => RequiresRecreation::Conditionally,
        Recreation::Always => RequiresRecreation::Always,
    };
    let target = ResourceTargetDefinition {
        attribute: Some(attribute),
        name,
        requires_recreation: Some(recreation),
        path: Some(format!("/Properties/{}", change.path)),
        before_value: shown(&change.before),
        after_value: shown(&change.after),
        before_value_from: change.before.is_some().then_some(BeforeValueFrom::PreviousDeploymentState),
        after_value_from: change.after.is_some().then_some(AfterValueFrom::Template),
        attribute_change_type: Some(change_type(change.before.is_some(), change.after.is_some())),
        ..ResourceTargetDefinition::default()
    };
    ResourceChangeDetail {
        target: Some(target),
        evaluation: Some(cause.evaluation),
        change_source: Some(cause.source),
        causing_entity: cause.entity,
    }
}

fn attribute_detail(attribute: ResourceAttribute, before: &Json, after: &Json) -> ResourceChangeDetail {
    let there = |value: &Json| (!value.is_null()).then(|| shown(value));
    let target = ResourceTargetDefinition {
        attribute: Some(attribute),
        requires_recreation: Some(RequiresRecreation::Never),
        path: Some(format!("/{}", attribute.as_str())),
        before_value: there(before),
        after_value: there(after),
        attribute_change_type: Some(change_type(!before.is_null(), !after.is_null())),
        ..ResourceTargetDefinition::default()
    };
    ResourceChangeDetail {
        target: Some(target),
        evaluation: Some(DIRECT.evaluation),
        change_source: Some(DIRECT.source),
        causing_entity: None,
    }
}

fn change_type(before: bool, after: bool) -> AttributeChangeType {
    match (before, after) {
        (false, _) => AttributeChangeType::Add,
        (_, false) => AttributeChangeType::Remove,
        _ => AttributeChangeType::Modify,
    }
}

/// Scalars as texts, the rest as JSON.
fn shown(value: &Json) -> String {
    match value {
        Json::Array(_) | Json::Object(_) => value.to_string(),
        value => scalar(value),
    }
}

/// A resource as `BeforeContext` and `AfterContext` show it: what is not there is left out.
fn context(
    properties: Map<String, Json>,
    metadata: Json,
    creation_policy: &Json,
    update_policy: &Json,
    [deletion_policy, update_replace_policy]: [DeletionPolicy; 2],
) -> String {
    let mut context = Map::new();
    context.insert("Properties".to_owned(), Json::Object(properties));
    for (name, value) in
        [("Metadata", &metadata), ("CreationPolicy", creation_policy), ("UpdatePolicy", update_policy)]
    {
        if !value.is_null() {
            context.insert(name.to_owned(), value.clone());
        }
    }
    for (name, policy) in
        [("DeletionPolicy", deletion_policy), ("UpdateReplacePolicy", update_replace_policy)]
    {
        if policy != DeletionPolicy::Delete {
            context.insert(name.to_owned(), policy.as_str().into());
        }
    }
    Json::Object(context).to_string()
}
