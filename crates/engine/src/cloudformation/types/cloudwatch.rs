//! CloudWatch: alarms and dashboards.

use capstan_shapes::Refusal;
use capstan_shapes::cloudwatch as shapes;

use super::super::resource::{Handler, Progress, Resource, always, call};
use super::common::{already_exists, attributes, tag_changes};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::CloudWatch::Alarm",
        inert: None,
        create: create_alarm,
        update: |cx, old, new| {
            put_alarm(cx, new, new.physical_id.clone())?;
            let arn = alarm_arn(cx, &new.physical_id);
            retag(cx, old, new, arn)
        },
        delete: delete_alarm,
        stable: always,
        attributes: |cx, resource| attributes([("Arn", alarm_arn(cx, &resource.physical_id))]),
    },
    Handler {
        type_name: "AWS::CloudWatch::CompositeAlarm",
        inert: None,
        create: create_composite,
        update: |cx, old, new| {
            put_composite(cx, new, new.physical_id.clone())?;
            let arn = alarm_arn(cx, &new.physical_id);
            retag(cx, old, new, arn)
        },
        delete: delete_alarm,
        stable: always,
        attributes: |cx, resource| attributes([("Arn", alarm_arn(cx, &resource.physical_id))]),
    },
    Handler {
        type_name: "AWS::CloudWatch::Dashboard",
        inert: None,
        create: create_dashboard,
        update: |cx, old, new| {
            put_dashboard(cx, new, new.physical_id.clone())?;
            let arn = dashboard_arn(cx, &new.physical_id);
            retag(cx, old, new, arn)
        },
        delete: delete_dashboard,
        stable: always,
        attributes: |cx, resource| attributes([("Arn", dashboard_arn(cx, &resource.physical_id))]),
    },
];

fn alarm_arn(cx: &Engine, name: &str) -> String {
    cx.arn("cloudwatch", format_args!("alarm:{name}"))
}

/// Dashboards are global.
fn dashboard_arn(cx: &Engine, name: &str) -> String {
    format!("arn:aws:cloudwatch::{}:dashboard/{name}", cx.config.account)
}

fn tags(resource: &Resource) -> Option<Vec<shapes::Tag>> {
    let tags: Vec<_> =
        resource.all_tags().into_iter().map(|(key, value)| shapes::Tag { key, value }).collect();
    Some(tags).filter(|tags| !tags.is_empty())
}

fn retag(cx: &mut Engine, old: &Resource, new: &Resource, resource_arn: String) -> Result<(), Refusal> {
    let (set, gone) = tag_changes(old, new);
    if !gone.is_empty() {
        let resource_arn = resource_arn.clone();
        call(cx, shapes::UntagResourceRequest { resource_arn, tag_keys: gone })?;
    }
    if !set.is_empty() {
        let tags = set.into_iter().map(|(key, value)| shapes::Tag { key, value }).collect();
        call(cx, shapes::TagResourceRequest { resource_arn, tags })?;
    }
    Ok(())
}

fn create_alarm(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "AlarmName", 255);
    // PutMetricAlarm would change the one that is there.
    if exists(cx, &name) {
        return Err(already_exists("AWS::CloudWatch::Alarm", "AlarmName", &name));
    }
    put_alarm(cx, resource, name.clone())?;
    Ok(name)
}

fn put_alarm(cx: &mut Engine, resource: &Resource, name: String) -> Result<(), Refusal> {
    let mut request: shapes::PutMetricAlarmRequest = resource.request(&[])?;
    request.alarm_name = name;
    request.tags = tags(resource);
    call(cx, request).map(drop)
}

fn exists(cx: &Engine, name: &str) -> bool {
    cx.cloudwatch().alarm(name).is_some() || cx.cloudwatch().composite_alarms().contains(&name.into())
}

fn create_composite(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "AlarmName", 255);
    if exists(cx, &name) {
        return Err(already_exists("AWS::CloudWatch::CompositeAlarm", "AlarmName", &name));
    }
    put_composite(cx, resource, name.clone())?;
    Ok(name)
}

fn put_composite(cx: &mut Engine, resource: &Resource, name: String) -> Result<(), Refusal> {
    let mut request: shapes::PutCompositeAlarmRequest = resource.request(&[])?;
    request.alarm_name = name;
    request.tags = tags(resource);
    call(cx, request).map(drop)
}

fn delete_alarm(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if exists(cx, &resource.physical_id) {
        call(cx, shapes::DeleteAlarmsRequest { alarm_names: vec![resource.physical_id.clone()] })?;
    }
    Ok(Progress::Done)
}

fn create_dashboard(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "DashboardName", 255);
    if cx.cloudwatch().dashboards().contains(&name.as_str().into()) {
        return Err(already_exists("AWS::CloudWatch::Dashboard", "DashboardName", &name));
    }
    put_dashboard(cx, resource, name.clone())?;
    Ok(name)
}

fn put_dashboard(cx: &mut Engine, resource: &Resource, name: String) -> Result<(), Refusal> {
    let mut request: shapes::PutDashboardRequest = resource.request(&[])?;
    request.dashboard_name = name;
    request.tags = tags(resource);
    call(cx, request).map(drop)
}

fn delete_dashboard(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if cx.cloudwatch().dashboards().contains(&resource.physical_id.as_str().into()) {
        call(cx, shapes::DeleteDashboardsRequest { dashboard_names: vec![resource.physical_id.clone()] })?;
    }
    Ok(Progress::Done)
}
