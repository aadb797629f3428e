//! Queues: made, found, emptied, deleted, tagged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_model::Span;
use capstan_shapes::{Refusal, sqs as shapes};
use shapes::QueueAttributeName as Name;

use super::{
    DeletedQueue, Queue, Settings, Traffic, attributes, in_range, invalid_value, key, metrics, named,
    no_queue, url,
};
use crate::kernel::page;
use crate::{Caller, Engine};

/// A name is free again so long after its queue was deleted, and a queue can be purged so often (API reference).
const PAUSE: Span = Span::from_secs(60);
const TAGS_MAX: usize = 50;

pub(super) fn create(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::CreateQueueRequest,
) -> Result<shapes::CreateQueueResponse, Refusal> {
    let name: Arc<str> = request.queue_name.into();
    let given = request.attributes.unwrap_or_default();
    if name.ends_with(".fifo") || given.contains_key(Name::FifoQueue.as_str()) {
        return Err(attributes::no_fifo());
    }
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !is_plain || !(1..=80).contains(&name.len()) {
        return Err(invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    let queue_url = Some(url(cx, &name));
    let settings = Settings::default().with(cx, &name, &given)?;
    if let Some(queue) = cx.sqs.queues.get(&name) {
        // Only what the request names must agree.
        let (wanted, there) = (settings.shown(), queue.settings.shown());
        let differs =
            |text: &&String| Name::parse(text).is_some_and(|name| wanted.get(&name) != there.get(&name));
        return match given.keys().find(differs) {
            None => Ok(shapes::CreateQueueResponse { queue_url }),
            Some(attribute) => Err(Refusal::of(
                &shapes::QUEUE_NAME_EXISTS,
                format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                ),
            )),
        };
    }
    if cx.sqs.deleted.contains(&name) {
        return Err(Refusal::of(
            &shapes::QUEUE_DELETED_RECENTLY,
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        ));
    }
    let now = cx.now;
    cx.sqs.queues.insert(Queue {
        name: Arc::clone(&name),
        created: now,
        modified: now,
        settings,
        tags: request.tags.unwrap_or_default(),
        purged: None,
        messages: BTreeMap::new(),
        visible: BTreeSet::new(),
        sent: BTreeSet::new(),
        bytes: 0,
        traffic: Traffic::default(),
        active_until: now,
        measured_at: None,
    });
    metrics::touch(cx, &name);
    Ok(shapes::CreateQueueResponse { queue_url })
}

pub(super) fn url_of(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetQueueUrlRequest,
) -> Result<shapes::GetQueueUrlResponse, Refusal> {
    let here = request.queue_owner_aws_account_id.is_none_or(|account| account == cx.config.account);
    let queue = cx.sqs.queues.get(&Arc::from(request.queue_name)).filter(|_| here).ok_or_else(no_queue)?;
    Ok(shapes::GetQueueUrlResponse { queue_url: Some(url(cx, &queue.name)) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListQueuesRequest,
) -> Result<shapes::ListQueuesResponse, Refusal> {
    let prefix = request.queue_name_prefix.unwrap_or_default();
    let found = cx.sqs.queues.iter().filter(|queue| queue.name.starts_with(prefix.as_str()));
    let (urls, next_token) = urls(cx, found, request.max_results, request.next_token.as_deref())?;
    Ok(shapes::ListQueuesResponse { queue_urls: Some(urls).filter(|urls| !urls.is_empty()), next_token })
}

pub(super) fn list_sources(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListDeadLetterSourceQueuesRequest,
) -> Result<shapes::ListDeadLetterSourceQueuesResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let found = cx.sqs.queues.by(&name);
    let (queue_urls, next_token) = urls(cx, found, request.max_results, request.next_token.as_deref())?;
    Ok(shapes::ListDeadLetterSourceQueuesResponse { queue_urls, next_token })
}

/// Up to a thousand URLs. There is a next token only for who set `MaxResults` (API reference, ListQueues).
fn urls<'a>(
    cx: &Engine,
    found: impl Iterator<Item = &'a Queue>,
    max: Option<i32>,
    token: Option<&str>,
) -> Result<(Vec<String>, Option<String>), Refusal> {
    let max = in_range(max, "MaxResults", 1..=1000)?;
    let size = max.and_then(|max| usize::try_from(max).ok());
    let page = page(found, |queue| queue.name.to_string(), token, size.unwrap_or(1000))
        .map_err(|()| invalid_value("Invalid or expired next token."))?;
    let urls = page.items.into_iter().map(|queue| url(cx, &queue.name)).collect();
    Ok((urls, page.next.filter(|_| size.is_some())))
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteQueueRequest,
) -> Result<shapes::DeleteQueueResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let row = cx.sqs.queues.remove(&name).ok_or_else(no_queue)?;
    cx.sqs.stored_bytes -= row.bytes;
    let free_at = cx.now + PAUSE;
    cx.sqs.deleted.insert(DeletedQueue { name, free_at });
    Ok(shapes::DeleteQueueResponse {})
}

pub(super) fn purge(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PurgeQueueRequest,
) -> Result<shapes::PurgeQueueResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let now = cx.now;
    let sqs = &mut cx.sqs;
    let mut row = sqs.queues.edit(&name).ok_or_else(no_queue)?;
    if row.purged.is_some_and(|purged| purged + PAUSE > now) {
        return Err(Refusal::of(
            &shapes::PURGE_QUEUE_IN_PROGRESS,
            format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds."),
        ));
    }
    row.purged = Some(now);
    sqs.stored_bytes -= row.bytes;
    row.bytes = 0;
    row.messages.clear();
    row.visible.clear();
    row.sent.clear();
    Ok(shapes::PurgeQueueResponse {})
}

pub(super) fn tag(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::TagQueueRequest,
) -> Result<shapes::TagQueueResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let mut row = cx.sqs.queues.edit(&name).ok_or_else(no_queue)?;
    let new = request.tags.keys().filter(|key| !row.tags.contains_key(*key)).count();
    if row.tags.len() + new > TAGS_MAX {
        return Err(invalid_value(format!("Too many tags added for queue {name}.")));
    }
    row.tags.extend(request.tags);
    Ok(shapes::TagQueueResponse {})
}

pub(super) fn untag(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UntagQueueRequest,
) -> Result<shapes::UntagQueueResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let mut row = cx.sqs.queues.edit(&name).ok_or_else(no_queue)?;
    row.tags.retain(|key, _| !request.tag_keys.contains(key));
    Ok(shapes::UntagQueueResponse {})
}

pub(super) fn list_tags(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListQueueTagsRequest,
) -> Result<shapes::ListQueueTagsResponse, Refusal> {
    let tags = named(cx, &request.queue_url)?.tags.clone();
    Ok(shapes::ListQueueTagsResponse { tags: Some(tags).filter(|tags| !tags.is_empty()) })
}
