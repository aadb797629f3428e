//! Launch templates.

use capstan_shapes::Refusal;
use capstan_shapes::ec2 as shapes;
use serde_json::{Map, Value as Json, json};

use super::super::super::resource::{Handler, Progress, Resource, always, call, shape_of};
use super::super::common::{attributes, changed};
use super::{retag, specification};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "AWS::EC2::LaunchTemplate",
    inert: None,
    create,
    update,
    delete,
    stable: always,
    attributes: read,
}];

fn data(resource: &Resource) -> Result<shapes::RequestLaunchTemplateData, Refusal> {
    let data = resource.get("LaunchTemplateData").unwrap_or(&Json::Null);
    shape_of(&shapes::REQUEST_LAUNCH_TEMPLATE_DATA, data)
}

/// The template's own tags stand in its tag specifications; they are made the property `Tags` that other types have.
fn with_tags(resource: &Resource) -> Resource {
    let mut resource = resource.clone();
    let specifications = resource.get("TagSpecifications").and_then(Json::as_array);
    let of_template = |item: &&Json| item.get("ResourceType").is_some_and(|kind| kind == "launch-template");
    let tags = specifications.into_iter().flatten().find(of_template).and_then(|item| item.get("Tags"));
    let tags = tags.cloned().unwrap_or_else(|| json!([]));
    resource.properties.insert("Tags".to_owned(), tags);
    resource
}

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request = shapes::CreateLaunchTemplateRequest {
        launch_template_name: resource.name(cx, "LaunchTemplateName", 128),
        launch_template_data: data(resource)?,
        version_description: resource.text("VersionDescription").map(str::to_owned),
        tag_specifications: specification("launch-template", &with_tags(resource)),
        client_token: Some(resource.request_token.clone()),
        ..Default::default()
    };
    let made = call(cx, request)?.launch_template;
    Ok(made.and_then(|template| template.launch_template_id).unwrap_or_default())
}

/// Other data make a new version; the default version stays: it cannot be set by CloudFormation (CloudFormation guide,
/// AWS::EC2::LaunchTemplate).
fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    if changed(old, new, "LaunchTemplateData") || changed(old, new, "VersionDescription") {
        let request = shapes::CreateLaunchTemplateVersionRequest {
            launch_template_id: Some(new.physical_id.clone()),
            launch_template_data: data(new)?,
            version_description: new.text("VersionDescription").map(str::to_owned),
            ..Default::default()
        };
        call(cx, request)?;
    }
    retag(cx, &with_tags(old), &with_tags(new), &new.physical_id)
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let request = shapes::DeleteLaunchTemplateRequest {
        launch_template_id: Some(resource.physical_id.clone()),
        ..Default::default()
    };
    call(cx, request)?;
    Ok(Progress::Done)
}

fn read(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let Some(row) = cx.ec2().launch_templates().get(&resource.physical_id) else { return Map::new() };
    attributes([
        ("DefaultVersionNumber", row.default_version.to_string()),
        ("LatestVersionNumber", row.latest_version.to_string()),
        ("LaunchTemplateId", row.id.clone()),
    ])
}
