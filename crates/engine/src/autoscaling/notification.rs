//! Notification configurations: kept and described. Nothing is sent.

use capstan_shapes::{Refusal, autoscaling as shapes};

use super::rows::{Name, Notification};
use super::{group, invalid, invalid_token};
use crate::kernel::page;
use crate::{Caller, Engine};

/// Topics of a group (Auto Scaling quotas).
const PER_GROUP_MAX: usize = 10;

const TYPES: [&str; 5] = [
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
    "autoscaling:TEST_NOTIFICATION",
];

pub(super) fn put(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutNotificationConfigurationRequest,
) -> Result<shapes::PutNotificationConfigurationResponse, Refusal> {
    let group = group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    if let Some(bad) = request.notification_types.iter().find(|name| !TYPES.contains(&name.as_str())) {
        return Err(invalid(format!("\"{bad}\" is not a valid Notification Type.")));
    }
    if !request.topic_arn.starts_with("arn:aws:sns:") {
        return Err(invalid(format!("Invalid topic ARN: {}", request.topic_arn)));
    }
    let topic: Name = request.topic_arn.into();
    let of_group = cx.autoscaling.notifications.iter().filter(|row| row.group == group && row.topic != topic);
    if of_group.count() >= PER_GROUP_MAX {
        return Err(Refusal::of(
            &shapes::LIMIT_EXCEEDED_FAULT,
            format!("The number of topics of group {group} would exceed the limit of {PER_GROUP_MAX}."),
        ));
    }
    // A topic's types are replaced, not added to (API reference).
    let types = request.notification_types.into_iter().collect();
    cx.autoscaling.notifications.insert(Notification { group, topic, types });
    Ok(shapes::PutNotificationConfigurationResponse {})
}

pub(super) fn delete(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DeleteNotificationConfigurationRequest,
) -> Result<shapes::DeleteNotificationConfigurationResponse, Refusal> {
    let group = group::find(cx, &request.auto_scaling_group_name)?.name.clone();
    match cx.autoscaling.notifications.remove(&(group, request.topic_arn.as_str().into())) {
        Some(_) => Ok(shapes::DeleteNotificationConfigurationResponse {}),
        None => Err(invalid(format!("Notification configuration of topic {} not found", request.topic_arn))),
    }
}

pub(super) fn describe(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::DescribeNotificationConfigurationsRequest,
) -> Result<shapes::DescribeNotificationConfigurationsResponse, Refusal> {
    let names = request.auto_scaling_group_names.unwrap_or_default();
    let rows = cx.autoscaling.notifications.iter();
    let rows = rows.filter(|row| names.is_empty() || names.iter().any(|name| **name == *row.group));
    let each = rows.flat_map(|row| row.types.iter().map(move |kind| (row, kind)));
    let size = usize::try_from(request.max_records.unwrap_or(50)).unwrap_or(50).min(100);
    // A character that no name may hold keeps the order of the keys that of the table.
    let key = |(row, kind): &(&Notification, &String)| format!("{}\u{1}{}\u{1}{kind}", row.group, row.topic);
    let page = page(each, key, request.next_token.as_deref(), size).map_err(|()| invalid_token())?;
    let shape = |(row, kind): (&Notification, &String)| shapes::NotificationConfiguration {
        auto_scaling_group_name: Some(row.group.to_string()),
        topic_arn: Some(row.topic.to_string()),
        notification_type: Some(kind.clone()),
    };
    Ok(shapes::DescribeNotificationConfigurationsResponse {
        notification_configurations: page.items.into_iter().map(shape).collect(),
        next_token: page.next,
    })
}

pub(super) fn types(
    _cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DescribeAutoScalingNotificationTypesRequest,
) -> Result<shapes::DescribeAutoScalingNotificationTypesResponse, Refusal> {
    let types = TYPES.iter().map(|&name| name.to_owned());
    Ok(shapes::DescribeAutoScalingNotificationTypesResponse {
        auto_scaling_notification_types: Some(types.collect()),
    })
}
