//! `AWS::IAM::ManagedPolicy`.

use capstan_shapes::{Refusal, iam as shapes};
use serde_json::{Map, Value as Json};

use super::policy::HOLDERS;
use super::{INERT, or_absent};
use crate::Engine;
use crate::cloudformation::resource::{Handler, Progress, Resource, always, call, scalar};
use crate::cloudformation::types::common::{changed, texts};

pub(super) const HANDLER: Handler = Handler {
    type_name: "AWS::IAM::ManagedPolicy",
    inert: Some(INERT),
    create,
    update,
    delete,
    stable: always,
    attributes,
};

/// Versions that IAM keeps of one policy.
const VERSIONS_MAX: usize = 5;

fn create(cx: &mut Engine, resource: &Resource) -> Result<String, Refusal> {
    let mut request: shapes::CreatePolicyRequest = resource.request(&[])?;
    request.policy_name = resource.name(cx, "ManagedPolicyName", 128);
    let arn = call(cx, request)?.policy.and_then(|policy| policy.arn).unwrap_or_default();
    if let Err(refusal) = attach(cx, &arn, None, resource) {
        let made = Resource { physical_id: arn, ..resource.clone() };
        let _ = delete(cx, &made);
        return Err(refusal);
    }
    Ok(arn)
}

fn attach(cx: &mut Engine, arn: &str, old: Option<&Resource>, new: &Resource) -> Result<(), Refusal> {
    for (property, verbs) in HOLDERS {
        let before = old.map(|old| texts(old, property)).unwrap_or_default();
        let after = texts(new, property);
        for holder in before.iter().filter(|holder| !after.contains(holder)) {
            (verbs.detach)(cx, holder, arn)?;
        }
        for holder in after.iter().filter(|holder| !before.contains(holder)) {
            (verbs.attach)(cx, holder, arn)?;
        }
    }
    Ok(())
}

fn update(cx: &mut Engine, old: &Resource, new: &Resource) -> Result<(), Refusal> {
    let arn = new.physical_id.clone();
    if changed(old, new, "PolicyDocument") {
        // The oldest version that is not the default makes room.
        let row = cx.iam.policies().get(&arn);
        let oldest = row
            .filter(|row| row.versions.len() >= VERSIONS_MAX)
            .and_then(|row| row.versions.keys().find(|number| **number != row.default_version).copied());
        if let Some(number) = oldest {
            let version_id = format!("v{number}");
            call(cx, shapes::DeletePolicyVersionRequest { policy_arn: arn.clone(), version_id })?;
        }
        let request = shapes::CreatePolicyVersionRequest {
            policy_arn: arn.clone(),
            policy_document: new.get("PolicyDocument").map(scalar).unwrap_or_default(),
            set_as_default: Some(true),
        };
        call(cx, request)?;
    }
    attach(cx, &arn, Some(old), new)
}

fn delete(cx: &mut Engine, resource: &Resource) -> Result<Progress, Refusal> {
    let arn = resource.physical_id.clone();
    for (property, verbs) in HOLDERS {
        for holder in texts(resource, property) {
            (verbs.detach)(cx, &holder, &arn)?;
        }
    }
    let row = cx.iam.policies().get(&arn);
    let others: Vec<u32> = row
        .map(|row| row.versions.keys().filter(|number| **number != row.default_version).copied().collect())
        .unwrap_or_default();
    for number in others {
        let version_id = format!("v{number}");
        or_absent(call(cx, shapes::DeletePolicyVersionRequest { policy_arn: arn.clone(), version_id }))?;
    }
    call(cx, shapes::DeletePolicyRequest { policy_arn: arn })?;
    Ok(Progress::Done)
}

fn attributes(cx: &mut Engine, resource: &Resource) -> Map<String, Json> {
    let request = shapes::GetPolicyRequest { policy_arn: resource.physical_id.clone() };
    let Some(policy) = call(cx, request).ok().and_then(|answer| answer.policy) else { return Map::new() };
    let moment = |time: Option<capstan_model::Time>| time.map(capstan_model::Time::iso_secs);
    let pairs = [
        ("PolicyArn", Json::from(policy.arn)),
        ("PolicyId", Json::from(policy.policy_id)),
        ("AttachmentCount", Json::from(policy.attachment_count)),
        ("PermissionsBoundaryUsageCount", Json::from(policy.permissions_boundary_usage_count)),
        ("IsAttachable", Json::from(policy.is_attachable)),
        ("DefaultVersionId", Json::from(policy.default_version_id)),
        ("CreateDate", Json::from(moment(policy.create_date))),
        ("UpdateDate", Json::from(moment(policy.update_date))),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
