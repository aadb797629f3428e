//! CloudWatch Logs: groups, streams, events, and the policies that let services write.
//!
//! Events live in memory. The room keeps at most [`STORED_BYTES_MAX`] of them (a message's UTF-8 bytes and 26 more each,
//! as the service counts); beyond that the oldest go first, whatever group they are in.

mod group;
mod pattern;
mod policy;
mod put;
mod read;
mod rows;
mod stream;
mod tag;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use capstan_model::{Arn, Time};
use capstan_shapes::{Refusal, logs};

use crate::kernel::{Table, dispatch, tables};
use crate::{Caller, Engine};

pub(crate) use policy::may_write;
pub use rows::{LogEvent, LogGroup, LogStream, PolicyKey, ResourcePolicy};

/// Bytes of all events together.
pub const STORED_BYTES_MAX: u64 = 256 << 20;

/// What an event takes besides its message (API reference, PutLogEvents).
const EVENT_OVERHEAD_BYTES: u64 = 26;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CreateLogGroup.kmsKeyId", "kept and shown; nothing is encrypted"),
    ("CreateLogGroup.logGroupClass", "kept and shown; every class can be read like STANDARD"),
    ("DescribeLogGroups.includeLinkedAccounts", "there is one account"),
    ("FilterLogEvents.unmask", "there are no data protection policies: nothing is masked"),
    ("GetLogEvents.unmask", "there are no data protection policies: nothing is masked"),
    ("ListLogGroups.includeLinkedAccounts", "there is one account"),
    (
        "PutLogEvents.logEvents",
        "all groups together keep 256 MiB of events in memory; beyond that the oldest events go, before their retention ends",
    ),
    ("PutLogEvents.entity", "the events are kept; the entity is not"),
];

/// The tables of CloudWatch Logs.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    groups: Table<LogGroup>,
    streams: Table<LogStream>,
    policies: Table<ResourcePolicy>,
    /// Events that ever came: tells events of one millisecond apart.
    serial: u64,
    /// Of all streams' events.
    stored_bytes: u64,
}

impl Logs {
    pub fn groups(&self) -> &Table<LogGroup> {
        &self.groups
    }

    pub fn streams(&self) -> &Table<LogStream> {
        &self.streams
    }

    pub fn policies(&self) -> &Table<ResourcePolicy> {
        &self.policies
    }

    /// The streams of a group, by name.
    pub fn streams_of(&self, group: &Arc<str>) -> impl DoubleEndedIterator<Item = &LogStream> {
        let group = Arc::clone(group);
        let first = (Arc::clone(&group), Arc::from(""));
        // No name is longer than 512 characters, so none comes after this one.
        let last = (group, Arc::from("\u{10ffff}".repeat(513)));
        self.streams.range(first..last)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.streams.next_due()
    }
}

tables!(Logs { groups, streams, policies });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: logs::Request,
) -> Result<logs::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, logs {
        CreateLogGroup => group::create,
        CreateLogStream => stream::create,
        DeleteLogGroup => group::delete,
        DeleteLogStream => stream::delete,
        DeleteResourcePolicy => policy::delete,
        DeleteRetentionPolicy => group::delete_retention,
        DescribeLogGroups => group::describe,
        DescribeLogStreams => stream::describe,
        DescribeResourcePolicies => policy::describe,
        FilterLogEvents => read::filter,
        GetLogEvents => read::get,
        ListLogGroups => group::list,
        ListTagsForResource => tag::list,
        ListTagsLogGroup => tag::list_of_group,
        PutLogEvents => put::put,
        PutResourcePolicy => policy::put,
        PutRetentionPolicy => group::put_retention,
        TagLogGroup => tag::tag_group,
        TagResource => tag::tag,
        UntagLogGroup => tag::untag_group,
        UntagResource => tag::untag,
    }))
}

/// Takes away what a stream has kept long enough.
pub(crate) fn on_due(cx: &mut Engine) {
    if let Some((time, key)) = cx.logs.streams.first_due()
        && time <= cx.now
    {
        put::expire(cx, &key);
    }
}

/// The group that a request means: by its name, or by its name or ARN as an identifier, and exactly one of the two.
fn named_group(cx: &Engine, name: Option<&str>, identifier: Option<&str>) -> Result<Arc<str>, Refusal> {
    let name = match (name, identifier) {
        (Some(name), None) => name,
        (None, Some(identifier)) => group_of_identifier(identifier),
        (Some(_), Some(_)) => return Err(invalid("Give logGroupName or logGroupIdentifier, not both.")),
        (None, None) => return Err(invalid("Give either logGroupName or logGroupIdentifier.")),
    };
    Ok(Arc::clone(&group(cx, name)?.name))
}

/// The name in an ARN of a group (with or without `:*`); what is no such ARN is a name itself.
fn group_of_identifier(identifier: &str) -> &str {
    let resource = Arn::parse(identifier).filter(|arn| arn.service == "logs").map(|arn| arn.resource);
    let name = resource.and_then(|resource| resource.strip_prefix("log-group:"));
    name.map_or(identifier, |name| name.strip_suffix(":*").unwrap_or(name))
}

fn group<'a>(cx: &'a Engine, name: &str) -> Result<&'a LogGroup, Refusal> {
    cx.logs.groups.get(&Arc::from(name)).ok_or_else(no_group)
}

fn no_group() -> Refusal {
    Refusal::of(&logs::RESOURCE_NOT_FOUND_EXCEPTION, "The specified log group does not exist.")
}

fn no_stream() -> Refusal {
    Refusal::of(&logs::RESOURCE_NOT_FOUND_EXCEPTION, "The specified log stream does not exist.")
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::of(&logs::INVALID_PARAMETER_EXCEPTION, message)
}

fn invalid_token() -> Refusal {
    invalid("The specified nextToken is invalid.")
}

/// A list's page size, from a member that its schema holds to 1 and more.
fn size(limit: Option<i32>, default: usize) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default)
}
