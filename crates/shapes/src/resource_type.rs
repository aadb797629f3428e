//! What CloudFormation's resource types are made of: the properties a template may give, and which of them replace.

use crate::resource_types::RESOURCE_TYPES;
use crate::{Kind, Member, Schema};

/// A resource type as its public schema describes it. Paths are of names with `/` between (`AutoScalingGroupProvider/ManagedScaling`),
/// where `*` stands for any item of a list.
#[derive(Debug)]
pub struct ResourceType {
    /// `AWS::ECS::Cluster`
    pub name: &'static str,
    /// A record; its members are the properties.
    pub properties: &'static Schema,
    /// A change of these replaces the resource.
    pub create_only: &'static [&'static str],
    /// A change of these replaces the resource under conditions that the type's documentation tells.
    pub conditional_create_only: &'static [&'static str],
    /// What only the service sets; read by `Fn::GetAtt`.
    pub read_only: &'static [&'static str],
    /// What names one resource of this type in its account and region.
    pub identifier: &'static [&'static str],
    /// The property that holds tags; `None`: the type has none.
    pub tags: Option<&'static str>,
    /// Whether CloudFormation adds its own tags, `aws:cloudformation:stack-name` and so on.
    pub system_tags: bool,
}

/// The resource type of that name; `None` when Capstan does not have it.
pub fn resource_type(name: &str) -> Option<&'static ResourceType> {
    let at = RESOURCE_TYPES.binary_search_by(|resource_type| resource_type.name.cmp(name)).ok()?;
    Some(RESOURCE_TYPES[at])
}

impl Member {
    /// A member that has one name wherever it stands.
    pub(crate) const fn of(name: &'static str, required: bool, schema: &'static Schema) -> Self {
        Self { name, wire: name, ec2: name, required, schema }
    }
}

/// Values without constraints.
pub(crate) static BOOL: Schema = Schema { name: "", kind: Kind::Bool };
pub(crate) static DOCUMENT: Schema = Schema { name: "", kind: Kind::Document };
pub(crate) static FLOAT: Schema = Schema { name: "", kind: Kind::Float { min: None, max: None } };
pub(crate) static INT: Schema = Schema { name: "", kind: Kind::Int { long: true, min: None, max: None } };
pub(crate) static TEXT: Schema =
    Schema { name: "", kind: Kind::Text { min: None, max: None, pattern: "", values: &[] } };

#[cfg(test)]
mod tests {
    use super::*;

    fn member(schema: &'static Schema, name: &str) -> &'static Member {
        let Kind::Record { members } = schema.kind else { panic!("{} is no record", schema.name) };
        members.iter().find(|member| member.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    #[test]
    fn resource_types_are_found_by_name() {
        assert!(RESOURCE_TYPES.is_sorted_by_key(|resource_type| resource_type.name));
        assert!(resource_type("AWS::ECS::Nothing").is_none());
        let provider = resource_type("AWS::ECS::CapacityProvider").unwrap();
        assert!(provider.create_only.contains(&"AutoScalingGroupProvider/AutoScalingGroupArn"));
        assert_eq!(provider.tags, Some("Tags"));
        let group = member(provider.properties, "AutoScalingGroupProvider").schema;
        assert!(member(group, "AutoScalingGroupArn").required);
        let scaling = member(group, "ManagedScaling").schema;
        assert!(matches!(member(scaling, "TargetCapacity").schema.kind, Kind::Int { .. }));
        let role = resource_type("AWS::IAM::Role").unwrap();
        assert!(matches!(member(role.properties, "AssumeRolePolicyDocument").schema.kind, Kind::Document));
    }
}
