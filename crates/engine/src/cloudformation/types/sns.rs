//! SNS's resource types.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, sns as shapes};
use serde_json::{Map, Value as Json};

use super::common::{already_exists, attributes, changed, tag_changes, texts};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, random_suffix, scalar};

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::SNS::Subscription",
        inert: Some("queues get messages; other subscriptions are stored and read back"),
        create: create_subscription,
        update: update_subscription,
        delete: delete_subscription,
        stable: always,
        attributes: |_, resource| attributes([("Arn", resource.physical_id.clone())]),
    },
    Handler {
        type_name: "AWS::SNS::Topic",
        inert: None,
        create: create_topic,
        update: update_topic,
        delete: delete_topic,
        stable: always,
        attributes: topic_attributes,
    },
    Handler {
        type_name: "AWS::SNS::TopicPolicy",
        inert: Some("policies of topics are stored and read back, not enforced"),
        create: create_policy,
        update: update_policy,
        delete: delete_policy,
        stable: always,
        attributes: |_, resource| attributes([("Id", resource.physical_id.clone())]),
    },
];

/// Properties of a topic that are attributes of the same name.
const TOPIC_ATTRIBUTES: [&str; 8] = [
    "ArchivePolicy",
    "ContentBasedDeduplication",
    "DisplayName",
    "FifoThroughputScope",
    "FifoTopic",
    "KmsMasterKeyId",
    "SignatureVersion",
    "TracingConfig",
];
const SUBSCRIPTION_ATTRIBUTES: [&str; 7] = [
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "ReplayPolicy",
    "SubscriptionRoleArn",
];

fn set(resource: &Resource, names: &[&str]) -> BTreeMap<String, String> {
    let given = names.iter().filter_map(|name| Some(((*name).to_owned(), scalar(resource.get(name)?))));
    given.collect()
}

/// The attributes that log how messages were delivered, one set for each protocol.
fn feedback(resource: &Resource) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let configs = resource.get("DeliveryStatusLogging").and_then(Json::as_array);
    for config in configs.into_iter().flatten() {
        let protocol = match config.get("Protocol").and_then(Json::as_str).unwrap_or_default() {
            "http/s" => "HTTP",
            "sqs" => "SQS",
            "lambda" => "Lambda",
            "firehose" => "Firehose",
            _ => "Application",
        };
        for name in ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"] {
            if let Some(value) = config.get(name) {
                all.insert(format!("{protocol}{name}"), scalar(value));
            }
        }
    }
    all
}

fn topic_settings(resource: &Resource) -> BTreeMap<String, String> {
    let mut all = set(resource, &TOPIC_ATTRIBUTES);
    all.extend(feedback(resource));
    all
}

fn tags(tags: impl IntoIterator<Item = (String, String)>) -> Vec<shapes::Tag> {
    tags.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect()
}

/// What the property `Subscription` lists: protocols and endpoints.
fn listed(resource: &Resource) -> Vec<(String, String)> {
    let items = resource.get("Subscription").and_then(Json::as_array).into_iter().flatten();
    items.filter_map(|item| Some((scalar(item.get("Protocol")?), scalar(item.get("Endpoint")?)))).collect()
}

fn subscribe(cx: &mut Engine, topic: &str, protocol: String, endpoint: String) -> Result<(), Refusal> {
    let request = shapes::SubscribeRequest {
        topic_arn: topic.to_owned(),
        protocol,
        endpoint: Some(endpoint),
        ..Default::default()
    };
    call(cx, request).map(drop)
}

fn create_topic(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request = shapes::CreateTopicRequest {
        name: resource.name(cx, "TopicName", 256),
        attributes: Some(topic_settings(resource)),
        tags: Some(tags(resource.all_tags())),
        data_protection_policy: resource.get("DataProtectionPolicy").map(scalar),
    };
    let arn = cx.arn("sns", &request.name);
    // CreateTopic finds a topic that is there; CloudFormation does not take one that it has not made.
    if cx.sns.topics().contains(&arn) {
        return Err(already_exists("AWS::SNS::Topic", "TopicArn", &arn));
    }
    call(cx, request)?;
    for (protocol, endpoint) in listed(resource) {
        if let Err(refusal) = subscribe(cx, &arn, protocol, endpoint) {
            let _ = call(cx, shapes::DeleteTopicRequest { topic_arn: arn });
            return Err(refusal);
        }
    }
    Ok(arn)
}

fn update_topic(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let arn = &new.physical_id;
    let (before, after) = (topic_settings(old), topic_settings(new));
    for name in before.keys().chain(after.keys()) {
        if before.get(name) != after.get(name) {
            let request = shapes::SetTopicAttributesRequest {
                topic_arn: arn.clone(),
                attribute_name: name.clone(),
                attribute_value: after.get(name).cloned(),
            };
            call(cx, request)?;
        }
    }
    let (before, after) = (listed(old), listed(new));
    for (protocol, endpoint) in before.iter().filter(|each| !after.contains(each)) {
        let rows = cx.sns.subscriptions().by(arn);
        let gone: Vec<String> = rows
            .filter(|row| row.protocol == *protocol && row.endpoint == *endpoint)
            .map(|row| row.arn.clone())
            .collect();
        for subscription_arn in gone {
            call(cx, shapes::UnsubscribeRequest { subscription_arn })?;
        }
    }
    for (protocol, endpoint) in after.into_iter().filter(|each| !before.contains(each)) {
        subscribe(cx, arn, protocol, endpoint)?;
    }
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        call(cx, shapes::UntagResourceRequest { resource_arn: arn.clone(), tag_keys: gone })?;
    }
    if !set.is_empty() {
        call(cx, shapes::TagResourceRequest { resource_arn: arn.clone(), tags: tags(set) })?;
    }
    Ok(())
}

fn delete_topic(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    call(cx, shapes::DeleteTopicRequest { topic_arn: resource.physical_id.clone() })?;
    Ok(Progress::Done)
}

fn topic_attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let Some(row) = cx.sns.topics().get(&resource.physical_id) else { return Map::new() };
    attributes([("TopicArn", row.arn.clone()), ("TopicName", row.name.clone())])
}

fn create_subscription(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let topic_arn = resource.text("TopicArn").unwrap_or_default().to_owned();
    let request = shapes::SubscribeRequest {
        topic_arn,
        protocol: resource.text("Protocol").unwrap_or_default().to_owned(),
        endpoint: resource.text("Endpoint").map(str::to_owned),
        attributes: Some(set(resource, &SUBSCRIPTION_ATTRIBUTES)),
        return_subscription_arn: Some(true),
    };
    Ok(call(cx, request)?.subscription_arn.unwrap_or_default())
}

fn update_subscription(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    for name in SUBSCRIPTION_ATTRIBUTES.iter().filter(|name| changed(old, new, name)) {
        let request = shapes::SetSubscriptionAttributesRequest {
            subscription_arn: new.physical_id.clone(),
            attribute_name: (*name).to_owned(),
            attribute_value: new.get(name).map(scalar),
        };
        call(cx, request)?;
    }
    Ok(())
}

fn delete_subscription(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    call(cx, shapes::UnsubscribeRequest { subscription_arn: resource.physical_id.clone() })?;
    Ok(Progress::Done)
}

/// Without a document a topic has its default policy again.
fn put_policy(cx: &mut Engine, topic: String, document: Option<String>) -> Result<(), Refusal> {
    let request = shapes::SetTopicAttributesRequest {
        topic_arn: topic,
        attribute_name: "Policy".to_owned(),
        attribute_value: document,
    };
    call(cx, request).map(drop)
}

fn create_policy(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    for topic in texts(resource, "Topics") {
        put_policy(cx, topic, resource.get("PolicyDocument").map(scalar))?;
    }
    Ok(format!("{}-{}-{}", resource.stack_name, resource.logical_id, random_suffix(cx)))
}

fn update_policy(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let after = texts(new, "Topics");
    for topic in texts(old, "Topics").into_iter().filter(|topic| !after.contains(topic)) {
        put_policy(cx, topic, None)?;
    }
    for topic in after {
        put_policy(cx, topic, new.get("PolicyDocument").map(scalar))?;
    }
    Ok(())
}

fn delete_policy(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    for topic in texts(resource, "Topics") {
        if cx.sns.topics().contains(&topic) {
            put_policy(cx, topic, None)?;
        }
    }
    Ok(Progress::Done)
}
