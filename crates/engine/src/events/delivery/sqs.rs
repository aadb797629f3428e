//! Targets that are queues, and dead-letter queues.

use std::collections::BTreeMap;

use capstan_shapes::sqs as shapes;

use super::Failure;
use crate::events::rows::{Delivery, RuleKey};
use crate::events::rule;
use crate::{Caller, Engine, sqs};

pub(super) fn put(cx: &mut Engine, delivery: &Delivery) -> Result<(), Failure> {
    let parameters = delivery.target.sqs_parameters.as_ref();
    let group = parameters.and_then(|parameters| parameters.message_group_id.clone());
    send(cx, &delivery.target.arn, &delivery.rule, delivery.payload.clone(), group, Vec::new())
}

/// The queue's policy has to let EventBridge send (EventBridge guide, eb-use-resource-based).
pub(super) fn send(
    cx: &mut Engine,
    queue: &str,
    rule: &RuleKey,
    body: String,
    group: Option<String>,
    attributes: Vec<(&str, String)>,
) -> Result<(), Failure> {
    let missing = || Failure::no_resource(format!("The queue {queue} does not exist."));
    let url = sqs::url_of_arn(cx, queue).ok_or_else(missing)?;
    let rule_arn = rule::arn(cx, rule);
    if !sqs::may_send(cx, "events.amazonaws.com", queue, Some(&rule_arn)) {
        let message = format!("The policy of {queue} does not let events.amazonaws.com send messages.");
        return Err(Failure { code: "NO_PERMISSIONS", message, passes: false });
    }
    let attribute = |(name, value): (&str, String)| {
        let value = shapes::MessageAttributeValue {
            data_type: "String".to_owned(),
            string_value: Some(value),
            ..Default::default()
        };
        (name.to_owned(), value)
    };
    let attributes: BTreeMap<_, _> = attributes.into_iter().map(attribute).collect();
    let request = shapes::SendMessageRequest {
        queue_url: url,
        message_body: body,
        message_attributes: Some(attributes).filter(|attributes| !attributes.is_empty()),
        message_group_id: group,
        ..Default::default()
    };
    cx.call(Caller::EVENTS, request).map_err(|refusal| Failure::of(&refusal))?;
    Ok(())
}
