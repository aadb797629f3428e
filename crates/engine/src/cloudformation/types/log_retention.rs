//! `Custom::LogRetention`: what CDK's provider of that name does, without the Lambda function that does it there. It makes
//! sure of a log group, which something else may have made or will write to, and sets how long its events are kept.

use std::sync::Arc;

use capstan_shapes::Refusal;
use capstan_shapes::logs::{
    CreateLogGroupRequest, DeleteLogGroupRequest, DeleteRetentionPolicyRequest, PutRetentionPolicyRequest,
};

use super::common::{attributes, changed};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, scalar};

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "Custom::LogRetention",
    inert: None,
    create: |cx, resource| {
        let name = group(cx, resource)?;
        put(cx, &name, resource)?;
        Ok(name)
    },
    update: |cx, old, new| {
        if changed(old, new, "LogGroupName") {
            return Err(Refusal::new(
                "NotUpdatable",
                "The LogGroupName of Custom::LogRetention cannot change: give the resource another logical id.",
            ));
        }
        let name = group(cx, new)?;
        put(cx, &name, new)
    },
    delete: |cx, resource| {
        if resource.text("RemovalPolicy") == Some("destroy") {
            let log_group_name = resource.physical_id.clone();
            call(cx, DeleteLogGroupRequest { log_group_name })?;
        }
        Ok(Progress::Done)
    },
    stable: always,
    attributes: |_, resource| attributes([("LogGroupName", resource.physical_id.clone())]),
}];

/// The group that it is about; there is one region here.
fn group(cx: &Engine, resource: &Resource) -> Result<String, Refusal> {
    let region = resource.text("LogGroupRegion").unwrap_or(cx.config.region.name);
    if region != cx.config.region.name {
        return Err(Refusal::new(
            "InvalidRequest",
            format!(
                "Custom::LogRetention names a log group in {region}; here is {} only.",
                cx.config.region.name
            ),
        ));
    }
    resource.text("LogGroupName").map(str::to_owned).ok_or_else(|| {
        Refusal::new("InvalidRequest", "Custom::LogRetention needs the property LogGroupName.")
    })
}

fn put(cx: &mut Engine, name: &str, resource: &Resource) -> Result<(), Refusal> {
    let log_group_name = name.to_owned();
    if !cx.logs.groups().contains(&Arc::from(name)) {
        let log_group_name = log_group_name.clone();
        call(cx, CreateLogGroupRequest { log_group_name, ..Default::default() })?;
    }
    match resource.get("RetentionInDays").map(scalar).and_then(|days| days.parse().ok()) {
        Some(retention_in_days) if retention_in_days > 0 => {
            call(cx, PutRetentionPolicyRequest { log_group_name, retention_in_days }).map(drop)
        }
        _ => call(cx, DeleteRetentionPolicyRequest { log_group_name }).map(drop),
    }
}
