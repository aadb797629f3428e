//! A queue's attributes: read from texts, shown as texts (API reference, SetQueueAttributes).

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::Arn;
use capstan_shapes::{Refusal, sqs as shapes};
use serde_json::{Value as Json, json};
use shapes::QueueAttributeName as Name;

use super::{Queue, arn, key, no_queue};
use crate::policy::Policy;
use crate::{Caller, Engine};

/// What can be set of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// 0 to 900.
    pub delay_seconds: i64,
    /// 1,024 to 1,048,576.
    pub message_bytes_max: i64,
    /// 60 to 1,209,600.
    pub retention_seconds: i64,
    /// Of a receive that says nothing itself; 0 to 20.
    pub wait_seconds: i64,
    /// 0 to 43,200.
    pub visibility_seconds: i64,
    /// As it was put.
    pub policy: Option<String>,
    pub redrive: Option<Redrive>,
    /// Which queues may name this one as their dead-letter queue, as text and as read.
    pub redrive_allow: Option<(String, RedrivePermission)>,
    /// Encryption settings, kept and shown.
    pub encryption: BTreeMap<Name, String>,
}

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The dead-letter queue's name.
    pub queue: Arc<str>,
    /// 1 to 1,000.
    pub receives_max: u32,
    /// As it was put.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedrivePermission {
    All,
    None,
    /// ARNs.
    Queues(Vec<String>),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delay_seconds: 0,
            message_bytes_max: 1_048_576,
            retention_seconds: 345_600,
            wait_seconds: 0,
            visibility_seconds: 30,
            policy: None,
            redrive: None,
            redrive_allow: None,
            encryption: BTreeMap::from([(Name::SqsManagedSseEnabled, "true".to_owned())]),
        }
    }
}

impl Settings {
    /// With the attributes of a request in the place of what was there. `of`: the queue's name.
    pub(super) fn with(
        mut self,
        cx: &Engine,
        of: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<Self, Refusal> {
        for (name, value) in attributes {
            let parsed = Name::parse(name).ok_or_else(|| unknown(name))?;
            self.put(cx, of, parsed, value)?;
        }
        Ok(self)
    }

    fn put(&mut self, cx: &Engine, of: &str, name: Name, value: &str) -> Result<(), Refusal> {
        let number = |range: std::ops::RangeInclusive<i64>| {
            value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| invalid(name, ""))
        };
        match name {
            Name::DelaySeconds => self.delay_seconds = number(0..=900)?,
            Name::MaximumMessageSize => self.message_bytes_max = number(1024..=1_048_576)?,
            Name::MessageRetentionPeriod => self.retention_seconds = number(60..=1_209_600)?,
            Name::ReceiveMessageWaitTimeSeconds => self.wait_seconds = number(0..=20)?,
            Name::VisibilityTimeout => self.visibility_seconds = number(0..=43_200)?,
            Name::Policy if value.is_empty() => self.policy = None,
            Name::Policy => {
                Policy::parse(value).map_err(|why| invalid(name, &format!(" Reason: {why}.")))?;
                self.policy = Some(value.to_owned());
            }
            Name::RedrivePolicy if value.is_empty() => self.redrive = None,
            Name::RedrivePolicy => self.redrive = Some(redrive(cx, of, value)?),
            Name::RedriveAllowPolicy if value.is_empty() => self.redrive_allow = None,
            Name::RedriveAllowPolicy => {
                let permission = permission(value)?;
                self.redrive_allow = Some((value.to_owned(), permission));
            }
            Name::KmsMasterKeyId | Name::KmsDataKeyReusePeriodSeconds | Name::SqsManagedSseEnabled => {
                self.encryption.insert(name, value.to_owned());
            }
            Name::FifoQueue
            | Name::ContentBasedDeduplication
            | Name::DeduplicationScope
            | Name::FifoThroughputLimit => {
                return Err(no_fifo());
            }
            Name::All
            | Name::ApproximateNumberOfMessages
            | Name::ApproximateNumberOfMessagesDelayed
            | Name::ApproximateNumberOfMessagesNotVisible
            | Name::CreatedTimestamp
            | Name::LastModifiedTimestamp
            | Name::QueueArn => return Err(unknown(name.as_str())),
        }
        Ok(())
    }

    /// What is set, as texts.
    pub(super) fn shown(&self) -> BTreeMap<Name, String> {
        let mut shown = self.encryption.clone();
        shown.extend([
            (Name::DelaySeconds, self.delay_seconds.to_string()),
            (Name::MaximumMessageSize, self.message_bytes_max.to_string()),
            (Name::MessageRetentionPeriod, self.retention_seconds.to_string()),
            (Name::ReceiveMessageWaitTimeSeconds, self.wait_seconds.to_string()),
            (Name::VisibilityTimeout, self.visibility_seconds.to_string()),
        ]);
        shown.extend(self.policy.clone().map(|text| (Name::Policy, text)));
        shown.extend(self.redrive.clone().map(|redrive| (Name::RedrivePolicy, redrive.text)));
        shown.extend(self.redrive_allow.clone().map(|(text, _)| (Name::RedriveAllowPolicy, text)));
        shown
    }
}

pub(super) fn no_fifo() -> Refusal {
    Refusal::of(
        &shapes::UNSUPPORTED_OPERATION,
        "FIFO queues are not built yet: leave FifoQueue and the suffix .fifo out to get a standard queue.",
    )
}

fn unknown(name: &str) -> Refusal {
    Refusal::of(&shapes::INVALID_ATTRIBUTE_NAME, format!("Unknown Attribute {name}."))
}

/// `why`: empty, or a sentence after a space.
fn invalid(name: Name, why: &str) -> Refusal {
    let message = format!("Invalid value for the parameter {name}.{why}");
    Refusal::of(&shapes::INVALID_ATTRIBUTE_VALUE, message)
}

fn redrive(cx: &Engine, of: &str, text: &str) -> Result<Redrive, Refusal> {
    let wrong = |why: String| {
        let message = format!("Value {text} for parameter RedrivePolicy is invalid. Reason: {why}.");
        super::invalid_value(message)
    };
    let json: Json = serde_json::from_str(text)
        .map_err(|e| wrong(format!("Redrive policy is not a valid JSON map: {e}")))?;
    let target = json.get("deadLetterTargetArn").and_then(Json::as_str);
    let target = target.ok_or_else(|| {
        wrong("Redrive policy does not contain mandatory attribute: deadLetterTargetArn".into())
    })?;
    let count = match json.get("maxReceiveCount") {
        Some(Json::Number(number)) => number.as_u64(),
        Some(Json::String(text)) => text.parse().ok(),
        None => {
            return Err(wrong("Redrive policy does not contain mandatory attribute: maxReceiveCount".into()));
        }
        Some(_) => None,
    };
    let count = count.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=1000).contains(count));
    let receives_max = count
        .ok_or_else(|| wrong("Invalid value for maxReceiveCount: it must be between 1 and 1000".into()))?;
    let name = Arn::parse(target).filter(|arn| arn.service == "sqs").map(|arn| arn.resource);
    let name = name.ok_or_else(|| wrong(format!("{target} is not the ARN of a queue")))?;
    let Some(queue) = super::of_arn(cx, target) else {
        return Err(wrong("Dead letter target does not exist".into()));
    };
    let source = arn(cx, of);
    let allowed = match &queue.settings.redrive_allow {
        None | Some((_, RedrivePermission::All)) => true,
        Some((_, RedrivePermission::None)) => false,
        Some((_, RedrivePermission::Queues(arns))) => arns.contains(&source),
    };
    if !allowed {
        return Err(wrong(format!("the redrive allow policy of {name} does not let {source} use it")));
    }
    Ok(Redrive { queue: Arc::clone(&queue.name), receives_max, text: text.to_owned() })
}

fn permission(text: &str) -> Result<RedrivePermission, Refusal> {
    let wrong = |why: &str| invalid(Name::RedriveAllowPolicy, &format!(" Reason: {why}."));
    let json: Json = serde_json::from_str(text).map_err(|_| wrong("it is not JSON"))?;
    let arns = json.get("sourceQueueArns").and_then(Json::as_array);
    match (json.get("redrivePermission").and_then(Json::as_str), arns) {
        (Some("allowAll"), None) => Ok(RedrivePermission::All),
        (Some("denyAll"), None) => Ok(RedrivePermission::None),
        (Some("byQueue"), Some(arns)) if (1..=10).contains(&arns.len()) => {
            let texts: Option<Vec<String>> = arns.iter().map(|arn| arn.as_str().map(str::to_owned)).collect();
            texts.map(RedrivePermission::Queues).ok_or_else(|| wrong("sourceQueueArns holds ARNs"))
        }
        (Some("byQueue"), _) => Err(wrong("byQueue needs 1 to 10 sourceQueueArns")),
        (Some("allowAll" | "denyAll"), Some(_)) => Err(wrong("sourceQueueArns goes with byQueue only")),
        _ => Err(wrong("redrivePermission is allowAll, denyAll or byQueue")),
    }
}

pub(super) fn set(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::SetQueueAttributesRequest,
) -> Result<shapes::SetQueueAttributesResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    let queue = cx.sqs.queues.get(&name).ok_or_else(no_queue)?;
    let settings = queue.settings.clone().with(cx, &name, &request.attributes)?;
    let now = cx.now;
    let mut row = cx.sqs.queues.edit(&name).ok_or_else(no_queue)?;
    row.settings = settings;
    row.modified = now;
    Ok(shapes::SetQueueAttributesResponse {})
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetQueueAttributesRequest,
) -> Result<shapes::GetQueueAttributesResponse, Refusal> {
    let name = key(cx, &request.queue_url)?;
    super::message::expire(cx, &name);
    let queue = cx.sqs.queues.get(&name).ok_or_else(no_queue)?;
    let asked = request.attribute_names.unwrap_or_default();
    let all = asked.contains(&Name::All);
    let shown = shown(cx, queue).into_iter().filter(|(name, _)| all || asked.contains(name));
    let attributes: BTreeMap<String, String> =
        shown.map(|(name, value)| (name.as_str().to_owned(), value)).collect();
    // Who asks for nothing gets nothing, not even an empty map.
    Ok(shapes::GetQueueAttributesResponse { attributes: Some(attributes).filter(|map| !map.is_empty()) })
}

fn shown(cx: &Engine, queue: &Queue) -> BTreeMap<Name, String> {
    let now = cx.now;
    let counts = queue.counts(now);
    let mut shown = queue.settings.shown();
    shown.extend([
        (Name::QueueArn, arn(cx, &queue.name)),
        (Name::ApproximateNumberOfMessages, counts.visible.to_string()),
        (Name::ApproximateNumberOfMessagesNotVisible, counts.in_flight.to_string()),
        (Name::ApproximateNumberOfMessagesDelayed, counts.delayed.to_string()),
        (Name::CreatedTimestamp, queue.created.as_secs().to_string()),
        (Name::LastModifiedTimestamp, queue.modified.as_secs().to_string()),
    ]);
    shown
}

/// A policy with one more statement, or the first; `None` when there is already one with that label.
pub(super) fn with_statement(policy: Option<&str>, id: &str, label: &str, statement: Json) -> Option<String> {
    let mut document: Json = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(
        || json!({ "Version": "2012-10-17", "Id": format!("{id}/SQSDefaultPolicy"), "Statement": [] }),
    );
    let statements = document.get_mut("Statement")?;
    if let Json::Object(_) = statements {
        *statements = Json::Array(vec![statements.take()]);
    }
    let statements = statements.as_array_mut()?;
    if statements.iter().any(|statement| statement.get("Sid").and_then(Json::as_str) == Some(label)) {
        return None;
    }
    statements.push(statement);
    Some(document.to_string())
}
