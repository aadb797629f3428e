//! EC2 Auto Scaling: launch configurations and scheduled actions.

use capstan_shapes::Refusal;
use capstan_shapes::autoscaling as shapes;

use super::super::resource::{Handler, Progress, Resource, always, call, never, no_attributes};
use super::common::{attributes, until};
use crate::Engine;
use crate::autoscaling::Name;

pub(super) const HANDLERS: &[Handler] = &[
    Handler {
        type_name: "AWS::AutoScaling::LaunchConfiguration",
        inert: None,
        create: create_configuration,
        update: never,
        delete: delete_configuration,
        stable: always,
        attributes: no_attributes,
    },
    Handler {
        type_name: "AWS::AutoScaling::ScheduledAction",
        inert: None,
        create: create_action,
        update: |cx, _, new| put_action(cx, new, new.physical_id.clone()),
        delete: delete_action,
        stable: always,
        attributes: |_, resource| attributes([("ScheduledActionName", resource.physical_id.clone())]),
    },
];

fn create_configuration(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "LaunchConfigurationName", 255);
    // The template says `true` where the API has a record.
    let mut resource = resource.clone();
    if let Some(enabled) = resource.properties.shift_remove("InstanceMonitoring") {
        resource
            .properties
            .insert("InstanceMonitoring".to_owned(), serde_json::json!({ "Enabled": enabled }));
    }
    let mut request: shapes::CreateLaunchConfigurationRequest = resource.request(&[])?;
    request.launch_configuration_name.clone_from(&name);
    call(cx, request)?;
    Ok(name)
}

fn delete_configuration(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    if !cx.autoscaling().launch_configurations().contains(&Name::from(resource.physical_id.as_str())) {
        return Ok(Progress::Done);
    }
    let launch_configuration_name = resource.physical_id.clone();
    // A group that is on its way out still has it.
    until(
        call(cx, shapes::DeleteLaunchConfigurationRequest { launch_configuration_name }),
        &["ResourceInUse"],
    )
}

fn create_action(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let name = resource.name(cx, "ScheduledActionName", 255);
    put_action(cx, resource, name.clone())?;
    Ok(name)
}

fn put_action(cx: &mut Engine, resource: &Resource, name: String) -> Result<(), Refusal> {
    let mut request: shapes::PutScheduledUpdateGroupActionRequest = resource.request(&[])?;
    request.scheduled_action_name = name;
    call(cx, request).map(drop)
}

fn delete_action(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let of = resource.text("AutoScalingGroupName").unwrap_or_default().to_owned();
    let key = (Name::from(of.as_str()), Name::from(resource.physical_id.as_str()));
    if cx.autoscaling().scheduled_actions().contains(&key) {
        let scheduled_action_name = resource.physical_id.clone();
        let auto_scaling_group_name = of;
        call(cx, shapes::DeleteScheduledActionRequest { auto_scaling_group_name, scheduled_action_name })?;
    }
    Ok(Progress::Done)
}
