//! SignalResource, and the creation policies that wait for signals.

use capstan_model::{Span, Time};
use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    ResourceSignalStatus, ResourceStatus, SignalResourceRequest, SignalResourceResponse,
};
use serde_json::Value as Json;

use super::resource::{Progress, Resource, scalar};
use super::rows::{Signal, StackId};
use super::{definition, stack};
use crate::kernel::Event;
use crate::{Caller, Engine, ec2};

/// What a creation policy waits without saying how long (CloudFormation guide, CreationPolicy).
const TIMEOUT: Span = Span::from_mins(5);

pub(super) fn signal(
    cx: &mut Engine,
    _caller: &Caller,
    request: SignalResourceRequest,
) -> Result<SignalResourceResponse, Refusal> {
    let stack = stack::live(cx, &request.stack_name)?;
    let key = (stack, request.logical_resource_id);
    let Some(row) = cx.cloudformation.resources.get(&key) else {
        return Err(definition::invalid(format!(
            "Resource {} does not exist for stack {}",
            key.1, request.stack_name
        )));
    };
    if !matches!(row.status, ResourceStatus::CreateInProgress | ResourceStatus::UpdateInProgress) {
        return Err(definition::invalid(format!(
            "Resource {} is in {} state and can not be signaled",
            key.1, row.status
        )));
    }
    let (stack, logical_id) = key;
    let success = request.status == ResourceSignalStatus::Success;
    let time = cx.now;
    cx.cloudformation.signals.insert(Signal {
        stack,
        logical_id,
        unique_id: request.unique_id,
        success,
        data: None,
        reason: None,
        time,
    });
    Ok(SignalResourceResponse {})
}

/// An instance that has started sends the signals that its user data ends with.
pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    let Event::InstanceState { instance, state: "running" } = event else { return };
    let user_data = cx.ec2.instances().get(instance).and_then(|row| row.user_data.as_deref());
    for sent in user_data.map(ec2::cfn_signals).unwrap_or_default() {
        let request = SignalResourceRequest {
            stack_name: sent.stack,
            logical_resource_id: sent.resource,
            unique_id: instance.to_string(),
            status: ResourceSignalStatus::Success,
        };
        // Nobody may be waiting any more; the command would print that, and nobody reads it.
        let _unread = cx.call(Caller::Agent(*instance), request);
    }
}

/// What the bucket of wait condition handles is called, before the region.
const HANDLES: &str = "cloudformation-waitcondition-";

/// Where a PUT signals a wait condition handle (CloudFormation guide, wait conditions): an object's URL in a bucket of
/// CloudFormation's own, which is answered here.
pub(super) fn handle_url(cx: &Engine, stack: &str, logical_id: &str) -> String {
    format!("{}/{HANDLES}{}/{stack}/{logical_id}", cx.config.endpoint, cx.config.region.name)
}

/// The stack and the logical id of the handle with that URL.
pub(super) fn of_url(url: &str) -> Option<(StackId, String)> {
    let (_, key) = url.split_once(HANDLES)?.1.split_once('/')?;
    of_key(key)
}

fn of_key(key: &str) -> Option<(StackId, String)> {
    let (stack, logical_id) = key.rsplit_once('/')?;
    Some((StackId::from(stack), logical_id.to_owned()))
}

/// An object put where handles are is a signal, such as `{"Status": "SUCCESS", "UniqueId": "1", "Data": "", "Reason": ""}`.
/// `None`: the bucket is not that of handles.
pub(crate) fn receive(cx: &mut Engine, bucket: &str, key: &str, body: &[u8]) -> Option<Result<(), Refusal>> {
    if !bucket.starts_with(HANDLES) {
        return None;
    }
    let key = of_key(key).filter(|key| cx.cloudformation.resources.contains(key));
    let Some((stack, logical_id)) = key else {
        return Some(Err(
            Refusal::new("AccessDenied", "There is no such wait condition handle.").with_status(403)
        ));
    };
    let said: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| said.get(name).map(scalar);
    let (status, unique_id) = (text("Status").unwrap_or_default(), text("UniqueId").unwrap_or_default());
    if !matches!(status.as_str(), "SUCCESS" | "FAILURE") || unique_id.is_empty() {
        let message =
            "A signal is a JSON object with Status (SUCCESS or FAILURE), UniqueId, Data and Reason.";
        return Some(Err(Refusal::new("InvalidRequest", message)));
    }
    let time = cx.now;
    let (success, data, reason) = (status == "SUCCESS", text("Data"), text("Reason"));
    cx.cloudformation.signals.insert(Signal { stack, logical_id, unique_id, success, data, reason, time });
    Some(Ok(()))
}

/// Every signal of a resource, by unique id.
pub(super) fn of(cx: &Engine, stack: &StackId, logical_id: &str) -> Vec<Signal> {
    let first = (StackId::clone(stack), logical_id.to_owned(), String::new());
    let signals = cx.cloudformation.signals.range(first..);
    signals.take_while(|row| row.stack == *stack && row.logical_id == logical_id).cloned().collect()
}

/// The resource is gone.
pub(super) fn forget(cx: &mut Engine, stack: &str, logical_id: &str) {
    for signal in of(cx, &StackId::from(stack), logical_id) {
        cx.cloudformation.signals.remove(&(signal.stack, signal.logical_id, signal.unique_id));
    }
}

/// The signals that came for a resource since then: successes and failures.
pub(super) fn count(cx: &Engine, stack: &StackId, logical_id: &str, since: Time) -> (usize, usize) {
    let first = (StackId::clone(stack), logical_id.to_owned(), String::new());
    let signals = cx.cloudformation.signals.range(first..);
    let of_resource = signals.take_while(|row| row.stack == *stack && row.logical_id == logical_id);
    of_resource
        .filter(|row| row.time >= since)
        .fold((0, 0), |(good, bad), row| if row.success { (good + 1, bad) } else { (good, bad + 1) })
}

/// Whether a new resource has got the signals that its creation policy waits for.
pub(super) fn received(
    cx: &Engine,
    stack: &StackId,
    resource: &Resource,
    since: Time,
) -> Result<Progress, Refusal> {
    let Some(policy) = resource.creation_policy.get("ResourceSignal") else { return Ok(Progress::Done) };
    let wanted = policy.get("Count").map(scalar).and_then(|text| text.parse().ok()).unwrap_or(1_usize);
    let timeout = policy.get("Timeout").and_then(Json::as_str).and_then(duration).unwrap_or(TIMEOUT);
    let percent = resource
        .creation_policy
        .pointer("/AutoScalingCreationPolicy/MinSuccessfulInstancesPercent")
        .map(scalar)
        .and_then(|text| text.parse().ok())
        .unwrap_or(100_usize);
    let needed = (wanted * percent).div_ceil(100);
    let (good, bad) = count(cx, stack, &resource.logical_id, since);
    if good >= needed {
        return Ok(Progress::Done);
    }
    let failed = |message: String| Err(Refusal::new("NotStabilized", message));
    if bad > wanted.saturating_sub(needed) {
        return failed(format!("Received {bad} FAILURE signal(s) out of {wanted}."));
    }
    if cx.now - since >= timeout {
        return failed(format!(
            "Failed to receive {needed} resource signal(s) within the specified duration"
        ));
    }
    Ok(Progress::InProgress)
}

/// `PT1H30M5S`: hours, minutes and seconds (ISO 8601).
pub(super) fn duration(text: &str) -> Option<Span> {
    let mut seconds: i64 = 0;
    let mut number = String::new();
    for letter in text.strip_prefix("PT")?.chars() {
        let unit = match letter {
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            digit if digit.is_ascii_digit() => {
                number.push(digit);
                continue;
            }
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then(|| Span::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, seconds: Option<i64>| {
            assert_eq!(duration(text), seconds.map(Span::from_secs), "{text}");
        };
        check("PT5M", Some(300));
        check("PT1H30M5S", Some(5_405));
        check("PT", Some(0));
        check("5M", None);
        check("PT5", None);
        check("PTM", None);
        check("PT99999999999999999999S", None);
    }
}
