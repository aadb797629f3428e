//! Ten of the same at once: each entry succeeds or fails for itself.

use std::collections::{BTreeMap, BTreeSet};

use capstan_shapes::{Refusal, sqs as shapes};
use shapes::BatchResultErrorEntry;

use super::{key, receive, send};
use crate::{Caller, Engine};

const ENTRIES_MAX: usize = 10;
/// Of all messages of a batch (API reference, SendMessageBatch).
const BATCH_BYTES_MAX: u64 = 1_048_576;

pub(super) fn send(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::SendMessageBatchRequest,
) -> Result<shapes::SendMessageBatchResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    check("SendMessageBatchRequestEntry", request.entries.iter().map(|entry| entry.id.as_str()))?;
    let none = BTreeMap::new();
    let sizes = request
        .entries
        .iter()
        .map(|entry| send::bytes(&entry.message_body, entry.message_attributes.as_ref().unwrap_or(&none)));
    let size: u64 = sizes.sum();
    if size > BATCH_BYTES_MAX {
        return Err(Refusal::of(
            &shapes::BATCH_REQUEST_TOO_LONG,
            format!(
                "Batch requests cannot be longer than {BATCH_BYTES_MAX} bytes. You have sent {size} bytes."
            ),
        ));
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in request.entries {
        let id = entry.id.clone();
        match send::put(cx, caller, &name, entry) {
            Ok(sent) => successful.push(sent),
            Err(refusal) => failed.push(failure(id, refusal)),
        }
    }
    Ok(shapes::SendMessageBatchResponse { successful, failed })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteMessageBatchRequest,
) -> Result<shapes::DeleteMessageBatchResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    check("DeleteMessageBatchRequestEntry", request.entries.iter().map(|entry| entry.id.as_str()))?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in request.entries {
        match receive::delete_one(cx, &name, &entry.receipt_handle) {
            Ok(()) => successful.push(shapes::DeleteMessageBatchResultEntry { id: entry.id }),
            Err(refusal) => failed.push(failure(entry.id, refusal)),
        }
    }
    Ok(shapes::DeleteMessageBatchResponse { successful, failed })
}

pub(super) fn change_visibility(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ChangeMessageVisibilityBatchRequest,
) -> Result<shapes::ChangeMessageVisibilityBatchResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let ids = request.entries.iter().map(|entry| entry.id.as_str());
    check("ChangeMessageVisibilityBatchRequestEntry", ids)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in request.entries {
        match receive::change_one(cx, &name, &entry.receipt_handle, entry.visibility_timeout) {
            Ok(()) => successful.push(shapes::ChangeMessageVisibilityBatchResultEntry { id: entry.id }),
            Err(refusal) => failed.push(failure(entry.id, refusal)),
        }
    }
    Ok(shapes::ChangeMessageVisibilityBatchResponse { successful, failed })
}

/// What makes a whole batch wrong.
fn check<'a>(entries: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        let message = format!("There should be at least one {entries} in the request.");
        return Err(Refusal::of(&shapes::EMPTY_BATCH_REQUEST, message));
    }
    if ids.len() > ENTRIES_MAX {
        return Err(Refusal::of(
            &shapes::TOO_MANY_ENTRIES_IN_BATCH_REQUEST,
            format!("Maximum number of entries per request are {ENTRIES_MAX}. You have sent {}.", ids.len()),
        ));
    }
    let plain = |id: &str| {
        (1..=80).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    if !ids.iter().all(|id| plain(id)) {
        return Err(Refusal::of(
            &shapes::INVALID_BATCH_ENTRY_ID,
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
        ));
    }
    let mut seen = BTreeSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        None => Ok(()),
        Some(id) => Err(Refusal::of(&shapes::BATCH_ENTRY_IDS_NOT_DISTINCT, format!("Id {id} repeated."))),
    }
}

fn failure(id: String, refusal: Refusal) -> BatchResultErrorEntry {
    BatchResultErrorEntry {
        id,
        sender_fault: refusal.status < 500,
        code: refusal.code.into_owned(),
        message: Some(refusal.message),
    }
}
