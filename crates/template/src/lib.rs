//! CloudFormation templates: what they say, and what it comes to with given parameters in a given world.
//!
//! [`Template::parse`] reads JSON or YAML and validates it as CloudFormation does before anything is created.
//! [`Template::bind`] takes parameter values, [`Template::conditions`] decides the conditions, and
//! [`Expression::resolve`] evaluates what stands in a property as far as the [`World`] knows its resources. All of it is
//! pure: no clock, no chance, no floats, and the same text always gives the same answer.

mod decimal;
mod error;
mod expression;
mod foreach;
mod json;
mod node;
mod parameter;
mod section;
mod template;
mod yaml;

use std::collections::BTreeMap;

use serde_json::Value as Json;

pub use error::TemplateError;
pub use expression::{Expression, KNOWN_AFTER_APPLY, References};
pub use parameter::{Argument, Arguments, Given, Parameter};
pub use template::{Condition, Declaration, DeletionPolicy, Mappings, Output, Rule, Template};

/// What a template is resolved against.
pub trait World {
    /// The value of a pseudo parameter, `AWS::Region` and so on. `AWS::NoValue` is never asked for.
    fn pseudo(&self, name: &str) -> Option<Json>;
    /// What `Ref` of a resource gives.
    fn physical_id(&self, logical_id: &str) -> Lookup;
    /// What `Fn::GetAtt` of a resource gives. `Absent` where the resource has no such attribute.
    fn attribute(&self, logical_id: &str, attribute: &str) -> Lookup;
    /// The value exported under a name in this account and region.
    fn export(&self, name: &str) -> Option<String>;
    /// Names of a region's Availability Zones, sorted.
    fn zones(&self, region: &str) -> Vec<String>;
    /// A parameter of the Parameter Store: the latest version, or the one named.
    fn ssm(&self, name: &str, version: Option<&str>) -> Option<String>;
    /// Whether a parameter's value exists, for types such as `AWS::EC2::VPC::Id`. Everything does unless the world knows
    /// better.
    fn exists(&self, _parameter_type: &str, _value: &str) -> bool {
        true
    }
}

/// What a [`World`] knows of a resource's id or attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// The resource exists.
    Known(Json),
    /// Known only once the resource exists; resolves to [`KNOWN_AFTER_APPLY`].
    Later,
    /// No such resource (its condition is false) or no such attribute.
    Absent,
}

/// Everything that [`Expression::resolve`] looks at.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Mappings and parameters.
    pub template: &'a Template,
    /// From [`Template::bind`].
    pub arguments: &'a Arguments,
    /// From [`Template::conditions`].
    pub conditions: &'a BTreeMap<String, bool>,
    /// Resources, exports, pseudo parameters.
    pub world: &'a dyn World,
}
