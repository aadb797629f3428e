//! Subscriptions.

use std::collections::BTreeMap;

use capstan_model::Arn;
use capstan_shapes::{Refusal, sns as shapes};
use serde_json::Value as Json;

use super::{Subscription, invalid, listed, not_found, topic};
use crate::events::pattern::Pattern;
use crate::{Caller, Engine};

/// Attributes that can be set (API reference, SetSubscriptionAttributes).
const SETTABLE: [&str; 7] = [
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "ReplayPolicy",
    "SubscriptionRoleArn",
];

pub(super) fn subscribe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SubscribeRequest,
) -> Result<shapes::SubscribeResponse, Refusal> {
    topic::find(cx, &request.topic_arn)?;
    let endpoint = request.endpoint.unwrap_or_default();
    check_endpoint(&request.protocol, &endpoint)?;
    let mut attributes = BTreeMap::new();
    for (name, value) in request.attributes.unwrap_or_default() {
        check(&request.protocol, &name, &value)?;
        if !value.is_empty() {
            attributes.insert(name, value);
        }
    }
    // To subscribe again is to find the subscription, if nothing else is asked for.
    let same = |row: &&Subscription| row.protocol == request.protocol && row.endpoint == endpoint;
    let found = cx.sns.subscriptions.by(&request.topic_arn).find(same).cloned();
    let row = match found {
        Some(row) if row.attributes != attributes => {
            return Err(invalid("Attributes Reason: Subscription already exists with different attributes"));
        }
        Some(row) => row,
        None => {
            let confirmed = matches!(request.protocol.as_str(), "firehose" | "lambda" | "sqs");
            let arn = format!("{}:{}", request.topic_arn, cx.chance.uuid("sns.subscription"));
            let (topic, protocol) = (request.topic_arn, request.protocol);
            let row = Subscription { arn, topic, protocol, endpoint, confirmed, attributes };
            cx.sns.subscriptions.insert(row.clone());
            row
        }
    };
    let subscription_arn = match row.confirmed || request.return_subscription_arn == Some(true) {
        true => row.arn,
        false => "pending confirmation".to_owned(),
    };
    Ok(shapes::SubscribeResponse { subscription_arn: Some(subscription_arn) })
}

fn check_endpoint(protocol: &str, endpoint: &str) -> Result<(), Refusal> {
    let of_service = |service: &str| Arn::parse(endpoint).is_some_and(|arn| arn.service == service);
    let fits = match protocol {
        "application" => of_service("sns"),
        "email" | "email-json" => endpoint.contains('@'),
        "firehose" => of_service("firehose"),
        "http" => endpoint.starts_with("http://"),
        "https" => endpoint.starts_with("https://"),
        "lambda" => of_service("lambda"),
        "sms" => endpoint.starts_with('+'),
        "sqs" => of_service("sqs"),
        _ => return Err(invalid(format!("Does not support this protocol string: {protocol}"))),
    };
    match (fits, protocol) {
        (true, _) => Ok(()),
        (false, "sqs") => Err(invalid("SQS endpoint ARN")),
        (false, "lambda") => Err(invalid("Lambda endpoint ARN")),
        (false, "email" | "email-json") => Err(invalid("Email address")),
        (false, _) => Err(invalid("Endpoint")),
    }
}

fn check(protocol: &str, name: &str, value: &str) -> Result<(), Refusal> {
    let because = |why: String| Err(invalid(format!("Attributes Reason: {name}: {why}")));
    match name {
        "RawMessageDelivery" if !["true", "false"].contains(&value) => {
            because(format!("Invalid value [{value}]. Must be true or false."))
        }
        "RawMessageDelivery" if !["firehose", "http", "https", "sqs"].contains(&protocol) => {
            because(format!("Delivery protocol [{protocol}] does not support raw message delivery."))
        }
        "FilterPolicyScope" if !["MessageAttributes", "MessageBody"].contains(&value) => {
            because(format!("Invalid value [{value}]. Please use either MessageBody or MessageAttributes"))
        }
        "FilterPolicy" if !value.is_empty() => match Pattern::parse(value) {
            Ok(_) => Ok(()),
            Err(why) => because(why.0),
        },
        "DeliveryPolicy" | "RedrivePolicy" | "ReplayPolicy"
            if !value.is_empty() && serde_json::from_str::<Json>(value).is_err() =>
        {
            because("failed to parse JSON.".to_owned())
        }
        _ if SETTABLE.contains(&name) => Ok(()),
        _ => Err(invalid("AttributeName")),
    }
}

fn find<'a>(cx: &'a Engine, arn: &str) -> Result<&'a Subscription, Refusal> {
    cx.sns.subscriptions.get(&arn.to_owned()).ok_or_else(|| not_found("Subscription"))
}

pub(super) fn set(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetSubscriptionAttributesRequest,
) -> Result<shapes::SetSubscriptionAttributesResponse, Refusal> {
    let row = find(cx, &request.subscription_arn)?;
    let value = request.attribute_value.unwrap_or_default();
    check(&row.protocol, &request.attribute_name, &value)?;
    if let Some(mut row) = cx.sns.subscriptions.edit(&request.subscription_arn) {
        match value.is_empty() {
            true => drop(row.attributes.remove(&request.attribute_name)),
            false => drop(row.attributes.insert(request.attribute_name, value)),
        }
    }
    Ok(shapes::SetSubscriptionAttributesResponse {})
}

pub(super) fn attributes(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::GetSubscriptionAttributesRequest,
) -> Result<shapes::GetSubscriptionAttributesResponse, Refusal> {
    let row = find(cx, &request.subscription_arn)?;
    let mut attributes = row.attributes.clone();
    let mut put = |name: &str, value: String| {
        attributes.entry(name.to_owned()).or_insert(value);
    };
    put("ConfirmationWasAuthenticated", row.confirmed.to_string());
    put("Endpoint", row.endpoint.clone());
    put("Owner", cx.config.account.clone());
    put("PendingConfirmation", (!row.confirmed).to_string());
    put("Protocol", row.protocol.clone());
    put("RawMessageDelivery", "false".to_owned());
    put("SubscriptionArn", row.arn.clone());
    put("SubscriptionPrincipal", crate::sts::identity(cx, caller).1);
    put("TopicArn", row.topic.clone());
    if row.attributes.contains_key("FilterPolicy") {
        put("FilterPolicyScope", "MessageAttributes".to_owned());
    }
    Ok(shapes::GetSubscriptionAttributesResponse { attributes: Some(attributes) })
}

fn shown(cx: &Engine, row: &Subscription) -> shapes::Subscription {
    shapes::Subscription {
        subscription_arn: Some(match row.confirmed {
            true => row.arn.clone(),
            false => "PendingConfirmation".to_owned(),
        }),
        owner: Some(cx.config.account.clone()),
        protocol: Some(row.protocol.clone()),
        endpoint: Some(row.endpoint.clone()),
        topic_arn: Some(row.topic.clone()),
    }
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListSubscriptionsRequest,
) -> Result<shapes::ListSubscriptionsResponse, Refusal> {
    let rows = cx.sns.subscriptions.iter();
    let page = listed(rows, |row| row.arn.clone(), request.next_token.as_deref())?;
    Ok(shapes::ListSubscriptionsResponse {
        subscriptions: Some(page.items.into_iter().map(|row| shown(cx, row)).collect()),
        next_token: page.next,
    })
}

pub(super) fn list_of_topic(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListSubscriptionsByTopicRequest,
) -> Result<shapes::ListSubscriptionsByTopicResponse, Refusal> {
    let topic = &topic::find(cx, &request.topic_arn)?.arn;
    let rows = cx.sns.subscriptions.by(topic);
    let page = listed(rows, |row| row.arn.clone(), request.next_token.as_deref())?;
    Ok(shapes::ListSubscriptionsByTopicResponse {
        subscriptions: Some(page.items.into_iter().map(|row| shown(cx, row)).collect()),
        next_token: page.next,
    })
}

pub(super) fn unsubscribe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::UnsubscribeRequest,
) -> Result<shapes::UnsubscribeResponse, Refusal> {
    let topic = find(cx, &request.subscription_arn)?.topic.clone();
    cx.sns.subscriptions.remove(&request.subscription_arn);
    if let Some(mut topic) = cx.sns.topics.edit(&topic) {
        topic.subscriptions_deleted += 1;
    }
    Ok(shapes::UnsubscribeResponse {})
}
