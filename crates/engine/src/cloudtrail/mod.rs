//! CloudTrail: who called what, and what AWS did by itself.
//!
//! Every management call is kept as it was made, in types, and becomes JSON only when somebody looks it up or a rule of
//! EventBridge wants it: keeping one costs a copy of its request. The newest [`RECORDS_MAX`] of the last 90 days are there.
//! They stand in a ring and not in a table: nothing is ever decided by them.

mod lookup;
mod record;
mod render;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use capstan_model::Span;
use capstan_shapes::{Refusal, Request, Response, cloudtrail};
use serde_json::{Value as Json, json};

use crate::events::{Published, publish};
use crate::kernel::{Event, dispatch};
use crate::{Caller, Engine};

pub use record::{Record, What};

/// Records that are kept.
pub const RECORDS_MAX: usize = 50_000;
/// How far back events can be looked up (CloudTrail guide, view-cloudtrail-events).
const AGE_MAX: Span = Span::from_hours(90 * 24);

/// Settings that are accepted without effect.
pub const INERT: &[(&str, &str)] = &[
    (
        "LookupEvents.LookupAttributes",
        "the newest 50,000 records are kept; a user's sourceIPAddress is always 127.0.0.1 and the userAgent is not kept; calls are visible at once, not after minutes",
    ),
    ("LookupEvents.EventCategory", "there are no insight events: the list is empty"),
];

/// What CloudTrail holds.
#[derive(Clone, Debug, Default)]
pub struct CloudTrail {
    /// The newest last.
    records: VecDeque<Record>,
    /// Records that ever were.
    serial: u64,
}

impl CloudTrail {
    /// In the order in which they happened.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.iter()
    }

    fn keep(&mut self, record: Record) {
        let oldest = record.time - AGE_MAX;
        while self.records.len() >= RECORDS_MAX
            || self.records.front().is_some_and(|first| first.time < oldest)
        {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: cloudtrail::Request,
) -> Result<cloudtrail::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, cloudtrail {
        LookupEvents => lookup::lookup,
    }))
}

/// Calls that are no management events, so that LookupEvents never shows them: what moves data (the services' guides,
/// logging with CloudTrail).
fn is_data_event(service: &str, operation: &str) -> bool {
    // Of S3 everything that is about objects (CloudTrail guide, data events).
    let is_object = service == "s3"
        && !operation.contains("ObjectLock")
        && ["Object", "Multipart", "UploadPart", "ListParts"].iter().any(|word| operation.contains(word));
    is_object
        || matches!(
            (service, operation),
            (
                "cloudwatch",
                "GetMetricData"
                    | "GetMetricStatistics"
                    | "GetMetricWidgetImage"
                    | "ListMetrics"
                    | "PutMetricData"
            ) | ("events", "PutEvents")
                | ("logs", "PutLogEvents")
                | (
                    "sqs",
                    "ChangeMessageVisibility"
                        | "ChangeMessageVisibilityBatch"
                        | "DeleteMessage"
                        | "DeleteMessageBatch"
                        | "ReceiveMessage"
                        | "SendMessage"
                        | "SendMessageBatch"
                )
        )
}

/// A copy of the request that is about to be handled; `None` when it leaves no record.
pub(crate) fn note(cx: &Engine, request: &Request) -> Option<Request> {
    let recorded = cx.config.trail && !is_data_event(request.service().name, request.operation().name);
    recorded.then(|| request.clone())
}

/// The call has been handled.
pub(crate) fn record(cx: &mut Engine, caller: &Caller, request: Request, reply: &Result<Response, Refusal>) {
    let read_only = record::is_read_only(request.operation().name);
    // Reads show no answer.
    let response = reply.as_ref().ok().filter(|_| !read_only).cloned();
    let refused = reply.as_ref().err().cloned();
    let what = What::Call { request: Box::new(request), response: response.map(Box::new), refused };
    keep(cx, Some(caller.clone()), what, read_only);
}

/// Something that a service did by itself: `BidEvictedEvent`. `source` is the service's name (`ec2`), `details` what the
/// record shows as `serviceEventDetails`.
pub(crate) fn service_event(cx: &mut Engine, source: &'static str, name: &'static str, details: Json) {
    if cx.config.trail {
        keep(cx, None, What::Service { source, name, details }, false);
    }
}

pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    if let Event::SpotInstanceEvicted { instance } = event {
        let details = json!({ "instanceIdSet": [instance.to_string()] });
        service_event(cx, "ec2", "BidEvictedEvent", details);
    }
}

fn keep(cx: &mut Engine, caller: Option<Caller>, what: What, read_only: bool) {
    cx.cloudtrail.serial += 1;
    let record = Record { serial: cx.cloudtrail.serial, time: cx.now, caller, what };
    tell(cx, &record, read_only);
    cx.cloudtrail.keep(record);
}

/// Hands the record to EventBridge. A read goes there only for rules that ask for all management events, and what
/// EventBridge calls itself does not go there at all: a rule on it would feed itself.
fn tell(cx: &mut Engine, record: &Record, read_only: bool) {
    use capstan_shapes::events::RuleState::EnabledWithAllCloudtrailManagementEvents as All;
    let by_itself = record.caller == Some(Caller::EVENTS);
    if cx.events.rules().is_empty() || by_itself {
        return;
    }
    if read_only && !cx.events.rules().iter().any(|rule| rule.state == All) {
        return;
    }
    let detail_type = match record.what {
        What::Call { .. } => "AWS API Call via CloudTrail",
        What::Service { .. } => "AWS Service Event via CloudTrail",
    };
    publish(cx, &record.bus_source(), detail_type, |cx| Published {
        resources: Vec::new(),
        detail: record::json(cx, record),
        time: Some(record.time),
    });
}
