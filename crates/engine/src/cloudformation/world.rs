//! What a template of a stack is resolved against: the stack's own resources, and the account.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use capstan_template::{Lookup, World};
use serde_json::Value as Json;

use super::rows::{StackId, StackIndex};
use super::types;
use crate::Engine;

/// What a definition would do to resources that others refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Preview {
    /// Logical ids of what is replaced, and whether that is certain.
    pub(super) replaced: BTreeMap<String, bool>,
    /// Logical ids of what changes in place.
    pub(super) moved: BTreeSet<String>,
}

impl Preview {
    /// Whether an attribute may change while its resource stays. What identifies a resource does not (our reading).
    pub(super) fn moves(&self, logical_id: &str, attribute: &str) -> bool {
        const IDENTITIES: [&str; 8] = ["Arn", "ARN", "Id", "ID", "Name", "Uri", "Url", "URL"];
        self.moved.contains(logical_id) && !IDENTITIES.iter().any(|suffix| attribute.ends_with(suffix))
    }
}

/// The world as one stack sees it.
pub(super) struct StackWorld<'a> {
    cx: &'a Engine,
    stack: StackId,
    name: &'a str,
    notification_arns: &'a [String],
    /// `None` while resources are really made.
    preview: Option<&'a Preview>,
    imports: RefCell<BTreeSet<String>>,
}

impl<'a> StackWorld<'a> {
    pub(super) fn new(
        cx: &'a Engine,
        stack: &StackId,
        name: &'a str,
        notification_arns: &'a [String],
    ) -> Self {
        let stack = StackId::clone(stack);
        Self { cx, stack, name, notification_arns, preview: None, imports: RefCell::default() }
    }

    /// The same, to see what a definition would change: what is not there yet is [`Lookup::Later`], too.
    pub(super) fn preview(mut self, preview: &'a Preview) -> Self {
        self.preview = Some(preview);
        self
    }

    /// Names of the exports that were asked for.
    pub(super) fn into_imports(self) -> BTreeSet<String> {
        self.imports.into_inner()
    }

    fn lookup(&self, logical_id: &str, read: impl FnOnce(&super::rows::Made) -> Option<Json>) -> Lookup {
        if self.preview.is_some_and(|preview| preview.replaced.contains_key(logical_id)) {
            return Lookup::Later;
        }
        let key = (StackId::clone(&self.stack), logical_id.to_owned());
        let made = self.cx.cloudformation.resources.get(&key).and_then(|row| row.made.as_ref());
        match made {
            Some(made) => read(made).map_or(Lookup::Absent, Lookup::Known),
            None if self.preview.is_some() => Lookup::Later,
            None => Lookup::Absent,
        }
    }
}

impl World for StackWorld<'_> {
    fn pseudo(&self, name: &str) -> Option<Json> {
        let config = &self.cx.config;
        Some(match name {
            "AWS::AccountId" => config.account.clone().into(),
            "AWS::NotificationARNs" => self.notification_arns.to_vec().into(),
            "AWS::Partition" => "aws".into(),
            "AWS::Region" => config.region.name.into(),
            "AWS::StackId" => self.stack.to_string().into(),
            "AWS::StackName" => self.name.into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            _ => return None,
        })
    }

    fn physical_id(&self, logical_id: &str) -> Lookup {
        self.lookup(logical_id, |made| Some(made.physical_id.clone().into()))
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Lookup {
        if self.preview.is_some_and(|preview| preview.moves(logical_id, attribute)) {
            return Lookup::Later;
        }
        self.lookup(logical_id, |made| match types::handler(&made.resource_type) {
            Some(_) => made.attributes.get(attribute).cloned(),
            None => Some(types::placeholder_attribute(&made.physical_id, attribute)),
        })
    }

    fn export(&self, name: &str) -> Option<String> {
        self.imports.borrow_mut().insert(name.to_owned());
        export(self.cx, name).map(|(_, value)| value.to_owned())
    }

    fn zones(&self, region: &str) -> Vec<String> {
        capstan_model::region(region)
            .map(|region| region.zones.iter().map(|zone| zone.name.to_owned()).collect())
            .unwrap_or_default()
    }

    fn ssm(&self, name: &str, version: Option<&str>) -> Option<String> {
        let name = version.map_or_else(|| name.to_owned(), |version| format!("{name}:{version}"));
        crate::ssm::value(self.cx, &name)
    }

    /// Of the types whose rooms know what there is; an image or a hosted zone may be any.
    fn exists(&self, parameter_type: &str, value: &str) -> bool {
        let (ec2, key) = (&self.cx.ec2, value.to_owned());
        match parameter_type {
            "AWS::EC2::AvailabilityZone::Name" => self.zones(self.cx.config.region.name).contains(&key),
            "AWS::EC2::Instance::Id" => value.parse().is_ok_and(|id| ec2.instances().contains(&id)),
            "AWS::EC2::KeyPair::KeyName" => ec2.key_pairs().contains(&key),
            "AWS::EC2::SecurityGroup::GroupName" => ec2.security_groups().iter().any(|it| it.name == value),
            "AWS::EC2::SecurityGroup::Id" => ec2.security_groups().contains(&key),
            "AWS::EC2::Subnet::Id" => ec2.subnets().contains(&key),
            "AWS::EC2::VPC::Id" => ec2.vpcs().contains(&key),
            _ => true,
        }
    }
}

/// The stack that exports that name, and the value.
pub(super) fn export<'a>(cx: &'a Engine, name: &str) -> Option<(&'a StackId, &'a str)> {
    let stack = cx.cloudformation.stacks.by(&StackIndex::Export(name.to_owned())).next()?;
    let output = stack.outputs.iter().find(|output| output.export.as_deref() == Some(name))?;
    Some((&stack.id, &output.value))
}
