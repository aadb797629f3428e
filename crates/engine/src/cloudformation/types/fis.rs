//! Fault Injection Service: experiment templates.

use capstan_shapes::Refusal;
use capstan_shapes::fis as shapes;
use serde_json::Value as Json;

use super::super::resource::{Handler, Progress, Resource, always, call};
use super::common::{attributes, tag_changes};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "AWS::FIS::ExperimentTemplate",
    inert: None,
    create: create_template,
    update: update_template,
    delete: delete_template,
    stable: always,
    attributes: |_, resource| attributes([("Id", resource.physical_id.clone())]),
}];

/// The API calls the place of reports otherwise.
fn as_request(resource: &Resource) -> Resource {
    let mut resource = resource.clone();
    if let Some(Json::Object(configuration)) = resource.properties.get_mut("ExperimentReportConfiguration")
        && let Some(Json::Object(outputs)) = configuration.get_mut("Outputs")
        && let Some(place) = outputs.shift_remove("ExperimentReportS3Configuration")
    {
        outputs.insert("s3Configuration".to_owned(), place);
    }
    resource
}

fn create_template(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreateExperimentTemplateRequest = as_request(resource).request(&[])?;
    request.client_token.clone_from(&resource.request_token);
    request.tags = Some(resource.all_tags()).filter(|tags| !tags.is_empty());
    let made = call(cx, request)?.experiment_template.unwrap_or_default();
    Ok(made.id.unwrap_or_default())
}

fn update_template(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let mut request: shapes::UpdateExperimentTemplateRequest = as_request(new).request(&[])?;
    request.id.clone_from(&new.physical_id);
    // An empty log configuration is none (FIS guide, monitoring-logging).
    if old.get("LogConfiguration").is_some() {
        request.log_configuration.get_or_insert_default();
    }
    call(cx, request)?;
    let (tags, gone) = tag_changes(old, new);
    let resource_arn = cx.arn("fis", format_args!("experiment-template/{}", new.physical_id));
    if !gone.is_empty() {
        let resource_arn = resource_arn.clone();
        call(cx, shapes::UntagResourceRequest { resource_arn, tag_keys: Some(gone) })?;
    }
    if !tags.is_empty() {
        call(cx, shapes::TagResourceRequest { resource_arn, tags })?;
    }
    Ok(())
}

fn delete_template(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if cx.fis().templates().contains(&resource.physical_id) {
        call(cx, shapes::DeleteExperimentTemplateRequest { id: resource.physical_id.clone() })?;
    }
    Ok(Progress::Done)
}
