//! Targets that are queues, and dead-letter queues.

use super::Failure;
use crate::Engine;
use crate::events::rows::{Delivery, RuleKey};

pub(super) fn put(cx: &mut Engine, delivery: &Delivery) -> Result<(), Failure> {
    send(cx, &delivery.target.arn, &delivery.rule, delivery.payload.clone(), None, Vec::new())
}

pub(super) fn send(
    _cx: &mut Engine,
    queue: &str,
    _rule: &RuleKey,
    _body: String,
    _group: Option<String>,
    _attributes: Vec<(&str, String)>,
) -> Result<(), Failure> {
    Err(Failure::no_resource(format!("The queue {queue} does not exist.")))
}
