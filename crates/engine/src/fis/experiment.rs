//! Experiments as they are started, shown and stopped; `run` is what happens between.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::fis::{
    ActionsMode, EXPERIMENT, EXPERIMENT_TEMPLATE, Experiment as Document, ExperimentActionState,
    ExperimentActionStatus, ExperimentState, ExperimentStatus, ExperimentSummary, GetExperimentRequest,
    GetExperimentResponse, ListExperimentResolvedTargetsRequest, ListExperimentResolvedTargetsResponse,
    ListExperimentsRequest, ListExperimentsResponse, ResolvedTarget, StartExperimentRequest,
    StartExperimentResponse, StopExperimentRequest, StopExperimentResponse,
};

use super::rows::{Experiment, ExperimentIndex, Stage};
use super::{conflict, draw_id, invalid, not_found, paged, plan, quota, run, tag, template};
use crate::kernel::recast;
use crate::{Caller, Engine};

/// FIS guide, fis-quotas.
const ACTIVE_MAX: usize = 5;

pub(super) fn start(
    cx: &mut Engine,
    caller: &Caller,
    request: StartExperimentRequest,
) -> Result<StartExperimentResponse, Refusal> {
    let token = ExperimentIndex::ClientToken(request.client_token.clone());
    if let Some(before) = cx.fis.experiments.by(&token).next() {
        if *before.request != request {
            return Err(conflict("Another experiment was started with this client token."));
        }
        return Ok(StartExperimentResponse { experiment: Some(before.document.clone()) });
    }
    tag::check(caller, request.tags.iter().flatten())?;
    let template = template::find(cx, &request.experiment_template_id)?.document.clone();
    let plan = plan::read(cx, &template)?;
    if cx.fis.experiments.count_by(&ExperimentIndex::Active) >= ACTIVE_MAX {
        return Err(quota(format!("An account can have at most {ACTIVE_MAX} active experiments.")));
    }
    let id = draw_id(cx, "EXP", 15);
    let mut document: Document = recast(template, &EXPERIMENT_TEMPLATE, &EXPERIMENT);
    document.arn = Some(cx.arn("fis", format_args!("experiment/{id}")));
    document.id = Some(id.clone());
    document.experiment_template_id = Some(request.experiment_template_id.clone());
    document.creation_time = Some(cx.now);
    document.start_time = Some(cx.now);
    document.tags = Some(request.tags.clone().unwrap_or_default());
    let options = request.experiment_options.as_ref();
    let mode = options.and_then(|options| options.actions_mode).unwrap_or(ActionsMode::RunAll);
    document.experiment_options.get_or_insert_default().actions_mode = Some(mode);
    document.state = Some(ExperimentState {
        status: Some(ExperimentStatus::Pending),
        reason: Some("Experiment is pending.".to_owned()),
        error: None,
    });
    for action in document.actions.iter_mut().flat_map(BTreeMap::values_mut) {
        action.state = Some(ExperimentActionState {
            status: Some(ExperimentActionStatus::Pending),
            reason: Some("Initial state".to_owned()),
        });
    }
    cx.fis.experiments.insert(Experiment {
        id: id.clone(),
        document,
        request: Box::new(request),
        plan,
        resolved: BTreeMap::new(),
        runs: BTreeMap::new(),
        stage: Stage::Initiating,
        due: None,
    });
    run::initiate(cx, &id);
    Ok(StartExperimentResponse { experiment: Some(find(cx, &id)?.document.clone()) })
}

pub(super) fn find<'a>(cx: &'a Engine, id: &str) -> Result<&'a Experiment, Refusal> {
    cx.fis.experiments.get(&id.to_owned()).ok_or_else(|| not_found("experiment", id))
}

pub(super) fn get(
    cx: &mut Engine,
    _: &Caller,
    request: GetExperimentRequest,
) -> Result<GetExperimentResponse, Refusal> {
    Ok(GetExperimentResponse { experiment: Some(find(cx, &request.id)?.document.clone()) })
}

/// The newest first.
pub(super) fn list(
    cx: &mut Engine,
    _: &Caller,
    request: ListExperimentsRequest,
) -> Result<ListExperimentsResponse, Refusal> {
    let template = request.experiment_template_id.as_deref();
    let of_template = |row: &&Experiment| {
        template.is_none_or(|template| row.document.experiment_template_id.as_deref() == Some(template))
    };
    let mut rows: Vec<&Experiment> = cx.fis.experiments.iter().filter(of_template).collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.document.creation_time), row.id.clone()));
    let page = paged(rows, |row| row.id.clone(), request.next_token, request.max_results)?;
    let shown = |row: &&Experiment| {
        let document = &row.document;
        ExperimentSummary {
            id: document.id.clone(),
            arn: document.arn.clone(),
            experiment_template_id: document.experiment_template_id.clone(),
            state: document.state.clone(),
            creation_time: document.creation_time,
            tags: document.tags.clone(),
            experiment_options: document.experiment_options.clone(),
        }
    };
    let experiments = Some(page.items.iter().map(shown).collect());
    Ok(ListExperimentsResponse { experiments, next_token: page.next })
}

pub(super) fn stop(
    cx: &mut Engine,
    _: &Caller,
    request: StopExperimentRequest,
) -> Result<StopExperimentResponse, Refusal> {
    let row = find(cx, &request.id)?;
    if !row.is_active() {
        let status = row.status().as_str();
        return Err(invalid(format!("Experiment {} cannot be stopped: it is {status}.", request.id)));
    }
    run::stop(cx, &request.id, "Experiment stopped by user.");
    Ok(StopExperimentResponse { experiment: Some(find(cx, &request.id)?.document.clone()) })
}

pub(super) fn resolved_targets(
    cx: &mut Engine,
    _: &Caller,
    request: ListExperimentResolvedTargetsRequest,
) -> Result<ListExperimentResolvedTargetsResponse, Refusal> {
    let row = find(cx, &request.experiment_id)?;
    let targets = row.document.targets.as_ref();
    if let Some(name) = &request.target_name
        && targets.is_none_or(|targets| !targets.contains_key(name))
    {
        return Err(not_found("target", name));
    }
    let wanted = |name: &str| request.target_name.as_deref().is_none_or(|wanted| wanted == name);
    let resolved = row.resolved.iter().filter(|(name, _)| wanted(name));
    let all: Vec<(&String, &String)> =
        resolved.flat_map(|(name, arns)| arns.iter().map(move |arn| (name, arn))).collect();
    let key = |(name, arn): &(&String, &String)| format!("{name} {arn}");
    let page = paged(all, key, request.next_token, request.max_results)?;
    let shown = |(name, arn): &(&String, &String)| ResolvedTarget {
        resource_type: targets.and_then(|targets| targets.get(*name)?.resource_type.clone()),
        target_name: Some((*name).clone()),
        target_information: Some([("arn".to_owned(), (*arn).clone())].into()),
    };
    let resolved_targets = Some(page.items.iter().map(shown).collect());
    Ok(ListExperimentResolvedTargetsResponse { resolved_targets, next_token: page.next })
}
