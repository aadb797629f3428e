//! SQS: queues and their policies.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::sqs as shapes;
use serde_json::{Map, Value as Json};

use super::super::resource::{Handler, Progress, Resource, always, call, no_attributes, scalar};
use super::common::{already_exists, attributes, tag_changes, texts};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::SQS::Queue",
        inert: None,
        create: create_queue,
        update: update_queue,
        delete: delete_queue,
        stable: always,
        attributes: queue_attributes,
    },
    Handler {
        type_name: "AWS::SQS::QueuePolicy",
        inert: None,
        create: create_policy,
        update: update_policy,
        delete: delete_policy,
        stable: always,
        attributes: no_attributes,
    },
];

/// What a property is when the template does not say it (API reference, SetQueueAttributes).
const DEFAULTS: &[(&str, &str)] = &[
    ("DelaySeconds", "0"),
    ("KmsDataKeyReusePeriodSeconds", "300"),
    ("KmsMasterKeyId", ""),
    ("MaximumMessageSize", "1048576"),
    ("MessageRetentionPeriod", "345600"),
    ("ReceiveMessageWaitTimeSeconds", "0"),
    ("RedriveAllowPolicy", ""),
    ("RedrivePolicy", ""),
    ("SqsManagedSseEnabled", "true"),
    ("VisibilityTimeout", "30"),
];

/// The properties that are attributes of the queue, as texts.
fn settings(resource: &Resource) -> BTreeMap<String, String> {
    let is_setting = |name: &str| !matches!(name, "QueueName" | "Tags");
    let properties = resource.properties.iter().filter(|(name, _)| is_setting(name));
    // `FifoQueue: false` is what a standard queue is; the API knows only `true`.
    let said = properties.filter(|(name, value)| !(*name == "FifoQueue" && **value == Json::Bool(false)));
    said.map(|(name, value)| (name.clone(), scalar(value))).collect()
}

fn name_of(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, name)| name)
}

fn create_queue(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "QueueName", 80);
    // CreateQueue would give the one that is there.
    if cx.sqs().queues().contains(&name.as_str().into()) {
        return Err(already_exists("AWS::SQS::Queue", "QueueName", &name));
    }
    let request = shapes::CreateQueueRequest {
        queue_name: name,
        attributes: Some(settings(resource)),
        tags: Some(resource.all_tags()).filter(|tags| !tags.is_empty()),
    };
    Ok(call(cx, request)?.queue_url.unwrap_or_default())
}

fn update_queue(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let (before, mut wanted) = (settings(old), settings(new));
    for (name, default) in DEFAULTS {
        if before.contains_key(*name) {
            wanted.entry((*name).to_owned()).or_insert_with(|| (*default).to_owned());
        }
    }
    wanted.retain(|name, value| before.get(name) != Some(value));
    let queue_url = new.physical_id.clone();
    if !wanted.is_empty() {
        let queue_url = queue_url.clone();
        call(cx, shapes::SetQueueAttributesRequest { queue_url, attributes: wanted })?;
    }
    let (tags, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        let queue_url = queue_url.clone();
        call(cx, shapes::UntagQueueRequest { queue_url, tag_keys: gone })?;
    }
    if !tags.is_empty() {
        call(cx, shapes::TagQueueRequest { queue_url, tags })?;
    }
    Ok(())
}

fn delete_queue(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if exists(cx, &resource.physical_id) {
        call(cx, shapes::DeleteQueueRequest { queue_url: resource.physical_id.clone() })?;
    }
    Ok(Progress::Done)
}

fn exists(cx: &Engine, url: &str) -> bool {
    cx.sqs().queues().contains(&name_of(url).into())
}

fn queue_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let name = name_of(&resource.physical_id).to_owned();
    attributes([
        ("Arn", cx.arn("sqs", &name)),
        ("QueueUrl", resource.physical_id.clone()),
        ("QueueName", name),
    ])
}

// Policies

fn create_policy(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    put_policy(cx, resource)?;
    Ok(resource.name(cx, "", 255))
}

fn put_policy(cx: &mut Engine, resource: &Resource) -> Result<(), Refusal> {
    let document = resource.get("PolicyDocument").map(scalar).unwrap_or_default();
    for queue in texts(resource, "Queues") {
        set_policy(cx, queue, document.clone())?;
    }
    Ok(())
}

fn set_policy(cx: &mut Engine, queue_url: String, document: String) -> Result<(), Refusal> {
    let attributes = BTreeMap::from([("Policy".to_owned(), document)]);
    call(cx, shapes::SetQueueAttributesRequest { queue_url, attributes }).map(drop)
}

fn update_policy(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let kept = texts(new, "Queues");
    clear(cx, texts(old, "Queues").into_iter().filter(|queue| !kept.contains(queue)).collect())?;
    put_policy(cx, new)
}

fn clear(cx: &mut Engine, queues: Vec<String>) -> Result<(), Refusal> {
    for queue in queues {
        if exists(cx, &queue) {
            set_policy(cx, queue, String::new())?;
        }
    }
    Ok(())
}

fn delete_policy(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    clear(cx, texts(resource, "Queues"))?;
    Ok(Progress::Done)
}
