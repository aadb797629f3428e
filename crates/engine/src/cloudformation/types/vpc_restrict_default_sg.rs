//! `Custom::VpcRestrictDefaultSG`: what CDK's provider of that name does, without the Lambda function that does it there.
//! It takes the rules of a VPC's default security group away and puts them back when it is deleted.

use capstan_shapes::Refusal;
use capstan_shapes::ec2::{
    AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupIngressRequest, IpPermission, IpRange,
    RevokeSecurityGroupEgressRequest, RevokeSecurityGroupIngressRequest, UserIdGroupPair,
};

use super::super::resource::{Handler, Progress, Resource, always, call, no_attributes};
use crate::Engine;

pub(super) const HANDLERS: &[Handler] = &[Handler {
    type_name: "Custom::VpcRestrictDefaultSG",
    inert: Some("the rules of the group are changed; no packet is held against them"),
    create: |cx, resource| {
        revoke(cx, group(resource)?)?;
        Ok(cx.chance.uuid("cloudformation.custom-resource"))
    },
    update: |cx, old, new| {
        let (old, new) = (group(old)?, group(new)?);
        if old != new {
            authorize(cx, old)?;
            revoke(cx, new)?;
        }
        Ok(())
    },
    delete: |cx, resource| {
        authorize(cx, group(resource)?)?;
        Ok(Progress::Done)
    },
    stable: always,
    attributes: no_attributes,
}];

fn group(resource: &Resource) -> Result<&str, Refusal> {
    resource.text("DefaultSecurityGroupId").ok_or_else(|| {
        Refusal::new(
            "InvalidRequest",
            "Custom::VpcRestrictDefaultSG needs the property DefaultSecurityGroupId.",
        )
    })
}

/// All traffic in from the group itself.
fn from_itself(group: &str) -> Option<Vec<IpPermission>> {
    let pair = UserIdGroupPair { group_id: Some(group.to_owned()), ..Default::default() };
    Some(vec![IpPermission {
        ip_protocol: Some("-1".to_owned()),
        user_id_group_pairs: Some(vec![pair]),
        ..Default::default()
    }])
}

/// All traffic out.
fn to_all() -> Option<Vec<IpPermission>> {
    let range = IpRange { cidr_ip: Some("0.0.0.0/0".to_owned()), description: None };
    Some(vec![IpPermission {
        ip_protocol: Some("-1".to_owned()),
        ip_ranges: Some(vec![range]),
        ..Default::default()
    }])
}

fn revoke(cx: &mut Engine, group: &str) -> Result<(), Refusal> {
    let request = RevokeSecurityGroupIngressRequest {
        group_id: Some(group.to_owned()),
        ip_permissions: from_itself(group),
        ..Default::default()
    };
    unless(call(cx, request), "InvalidPermission.NotFound")?;
    let request = RevokeSecurityGroupEgressRequest {
        group_id: group.to_owned(),
        ip_permissions: to_all(),
        ..Default::default()
    };
    unless(call(cx, request), "InvalidPermission.NotFound")
}

fn authorize(cx: &mut Engine, group: &str) -> Result<(), Refusal> {
    let request = AuthorizeSecurityGroupIngressRequest {
        group_id: Some(group.to_owned()),
        ip_permissions: from_itself(group),
        ..Default::default()
    };
    unless(call(cx, request), "InvalidPermission.Duplicate")?;
    let request = AuthorizeSecurityGroupEgressRequest {
        group_id: group.to_owned(),
        ip_permissions: to_all(),
        ..Default::default()
    };
    unless(call(cx, request), "InvalidPermission.Duplicate")
}

/// What is so already is well.
fn unless<T>(answer: Result<T, Refusal>, code: &str) -> Result<(), Refusal> {
    match answer {
        Err(refusal) if refusal.code != code => Err(refusal),
        _ => Ok(()),
    }
}
