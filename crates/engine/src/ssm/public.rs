//! The public parameters that name the newest images of Amazon Linux.
//!
//! They are computed from the releases that EC2 describes, so that both always agree; nothing is stored.

use capstan_model::{Region, Time};
use capstan_shapes::ssm::{Parameter, ParameterType};

use crate::ec2::{Release, releases};

const ECS_IMAGES: &str = "/aws/service/ecs/optimized-ami/";
const AMAZON_LINUX_IMAGES: &str = "/aws/service/ami-amazon-linux-latest/";

const FIELDS: [&str; 8] = [
    "ecs_agent_version",
    "ecs_runtime_version",
    "image_id",
    "image_name",
    "image_version",
    "os",
    "schema_version",
    "source_image_name",
];

/// The parameter of that name. There is one version of each.
pub(super) fn find(region: &Region, name: &str) -> Option<Parameter> {
    let (release, value) = lookup(region, name)?;
    let is_image = value.starts_with("ami-");
    Some(Parameter {
        name: Some(name.to_owned()),
        r#type: Some(ParameterType::String),
        value: Some(value),
        version: Some(1),
        selector: None,
        source_result: None,
        last_modified_date: Time::parse_iso(release.created),
        arn: Some(format!("arn:aws:ssm:{}::parameter{name}", region.name)),
        // The ECS names hold text, Amazon Linux's are declared to hold an image.
        data_type: Some(
            if is_image && name.starts_with(AMAZON_LINUX_IMAGES) { "aws:ec2:image" } else { "text" }.into(),
        ),
    })
}

/// Every name below a path that ends with a slash, in order.
pub(super) fn names_below(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    for release in releases() {
        if release.ecs.is_none() {
            names.push(format!("{AMAZON_LINUX_IMAGES}{}", release.parameter));
            continue;
        }
        for which in ["recommended", release.name] {
            let name = format!("{ECS_IMAGES}{}/{which}", release.parameter);
            names.extend(FIELDS.iter().map(|field| format!("{name}/{field}")));
            names.push(name);
        }
    }
    names.retain(|name| name.starts_with(path));
    names.sort_unstable();
    names
}

fn lookup(region: &Region, name: &str) -> Option<(&'static Release, String)> {
    if let Some(parameter) = name.strip_prefix(AMAZON_LINUX_IMAGES) {
        // The kernel can be named; the default one is the same.
        let usual = parameter.replace("-kernel-6.1-", "-kernel-default-");
        let release = releases().iter().find(|each| each.ecs.is_none() && each.parameter == usual)?;
        return Some((release, release.id(region.name)));
    }
    let rest = name.strip_prefix(ECS_IMAGES)?;
    releases().iter().filter(|each| each.ecs.is_some()).find_map(|release| {
        let rest = rest.strip_prefix(release.parameter)?.strip_prefix('/')?;
        let rest = rest.strip_prefix("recommended").or_else(|| rest.strip_prefix(release.name))?;
        let value = match rest {
            "" => document(release, region),
            _ => field(release, region, rest.strip_prefix('/')?)?,
        };
        Some((release, value))
    })
}

fn field(release: &Release, region: &Region, name: &str) -> Option<String> {
    let ecs = release.ecs.as_ref()?;
    Some(match name {
        "ecs_agent_version" => ecs.agent_version.to_owned(),
        "ecs_runtime_version" => ecs.runtime_version.to_owned(),
        "image_id" => release.id(region.name),
        "image_name" => release.name.to_owned(),
        "image_version" => ecs.image_version.to_owned(),
        "os" => release.system.as_str().to_owned(),
        "schema_version" => "1".to_owned(),
        "source_image_name" => ecs.source_image.to_owned(),
        _ => return None,
    })
}

/// All of a release as one JSON document. None of the texts needs escaping.
fn document(release: &Release, region: &Region) -> String {
    let members = FIELDS.iter().filter_map(|name| {
        let value = field(release, region, name)?;
        Some(match *name {
            "schema_version" => format!("\"{name}\":{value}"),
            _ => format!("\"{name}\":\"{value}\""),
        })
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
