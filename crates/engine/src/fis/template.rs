//! Experiment templates.

use capstan_shapes::Refusal;
use capstan_shapes::fis::{
    self, CREATE_EXPERIMENT_TEMPLATE_REQUEST, CreateExperimentTemplateRequest,
    CreateExperimentTemplateResponse, DeleteExperimentTemplateRequest, DeleteExperimentTemplateResponse,
    EXPERIMENT_TEMPLATE, EmptyTargetResolutionMode, ExperimentTemplate, ExperimentTemplateSummary,
    GetExperimentTemplateRequest, GetExperimentTemplateResponse, ListExperimentTemplatesRequest,
    ListExperimentTemplatesResponse, UPDATE_EXPERIMENT_TEMPLATE_REQUEST, UpdateExperimentTemplateRequest,
    UpdateExperimentTemplateResponse,
};

use super::{Template, conflict, draw_id, not_found, paged, plan, quota, tag};
use crate::kernel::{overlay, recast};
use crate::{Caller, Engine};

/// FIS guide, fis-quotas.
const TEMPLATES_MAX: usize = 500;

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: CreateExperimentTemplateRequest,
) -> Result<CreateExperimentTemplateResponse, Refusal> {
    if let Some(before) = cx.fis.templates.by(&request.client_token).next() {
        if *before.request != request {
            return Err(conflict("Another experiment template was created with this client token."));
        }
        return Ok(CreateExperimentTemplateResponse { experiment_template: Some(before.document.clone()) });
    }
    let mut document: ExperimentTemplate =
        recast(request.clone(), &CREATE_EXPERIMENT_TEMPLATE_REQUEST, &EXPERIMENT_TEMPLATE);
    tidy(&mut document);
    tag::check(caller, document.tags.iter().flatten())?;
    plan::read(cx, &document)?;
    if cx.fis.templates.len() >= TEMPLATES_MAX {
        return Err(quota(format!("An account can have at most {TEMPLATES_MAX} experiment templates.")));
    }
    let id = draw_id(cx, "EXT", 14);
    document.arn = Some(cx.arn("fis", format_args!("experiment-template/{id}")));
    document.id = Some(id.clone());
    document.creation_time = Some(cx.now);
    document.last_update_time = Some(cx.now);
    document.tags.get_or_insert_default();
    document.target_account_configurations_count = Some(0);
    let answer = document.clone();
    cx.fis.templates.insert(Template { id, document, request: Box::new(request) });
    Ok(CreateExperimentTemplateResponse { experiment_template: Some(answer) })
}

/// What was not said is shown as it counts; an empty log configuration is none (FIS guide, monitoring-logging).
fn tidy(document: &mut ExperimentTemplate) {
    let logs = document.log_configuration.as_ref();
    if logs
        .is_some_and(|logs| logs.cloud_watch_logs_configuration.is_none() && logs.s3_configuration.is_none())
    {
        document.log_configuration = None;
    }
    document.targets.get_or_insert_default();
    let options = document.experiment_options.get_or_insert_default();
    options.account_targeting.get_or_insert(fis::AccountTargeting::SingleAccount);
    options.empty_target_resolution_mode.get_or_insert(EmptyTargetResolutionMode::Fail);
}

pub(super) fn find<'a>(cx: &'a Engine, id: &str) -> Result<&'a Template, Refusal> {
    cx.fis.templates.get(&id.to_owned()).ok_or_else(|| not_found("experiment template", id))
}

pub(super) fn get(
    cx: &mut Engine,
    _: &Caller,
    request: GetExperimentTemplateRequest,
) -> Result<GetExperimentTemplateResponse, Refusal> {
    let document = find(cx, &request.id)?.document.clone();
    Ok(GetExperimentTemplateResponse { experiment_template: Some(document) })
}

pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: ListExperimentTemplatesRequest,
) -> Result<ListExperimentTemplatesResponse, Refusal> {
    let rows = cx.fis.templates.iter();
    let page = paged(rows, |row| row.id.clone(), request.next_token, request.max_results)?;
    let shown = |row: &&Template| {
        let document = row.document.clone();
        ExperimentTemplateSummary {
            id: document.id,
            arn: document.arn,
            description: document.description,
            creation_time: document.creation_time,
            last_update_time: document.last_update_time,
            tags: document.tags,
        }
    };
    let experiment_templates = Some(page.items.iter().map(shown).collect());
    Ok(ListExperimentTemplatesResponse { experiment_templates, next_token: page.next })
}

/// What the request has replaces what was there, target map and action map as a whole. Experiments that run keep what
/// they started with.
pub(super) fn update(
    cx: &mut Engine,
    _: &Caller,
    request: UpdateExperimentTemplateRequest,
) -> Result<UpdateExperimentTemplateResponse, Refusal> {
    let id = request.id.clone();
    let mut before = find(cx, &id)?.document.clone();
    let options = before.experiment_options.take();
    let change: ExperimentTemplate =
        recast(request, &UPDATE_EXPERIMENT_TEMPLATE_REQUEST, &EXPERIMENT_TEMPLATE);
    let mut document = overlay(before, change);
    document.experiment_options = match (options, document.experiment_options.take()) {
        (Some(before), Some(change)) => Some(overlay(before, change)),
        (before, change) => change.or(before),
    };
    tidy(&mut document);
    document.last_update_time = Some(cx.now);
    plan::read(cx, &document)?;
    if let Some(mut row) = cx.fis.templates.edit(&id) {
        row.document = document.clone();
    }
    Ok(UpdateExperimentTemplateResponse { experiment_template: Some(document) })
}

pub(super) fn delete(
    cx: &mut Engine,
    _: &Caller,
    request: DeleteExperimentTemplateRequest,
) -> Result<DeleteExperimentTemplateResponse, Refusal> {
    let document = find(cx, &request.id)?.document.clone();
    cx.fis.templates.remove(&request.id);
    Ok(DeleteExperimentTemplateResponse { experiment_template: Some(document) })
}
