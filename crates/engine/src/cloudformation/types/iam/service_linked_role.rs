//! `AWS::IAM::ServiceLinkedRole`.

use capstan_shapes::{Refusal, iam as shapes};

use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call};
use crate::cloudformation::types::common::attributes;

pub(super) const HANDLER: Handler = Handler {
    type_name: "AWS::IAM::ServiceLinkedRole",
    inert: Some("stored and read back; services act without their roles"),
    create,
    update,
    delete,
    stable: always,
    attributes: |_, resource| attributes([("RoleName", resource.physical_id.clone())]),
};

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let request = shapes::CreateServiceLinkedRoleRequest {
        aws_service_name: resource.text("AWSServiceName").unwrap_or_default().to_owned(),
        description: resource.text("Description").map(str::to_owned),
        custom_suffix: resource.text("CustomSuffix").map(str::to_owned),
    };
    Ok(call(cx, request)?.role.map(|role| role.role_name).unwrap_or_default())
}

/// Only the description can change, and only by the role's service: IAM refuses it.
fn update(cx: &mut Engine, _: &Resource, new: &Resource) -> Result<(), Refusal> {
    let request = shapes::UpdateRoleRequest {
        role_name: new.physical_id.clone(),
        description: Some(new.text("Description").unwrap_or_default().to_owned()),
        max_session_duration: None,
    };
    call(cx, request).map(drop)
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    call(cx, shapes::DeleteServiceLinkedRoleRequest { role_name: resource.physical_id.clone() })?;
    Ok(Progress::Done)
}
