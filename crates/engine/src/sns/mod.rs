//! Simple Notification Service: standard topics. Messages are delivered to queues; other subscriptions only stand in lists.

mod publish;
mod rows;
mod subscription;
mod tag;
#[cfg(test)]
mod tests;
mod topic;

use capstan_shapes::{Refusal, sns};

use crate::kernel::{Page, Table, dispatch, page, tables};
use crate::{Caller, Engine};

pub use rows::{Subscription, Topic};

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CreateTopic.Attributes.ArchivePolicy", "kept and shown; messages are not archived"),
    ("CreateTopic.Attributes.DeliveryPolicy", "kept and shown; nothing is delivered by HTTP"),
    ("CreateTopic.Attributes.KmsMasterKeyId", "kept and shown; nothing is encrypted"),
    ("CreateTopic.Attributes.Policy", "kept and shown, not enforced"),
    ("CreateTopic.Attributes.SignatureVersion", "kept and shown; messages carry no signature"),
    ("CreateTopic.Attributes.TracingConfig", "kept and shown; nothing is traced"),
    ("CreateTopic.DataProtectionPolicy", "kept; messages are not looked through"),
    ("Publish.PhoneNumber", "refused: nothing is sent to telephones"),
    ("Publish.MessageGroupId", "FIFO topics are not built"),
    ("Publish.MessageDeduplicationId", "FIFO topics are not built"),
    ("Subscribe.Attributes.DeliveryPolicy", "kept and shown; nothing is delivered by HTTP"),
    ("Subscribe.Attributes.RedrivePolicy", "kept and shown; what a queue does not take is lost"),
    ("Subscribe.Attributes.ReplayPolicy", "kept and shown; messages are not archived"),
    ("Subscribe.Attributes.SubscriptionRoleArn", "kept and shown; nothing is delivered to Firehose"),
    (
        "Subscribe.Protocol",
        "sqs is delivered to; email, http, sms and application stay unconfirmed, lambda and firehose are listed and get nothing",
    ),
];

/// The tables of SNS.
#[derive(Clone, Debug, Default)]
pub struct Sns {
    topics: Table<Topic>,
    subscriptions: Table<Subscription>,
}

impl Sns {
    pub fn topics(&self) -> &Table<Topic> {
        &self.topics
    }

    pub fn subscriptions(&self) -> &Table<Subscription> {
        &self.subscriptions
    }
}

tables!(Sns { topics, subscriptions });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: sns::Request,
) -> Result<sns::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, sns {
        CreateTopic => topic::create,
        DeleteTopic => topic::delete,
        GetSubscriptionAttributes => subscription::attributes,
        GetTopicAttributes => topic::attributes,
        ListSubscriptions => subscription::list,
        ListSubscriptionsByTopic => subscription::list_of_topic,
        ListTagsForResource => tag::list,
        ListTopics => topic::list,
        Publish => publish::publish,
        SetSubscriptionAttributes => subscription::set,
        SetTopicAttributes => topic::set,
        Subscribe => subscription::subscribe,
        TagResource => tag::add,
        Unsubscribe => subscription::unsubscribe,
        UntagResource => tag::remove,
    }))
}

fn invalid(what: impl std::fmt::Display) -> Refusal {
    Refusal::of(&sns::INVALID_PARAMETER_EXCEPTION, format!("Invalid parameter: {what}"))
}

fn not_found(what: &str) -> Refusal {
    Refusal::of(&sns::NOT_FOUND_EXCEPTION, format!("{what} does not exist"))
}

/// A page of 100, as all lists of SNS have.
fn listed<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
) -> Result<Page<T>, Refusal> {
    page(items, key, token, 100).map_err(|()| invalid("NextToken"))
}
