//! The safety lever: engaged, it stops all experiments and lets none begin (FIS guide, safety-lever).

use capstan_shapes::Refusal;
use capstan_shapes::fis::{
    GetSafetyLeverRequest, GetSafetyLeverResponse, SafetyLever, SafetyLeverState, SafetyLeverStatus,
    SafetyLeverStatusInput, UpdateSafetyLeverStateRequest, UpdateSafetyLeverStateResponse,
};

use super::rows::{ExperimentIndex, Lever};
use super::{conflict, not_found, run};
use crate::{Caller, Engine};

/// The only one that an account has.
const ID: &str = "default";

/// An account begins with the lever disengaged.
pub(super) fn start(cx: &mut Engine) {
    cx.fis.lever.insert(Lever { status: SafetyLeverStatus::Disengaged, reason: "Initial state".to_owned() });
}

pub(super) fn is_disengaged(cx: &Engine) -> bool {
    cx.fis.lever.get(&()).is_none_or(|lever| lever.status == SafetyLeverStatus::Disengaged)
}

fn shown(cx: &Engine) -> SafetyLever {
    let state = cx
        .fis
        .lever
        .get(&())
        .map(|lever| SafetyLeverState { status: Some(lever.status), reason: Some(lever.reason.clone()) });
    SafetyLever {
        id: Some(ID.to_owned()),
        arn: Some(cx.arn("fis", format_args!("safety-lever/{ID}"))),
        state,
    }
}

pub(super) fn get(
    cx: &mut Engine,
    _: &Caller,
    request: GetSafetyLeverRequest,
) -> Result<GetSafetyLeverResponse, Refusal> {
    if request.id != ID {
        return Err(not_found("safety lever", &request.id));
    }
    Ok(GetSafetyLeverResponse { safety_lever: Some(shown(cx)) })
}

pub(super) fn update(
    cx: &mut Engine,
    _: &Caller,
    request: UpdateSafetyLeverStateRequest,
) -> Result<UpdateSafetyLeverStateResponse, Refusal> {
    if request.id != ID {
        return Err(not_found("safety lever", &request.id));
    }
    let engages = request.state.status == SafetyLeverStatusInput::Engaged;
    if cx.fis.lever.get(&()).is_some_and(|lever| lever.status == SafetyLeverStatus::Engaging) {
        return Err(conflict("The safety lever is engaging: experiments are still being stopped."));
    }
    if let Some(mut lever) = cx.fis.lever.edit(&()) {
        lever.status = if engages { SafetyLeverStatus::Engaging } else { SafetyLeverStatus::Disengaged };
        lever.reason = request.state.reason;
    }
    if engages {
        for id in cx.fis.experiments.keys_by(&ExperimentIndex::Active) {
            run::stop(cx, &id, "Experiment stopped: the safety lever was engaged.");
        }
        experiment_ended(cx);
    }
    Ok(UpdateSafetyLeverStateResponse { safety_lever: Some(shown(cx)) })
}

/// A lever that engages is engaged when the last experiment has ended.
pub(super) fn experiment_ended(cx: &mut Engine) {
    if cx.fis.experiments.count_by(&ExperimentIndex::Active) > 0 {
        return;
    }
    let engaging = |lever: &Lever| lever.status == SafetyLeverStatus::Engaging;
    if cx.fis.lever.get(&()).is_some_and(engaging)
        && let Some(mut lever) = cx.fis.lever.edit(&())
    {
        lever.status = SafetyLeverStatus::Engaged;
    }
}
