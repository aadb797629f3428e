//! Log groups and their retention.

use std::sync::Arc;

use capstan_model::Arn;
use capstan_shapes::{Refusal, logs as shapes};

use super::{LogGroup, group, group_of_identifier, invalid, invalid_token, no_group, put, size};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Days that a retention may have (API reference, PutRetentionPolicy).
const RETENTION_DAYS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

pub(super) fn create(
    cx: &mut Engine,
    caller: &Caller,
    request: shapes::CreateLogGroupRequest,
) -> Result<shapes::CreateLogGroupResponse, Refusal> {
    let name: Arc<str> = request.log_group_name.into();
    if matches!(caller, Caller::User { .. }) && name.starts_with("aws/") {
        return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    if cx.logs.groups.contains(&name) {
        return Err(Refusal::of(
            &shapes::RESOURCE_ALREADY_EXISTS_EXCEPTION,
            "The specified log group already exists",
        ));
    }
    let created = cx.now;
    cx.logs.groups.insert(LogGroup {
        name,
        created,
        retention_days: None,
        class: request.log_group_class.unwrap_or_default(),
        kms_key: request.kms_key_id,
        deletion_protection: request.deletion_protection_enabled.unwrap_or_default(),
        tags: request.tags.unwrap_or_default(),
    });
    Ok(shapes::CreateLogGroupResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteLogGroupRequest,
) -> Result<shapes::DeleteLogGroupResponse, Refusal> {
    let row = group(cx, &request.log_group_name)?;
    if row.deletion_protection {
        return Err(Refusal::of(
            &shapes::VALIDATION_EXCEPTION,
            "The log group has deletion protection enabled and cannot be deleted.",
        ));
    }
    let name = Arc::clone(&row.name);
    let streams: Vec<_> = cx.logs.streams_of(&name).map(|stream| Arc::clone(&stream.name)).collect();
    for stream in streams {
        put::remove_stream(cx, &(Arc::clone(&name), stream));
    }
    cx.logs.groups.remove(&name);
    let arn = arn(cx, &name);
    cx.logs.policies.remove(&super::PolicyKey::Resource(arn));
    Ok(shapes::DeleteLogGroupResponse {})
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeLogGroupsRequest,
) -> Result<shapes::DescribeLogGroupsResponse, Refusal> {
    if request.log_group_name_prefix.is_some() && request.log_group_name_pattern.is_some() {
        return Err(invalid("LogGroupNamePrefix and LogGroupNamePattern are mutually exclusive parameters."));
    }
    let prefix = request.log_group_name_prefix.unwrap_or_default();
    // "A case-insensitive string": parts of names are found anywhere (API reference).
    let pattern = request.log_group_name_pattern.map(|pattern| pattern.to_lowercase());
    let identifiers = request.log_group_identifiers;
    let identified = identifiers
        .as_ref()
        .map(|all| all.iter().map(|identifier| group_of_identifier(identifier)).collect::<Vec<_>>());
    let other_account =
        request.account_identifiers.is_some_and(|ids| !ids.is_empty() && !ids.contains(&cx.config.account));
    let found = cx.logs.groups.iter().filter(|row| {
        !other_account
            && row.name.starts_with(prefix.as_str())
            && pattern.as_ref().is_none_or(|pattern| row.name.to_lowercase().contains(pattern.as_str()))
            && request.log_group_class.is_none_or(|class| row.class == class)
            && identified.as_ref().is_none_or(|names| names.contains(&&*row.name))
    });
    let size = size(request.limit, 50);
    let page = page(found, |row| row.name.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| invalid_token())?;
    let log_groups = page.items.into_iter().map(|row| shown(cx, row)).collect();
    Ok(shapes::DescribeLogGroupsResponse { log_groups: Some(log_groups), next_token: page.next })
}

fn shown(cx: &Engine, row: &LogGroup) -> shapes::LogGroup {
    let bytes: u64 = cx.logs.streams_of(&row.name).map(|stream| stream.bytes).sum();
    let arn = arn(cx, &row.name);
    shapes::LogGroup {
        log_group_name: Some(row.name.to_string()),
        creation_time: Some(row.created.as_millis()),
        retention_in_days: row.retention_days,
        metric_filter_count: Some(0),
        arn: Some(format!("{arn}:*")),
        stored_bytes: i64::try_from(bytes).ok(),
        kms_key_id: row.kms_key.clone(),
        data_protection_status: None,
        inherited_properties: None,
        log_group_class: Some(row.class),
        log_group_arn: Some(arn),
        deletion_protection_enabled: Some(row.deletion_protection),
        bearer_token_authentication_enabled: Some(false),
    }
}

/// Without the `:*` that stands for a group's streams.
pub(super) fn arn(cx: &Engine, name: &str) -> String {
    cx.arn("logs", format_args!("log-group:{name}"))
}

pub(super) fn list(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::ListLogGroupsRequest,
) -> Result<shapes::ListLogGroupsResponse, Refusal> {
    // `^a|b`: alternatives, each found anywhere in a name or, with a caret, at its start.
    let pattern = request.log_group_name_pattern.unwrap_or_default();
    let alternatives: Vec<(bool, &str)> = pattern
        .split('|')
        .map(|text| text.strip_prefix('^').map_or((false, text), |text| (true, text)))
        .collect();
    let other_account =
        request.account_identifiers.is_some_and(|ids| !ids.is_empty() && !ids.contains(&cx.config.account));
    // No group has a data source or a field index.
    let nothing = other_account || request.data_sources.is_some() || request.field_index_names.is_some();
    let tags = request.log_group_tags.unwrap_or_default();
    let found = cx.logs.groups.iter().filter(|row| {
        let is_named = alternatives.iter().any(|(at_start, text)| match at_start {
            true => row.name.starts_with(text),
            false => row.name.contains(text),
        });
        !nothing
            && is_named
            && request.log_group_class.is_none_or(|class| row.class == class)
            && tags.iter().all(|filter| is_tagged(row, filter))
    });
    let size = size(request.limit, 1000);
    let page = page(found, |row| row.name.to_string(), request.next_token.as_deref(), size)
        .map_err(|()| invalid_token())?;
    let log_groups = page.items.into_iter().map(|row| shapes::LogGroupSummary {
        log_group_name: Some(row.name.to_string()),
        log_group_arn: Some(arn(cx, &row.name)),
        log_group_class: Some(row.class),
    });
    Ok(shapes::ListLogGroupsResponse { log_groups: Some(log_groups.collect()), next_token: page.next })
}

/// A filter's values are alternatives: with `*` at either end, and negated by `!`.
fn is_tagged(row: &LogGroup, filter: &shapes::TagFilter) -> bool {
    let Some(value) = row.tags.get(&filter.key) else { return false };
    let values = filter.values.as_deref().unwrap_or_default();
    values.is_empty()
        || values.iter().any(|wanted| match wanted.strip_prefix('!') {
            Some(unwanted) => !crate::policy::is_like(unwanted, value),
            None => crate::policy::is_like(wanted, value),
        })
}

pub(super) fn put_retention(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutRetentionPolicyRequest,
) -> Result<shapes::PutRetentionPolicyResponse, Refusal> {
    let days = request.retention_in_days;
    if !RETENTION_DAYS.contains(&days) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: {RETENTION_DAYS:?}"
        )));
    }
    set_retention(cx, &request.log_group_name, Some(days))?;
    Ok(shapes::PutRetentionPolicyResponse {})
}

pub(super) fn delete_retention(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteRetentionPolicyRequest,
) -> Result<shapes::DeleteRetentionPolicyResponse, Refusal> {
    set_retention(cx, &request.log_group_name, None)?;
    Ok(shapes::DeleteRetentionPolicyResponse {})
}

fn set_retention(cx: &mut Engine, name: &str, days: Option<i32>) -> Result<(), Refusal> {
    let name: Arc<str> = name.into();
    cx.logs.groups.edit(&name).ok_or_else(no_group)?.retention_days = days;
    let streams: Vec<_> = cx.logs.streams_of(&name).map(|stream| Arc::clone(&stream.name)).collect();
    for stream in streams {
        put::schedule_expiry(cx, &(Arc::clone(&name), stream));
    }
    Ok(())
}

/// The group of an ARN that tagging names: `arn:aws:logs:REGION:ACCOUNT:log-group:NAME`.
pub(super) fn of_arn(cx: &Engine, text: &str) -> Result<Arc<str>, Refusal> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "logs");
    let name = arn.and_then(|arn| arn.resource.strip_prefix("log-group:"));
    let name = name.ok_or_else(|| {
        invalid(format!(
            "{text} is not the ARN of a log group: arn:aws:logs:REGION:ACCOUNT:log-group:NAME is."
        ))
    })?;
    let name = name.strip_suffix(":*").unwrap_or(name);
    Ok(Arc::clone(&group(cx, name)?.name))
}
