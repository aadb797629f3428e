//! Lifecycle rules: what expires, and when (S3 User Guide, "Managing the lifecycle of objects").
//!
//! Expiry is set down as a column of what it will take, anew whenever the rules, the versions of a key or its tags change.
//! A rule of days counts from the day after: the moment is rounded up to midnight UTC.

use std::collections::BTreeSet;
use std::sync::Arc;

use capstan_model::{Span, Time};
use capstan_shapes::{Refusal, s3 as shapes};

use super::bucket::owned;
use super::error::{invalid_argument, invalid_request, malformed, not_configured};
use super::{Object, Upload, object, upload};
use crate::kernel::Row as _;
use crate::{Caller, Engine};

const RULES_MAX: usize = 1000;
const DAY: Span = Span::from_hours(24);

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetBucketLifecycleConfigurationRequest,
) -> Result<shapes::GetBucketLifecycleConfigurationResponse, Refusal> {
    let settings = &owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?.settings;
    let message = "The lifecycle configuration does not exist";
    let absent = || not_configured("NoSuchLifecycleConfiguration", message, &request.bucket);
    let rules = settings.lifecycle.clone().ok_or_else(absent)?.rules;
    let minimum = shapes::TransitionDefaultMinimumObjectSize::AllStorageClasses128k;
    Ok(shapes::GetBucketLifecycleConfigurationResponse {
        rules: Some(rules),
        transition_default_minimum_object_size: Some(settings.transition_minimum.unwrap_or(minimum)),
    })
}

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutBucketLifecycleConfigurationRequest,
) -> Result<shapes::PutBucketLifecycleConfigurationResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let mut lifecycle = request.lifecycle_configuration.ok_or_else(malformed)?;
    check(&lifecycle.rules)?;
    for rule in &mut lifecycle.rules {
        if rule.id.as_ref().is_none_or(String::is_empty) {
            rule.id = Some(cx.chance.uuid("s3.lifecycle-rule-id"));
        }
    }
    let minimum = request.transition_default_minimum_object_size;
    set(cx, &request.bucket, Some(lifecycle), minimum);
    Ok(shapes::PutBucketLifecycleConfigurationResponse { transition_default_minimum_object_size: minimum })
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteBucketLifecycleRequest,
) -> Result<shapes::DeleteBucketLifecycleResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    set(cx, &request.bucket, None, None);
    Ok(shapes::DeleteBucketLifecycleResponse {})
}

fn check(rules: &[shapes::LifecycleRule]) -> Result<(), Refusal> {
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(malformed());
    }
    let mut ids = BTreeSet::new();
    for rule in rules {
        let id = rule.id.as_deref().unwrap_or_default();
        if !id.is_empty() && !ids.insert(id) {
            return Err(invalid_argument(
                "Rule ID must be unique. Found same ID for more than one rule",
                "ID",
                id,
            ));
        }
        let expiration = rule.expiration.as_ref();
        let does_something = expiration.is_some()
            || rule.transitions.is_some()
            || rule.noncurrent_version_expiration.is_some()
            || rule.noncurrent_version_transitions.is_some()
            || rule.abort_incomplete_multipart_upload.is_some();
        if !does_something {
            return Err(invalid_request("At least one action needs to be specified in a rule"));
        }
        if rule.filter.is_some() && rule.prefix.is_some() {
            return Err(malformed());
        }
        let days = [
            expiration.and_then(|expiration| expiration.days),
            rule.noncurrent_version_expiration.as_ref().and_then(|expiration| expiration.noncurrent_days),
            rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation),
        ];
        if let Some(days) = days.into_iter().flatten().find(|days| *days < 1) {
            let message = "'Days' in an action must be a positive integer";
            return Err(invalid_argument(message, "Days", &days.to_string()));
        }
        if let Some(expiration) = expiration
            && [
                expiration.days.is_some(),
                expiration.date.is_some(),
                expiration.expired_object_delete_marker.is_some(),
            ]
            .iter()
            .filter(|given| **given)
            .count()
                != 1
        {
            return Err(malformed());
        }
    }
    Ok(())
}

fn set(
    cx: &mut Engine,
    bucket: &str,
    lifecycle: Option<shapes::BucketLifecycleConfiguration>,
    minimum: Option<shapes::TransitionDefaultMinimumObjectSize>,
) {
    let bucket: Arc<str> = bucket.into();
    if let Some(mut row) = cx.s3.buckets.edit(&bucket) {
        row.settings.lifecycle = lifecycle;
        row.settings.transition_minimum = minimum;
    }
    let names: BTreeSet<Arc<str>> =
        cx.s3.objects_from(&bucket, "").map(|object| Arc::clone(&object.name)).collect();
    for name in names {
        set_deadlines(cx, &bucket, &name);
    }
    let uploads: Vec<_> = cx.s3.uploads.iter().filter(|upload| upload.bucket == bucket).cloned().collect();
    for upload in uploads {
        let aborts = abort_at(cx, &upload);
        if let Some(mut row) = cx.s3.uploads.edit(&upload.key()) {
            row.aborts = aborts;
        }
    }
}

/// So many days after a moment, at midnight UTC.
fn days_after(moment: Time, days: i32) -> Time {
    (moment + Span::from_hours(24 * i64::from(days))).next_multiple(DAY)
}

fn rules<'a>(cx: &'a Engine, bucket: &Arc<str>) -> impl Iterator<Item = &'a shapes::LifecycleRule> + use<'a> {
    let lifecycle = cx.s3.buckets.get(bucket).and_then(|row| row.settings.lifecycle.as_ref());
    let rules = lifecycle.map(|lifecycle| lifecycle.rules.as_slice()).unwrap_or_default();
    rules.iter().filter(|rule| rule.status == shapes::ExpirationStatus::Enabled)
}

/// Whether a rule is about a key; about what size and tags it has too, when it is an object and no marker or upload.
fn applies(rule: &shapes::LifecycleRule, key: &str, object: Option<&Object>) -> bool {
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|filter| filter.and.as_ref());
    let prefixes = [
        rule.prefix.as_deref(),
        filter.and_then(|filter| filter.prefix.as_deref()),
        and.and_then(|and| and.prefix.as_deref()),
    ];
    if !prefixes.into_iter().flatten().all(|prefix| key.starts_with(prefix)) {
        return false;
    }
    let single = filter.and_then(|filter| filter.tag.as_ref());
    let mut tags =
        single.into_iter().chain(and.and_then(|and| and.tags.as_ref()).into_iter().flatten()).peekable();
    let more = [
        filter.and_then(|filter| filter.object_size_greater_than),
        and.and_then(|and| and.object_size_greater_than),
    ];
    let less = [
        filter.and_then(|filter| filter.object_size_less_than),
        and.and_then(|and| and.object_size_less_than),
    ];
    match object.and_then(|object| object.content.as_ref()) {
        Some(content) => {
            let size = content.body.len() as i64;
            tags.all(|tag| content.tags.contains(tag))
                && more.into_iter().flatten().all(|than| size > than)
                && less.into_iter().flatten().all(|than| size < than)
        }
        None => tags.peek().is_none() && more.iter().chain(&less).all(Option::is_none),
    }
}

/// When an upload ends by itself.
pub(super) fn abort_at(cx: &Engine, upload: &Upload) -> Option<Time> {
    let days = rules(cx, &upload.bucket)
        .filter(|rule| applies(rule, &upload.name, None))
        .filter_map(|rule| rule.abort_incomplete_multipart_upload.as_ref()?.days_after_initiation);
    days.min().map(|days| days_after(upload.initiated, days))
}

/// Sets down when the versions of a key expire.
pub(super) fn set_deadlines(cx: &mut Engine, bucket: &Arc<str>, key: &Arc<str>) {
    if rules(cx, bucket).next().is_none()
        && cx.s3.versions(bucket, key).all(|object| object.expires.is_none())
    {
        return;
    }
    let mut deadlines = Vec::new();
    let mut newer: Option<&Object> = None;
    let count = cx.s3.versions(bucket, key).count();
    for (noncurrent, object) in cx.s3.versions(bucket, key).enumerate() {
        let of_rules = rules(cx, bucket).filter(|rule| applies(rule, key, Some(object)));
        let expires = match newer {
            None => of_rules.filter_map(|rule| current(rule, object, count)).min(),
            // Superseded when the next newer one was stored.
            Some(newer) => {
                let since = newer.modified;
                of_rules
                    .filter_map(|rule| {
                        let expiration = rule.noncurrent_version_expiration.as_ref()?;
                        let kept = expiration.newer_noncurrent_versions.unwrap_or(0).max(0) as usize;
                        (noncurrent > kept)
                            .then(|| days_after(since, expiration.noncurrent_days.unwrap_or(0)))
                    })
                    .min()
            }
        };
        deadlines.push((object.key(), expires));
        newer = Some(object);
    }
    for (row, expires) in deadlines {
        if cx.s3.objects.get(&row).is_some_and(|object| object.expires == expires) {
            continue;
        }
        if let Some(mut object) = cx.s3.objects.edit(&row) {
            object.expires = expires;
        }
    }
}

/// When a rule takes the current version. Of `count` versions, a marker that is the only one is taken by itself.
fn current(rule: &shapes::LifecycleRule, object: &Object, count: usize) -> Option<Time> {
    let expiration = rule.expiration.as_ref()?;
    if object.content.is_none() {
        let takes = expiration.expired_object_delete_marker == Some(true) || expiration.days.is_some();
        return (takes && count == 1).then(|| days_after(object.modified, expiration.days.unwrap_or(0)));
    }
    let of_days = expiration.days.map(|days| days_after(object.modified, days));
    of_days.or_else(|| expiration.date.map(|date| date.max(object.modified)))
}

/// Takes what has expired: a current version as DeleteObject does, anything else for good.
pub(super) fn on_due(cx: &mut Engine) {
    let now = cx.now;
    if let Some((time, row)) = cx.s3.uploads.first_due()
        && time <= now
    {
        upload::remove(cx, &row.0, &row.1, &row.2);
        return;
    }
    let Some((time, row)) = cx.s3.objects.first_due() else { return };
    if time > now {
        return;
    }
    let (bucket, key) = (Arc::clone(&row.0), Arc::clone(&row.1));
    let versioning = cx.s3.buckets.get(&bucket).and_then(|bucket| bucket.versioning);
    let is_current = cx.s3.latest(&bucket, &key).is_some_and(|object| object.key() == row);
    let is_marker = cx.s3.objects.get(&row).is_some_and(|object| object.content.is_none());
    if versioning.is_some() && is_current && !is_marker {
        if let Some(mut object) = cx.s3.objects.edit(&row) {
            object.expires = None;
        }
        // A marker holds nothing, so there is room for it.
        let _ = object::store(cx, &bucket, &key, None);
    } else {
        cx.s3.remove_object(&row);
        set_deadlines(cx, &bucket, &key);
    }
}
