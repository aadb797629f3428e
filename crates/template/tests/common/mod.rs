//! A world for the tests: a region with three zones, some resources, one export, two stored parameters.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

use capstan_template::{Expression, Given, Lookup, Scope, Template, TemplateError, World};
use serde_json::{Value as Json, json};

pub(crate) struct Fake;

impl World for Fake {
    fn pseudo(&self, name: &str) -> Option<Json> {
        Some(match name {
            "AWS::Region" => json!("eu-west-1"),
            "AWS::AccountId" => json!("123456789012"),
            "AWS::Partition" => json!("aws"),
            "AWS::URLSuffix" => json!("amazonaws.com"),
            "AWS::StackName" => json!("shop"),
            "AWS::StackId" => json!("arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1"),
            "AWS::NotificationARNs" => json!([]),
            _ => return None,
        })
    }

    /// Ids that begin with `Later` are not there yet; ids that begin with `Absent` have a false condition.
    fn physical_id(&self, logical_id: &str) -> Lookup {
        if logical_id.starts_with("Later") {
            Lookup::Later
        } else if logical_id.starts_with("Absent") {
            Lookup::Absent
        } else {
            Lookup::Known(json!(format!("shop-{logical_id}")))
        }
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Lookup {
        match attribute {
            _ if logical_id.starts_with("Later") => Lookup::Later,
            _ if logical_id.starts_with("Absent") => Lookup::Absent,
            "Arn" => Lookup::Known(json!(format!("arn:{logical_id}"))),
            "Blocks" => Lookup::Known(json!(["2001:db8::/56"])),
            "Outputs.Url" => Lookup::Known(json!("http://x")),
            _ => Lookup::Absent,
        }
    }

    fn export(&self, name: &str) -> Option<String> {
        (name == "net-vpc").then(|| "vpc-1".to_owned())
    }

    fn zones(&self, region: &str) -> Vec<String> {
        ["a", "b", "c"].iter().map(|zone| format!("{region}{zone}")).collect()
    }

    fn ssm(&self, name: &str, version: Option<&str>) -> Option<String> {
        match (name, version) {
            ("/ami", None) => Some("ami-2".to_owned()),
            ("/ami", Some("1")) => Some("ami-1".to_owned()),
            ("/zones", None) => Some("x, y".to_owned()),
            _ => None,
        }
    }

    fn exists(&self, parameter_type: &str, value: &str) -> bool {
        !(parameter_type == "AWS::EC2::VPC::Id" && value == "vpc-gone")
    }
}

pub(crate) fn given(values: &[(&str, &str)]) -> BTreeMap<String, Given> {
    values.iter().map(|(name, value)| ((*name).to_owned(), Given::Value((*value).to_owned()))).collect()
}

/// Everything that an expression of the template comes to.
pub(crate) fn resolve_with(
    template: &Template,
    values: &[(&str, &str)],
    pick: impl FnOnce(&Template) -> &Expression,
) -> Result<Option<Json>, TemplateError> {
    let arguments = template.bind(&given(values), &Fake)?;
    let conditions = template.conditions(&arguments, &Fake)?;
    let scope = Scope { template, arguments: &arguments, conditions: &conditions, world: &Fake };
    pick(template).resolve(&scope)
}

/// The properties of all resources that exist, and the outputs, as one value.
pub(crate) fn all(template: &Template, values: &[(&str, &str)]) -> Result<Json, TemplateError> {
    let arguments = template.bind(&given(values), &Fake)?;
    let conditions = template.conditions(&arguments, &Fake)?;
    let scope = Scope { template, arguments: &arguments, conditions: &conditions, world: &Fake };
    let mut resources = serde_json::Map::new();
    for declaration in template.resources.iter().filter(|it| template.exists(it, &conditions)) {
        resources.insert(declaration.logical_id.clone(), Json::Object(declaration.properties_in(&scope)?));
    }
    let mut outputs = serde_json::Map::new();
    for output in &template.outputs {
        outputs.insert(output.name.clone(), json!([output.value_in(&scope)?, output.export_in(&scope)?]));
    }
    Ok(json!({"resources": resources, "outputs": outputs, "conditions": conditions}))
}
