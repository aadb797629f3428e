//! Topics.

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, sns as shapes};

use super::{Topic, invalid, listed, not_found, tag};
use crate::policy::Policy;
use crate::{Caller, Engine};

/// Attributes that can be set (API reference, SetTopicAttributes), besides those of delivery status.
const SETTABLE: [&str; 7] = [
    "ArchivePolicy",
    "DeliveryPolicy",
    "DisplayName",
    "KmsMasterKeyId",
    "Policy",
    "SignatureVersion",
    "TracingConfig",
];
/// What delivery status logging is set by: `SQSSuccessFeedbackRoleArn` and so on.
const FEEDBACK: [&str; 3] = ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateTopicRequest,
) -> Result<shapes::CreateTopicResponse, Refusal> {
    let name = request.name;
    let mut attributes = request.attributes.unwrap_or_default();
    let is_fifo = |text: &String| text == "true";
    if name.ends_with(".fifo") || attributes.remove("FifoTopic").as_ref().is_some_and(is_fifo) {
        return Err(invalid("Attributes Reason: FIFO topics are not built; use a standard topic."));
    }
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if name.is_empty() || name.len() > 256 || !is_plain {
        return Err(invalid("Topic Name"));
    }
    for (name, value) in &attributes {
        check(name, value)?;
    }
    if let Some(policy) = request.data_protection_policy {
        attributes.insert("DataProtectionPolicy".to_owned(), policy);
    }
    let mut tags = BTreeMap::new();
    tag::extend(caller, &mut tags, request.tags.unwrap_or_default())?;
    let arn = cx.arn("sns", &name);
    if let Some(row) = cx.sns.topics.get(&arn) {
        // To make a topic again is to find it, if nothing else is asked for.
        if attributes.iter().any(|(name, value)| row.attributes.get(name) != Some(value)) {
            return Err(invalid("Attributes Reason: Topic already exists with different attributes"));
        }
        if !tags.is_empty() && tags != row.tags {
            return Err(invalid("Tags Reason: Topic already exists with different tags"));
        }
        return Ok(shapes::CreateTopicResponse { topic_arn: Some(arn) });
    }
    let created = cx.now;
    let row = Topic { arn: arn.clone(), name, created, attributes, tags, subscriptions_deleted: 0 };
    cx.sns.topics.insert(row);
    Ok(shapes::CreateTopicResponse { topic_arn: Some(arn) })
}

fn check(name: &str, value: &str) -> Result<(), Refusal> {
    let is_feedback = FEEDBACK.iter().any(|end| {
        let of = name.strip_suffix(end);
        of.is_some_and(|of| ["Application", "Firehose", "HTTP", "Lambda", "SQS"].contains(&of))
    });
    match name {
        "Policy" if !value.is_empty() => {
            Policy::parse(value).map_err(|why| invalid(format!("Policy Error: {why}")))?;
        }
        "DisplayName" if value.chars().count() > 100 => return Err(invalid("DisplayName")),
        _ if SETTABLE.contains(&name) || is_feedback => {}
        _ => return Err(invalid("AttributeName")),
    }
    Ok(())
}

pub(super) fn find<'a>(cx: &'a Engine, arn: &str) -> Result<&'a Topic, Refusal> {
    cx.sns.topics.get(&arn.to_owned()).ok_or_else(|| not_found("Topic"))
}

pub(super) fn set(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetTopicAttributesRequest,
) -> Result<shapes::SetTopicAttributesResponse, Refusal> {
    find(cx, &request.topic_arn)?;
    let value = request.attribute_value.unwrap_or_default();
    check(&request.attribute_name, &value)?;
    if let Some(mut row) = cx.sns.topics.edit(&request.topic_arn) {
        match value.is_empty() {
            true => drop(row.attributes.remove(&request.attribute_name)),
            false => drop(row.attributes.insert(request.attribute_name, value)),
        }
    }
    Ok(shapes::SetTopicAttributesResponse {})
}

/// What a topic lets its own account do until another policy is set (observed).
fn default_policy(cx: &Engine, arn: &str) -> String {
    let actions = [
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    ]
    .map(|action| format!("SNS:{action}"));
    serde_json::json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": actions,
            "Resource": arn,
            "Condition": { "StringEquals": { "AWS:SourceOwner": cx.config.account } },
        }],
    })
    .to_string()
}

/// How HTTP endpoints are retried where nothing else is set (SNS guide, delivery retries).
const EFFECTIVE_DELIVERY: &str = r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}"#;

pub(super) fn attributes(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetTopicAttributesRequest,
) -> Result<shapes::GetTopicAttributesResponse, Refusal> {
    let row = find(cx, &request.topic_arn)?;
    let subscriptions = || cx.sns.subscriptions.by(&row.arn);
    let confirmed = subscriptions().filter(|subscription| subscription.confirmed).count();
    let pending = subscriptions().count() - confirmed;
    let mut attributes = BTreeMap::from([
        ("DisplayName", String::new()),
        ("EffectiveDeliveryPolicy", EFFECTIVE_DELIVERY.to_owned()),
        ("Owner", cx.config.account.clone()),
        ("Policy", default_policy(cx, &row.arn)),
        ("SubscriptionsConfirmed", confirmed.to_string()),
        ("SubscriptionsDeleted", row.subscriptions_deleted.to_string()),
        ("SubscriptionsPending", pending.to_string()),
        ("TopicArn", row.arn.clone()),
    ]);
    for (name, value) in row.attributes.iter().filter(|(name, _)| *name != "DataProtectionPolicy") {
        attributes.insert(name, value.clone());
    }
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(shapes::GetTopicAttributesResponse { attributes: Some(attributes) })
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListTopicsRequest,
) -> Result<shapes::ListTopicsResponse, Refusal> {
    let page = listed(cx.sns.topics.iter(), |row| row.arn.clone(), request.next_token.as_deref())?;
    let shown = |row: &Topic| shapes::Topic { topic_arn: Some(row.arn.clone()) };
    Ok(shapes::ListTopicsResponse {
        topics: Some(page.items.into_iter().map(shown).collect()),
        next_token: page.next,
    })
}

/// Also when there is none (API reference: idempotent). Its subscriptions go with it.
pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteTopicRequest,
) -> Result<shapes::DeleteTopicResponse, Refusal> {
    for subscription in cx.sns.subscriptions.keys_by(&request.topic_arn) {
        cx.sns.subscriptions.remove(&subscription);
    }
    cx.sns.topics.remove(&request.topic_arn);
    Ok(shapes::DeleteTopicResponse {})
}
