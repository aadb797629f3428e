//! Access control lists: kept and shown. Whoever calls is the owner, so nothing is held against them.

use std::sync::Arc;

use capstan_shapes::{Refusal, s3 as shapes};

use super::bucket::owned;
use super::error::invalid_request;
use super::owner;
use super::read::found;
use crate::kernel::Row as _;
use crate::{Caller, Engine};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

fn to_owner(cx: &Engine) -> shapes::Grant {
    let id = owner(cx).id;
    let grantee = shapes::Grantee { id, r#type: shapes::Type::CanonicalUser, ..shapes::Grantee::default() };
    shapes::Grant { grantee: Some(grantee), permission: Some(shapes::Permission::FullControl) }
}

fn to_group(uri: &str, permission: shapes::Permission) -> shapes::Grant {
    let grantee = shapes::Grantee {
        uri: Some(uri.to_owned()),
        r#type: shapes::Type::Group,
        ..shapes::Grantee::default()
    };
    shapes::Grant { grantee: Some(grantee), permission: Some(permission) }
}

/// The grants of a canned list; `None` where it is the one that everything begins with.
fn canned(cx: &Engine, name: &str) -> Option<Vec<shapes::Grant>> {
    use shapes::Permission::{Read, Write};
    let more = match name {
        "public-read" => vec![to_group(ALL_USERS, Read)],
        "public-read-write" => vec![to_group(ALL_USERS, Read), to_group(ALL_USERS, Write)],
        "authenticated-read" => vec![to_group(AUTHENTICATED_USERS, Read)],
        _ => return None,
    };
    Some([vec![to_owner(cx)], more].concat())
}

pub(super) fn canned_bucket(cx: &Engine, acl: Option<shapes::BucketCannedACL>) -> Option<Vec<shapes::Grant>> {
    canned(cx, acl?.as_str())
}

pub(super) fn canned_object(cx: &Engine, acl: Option<shapes::ObjectCannedACL>) -> Option<Vec<shapes::Grant>> {
    canned(cx, acl?.as_str())
}

/// Buckets whose owner is enforced take no lists but the first one (S3 User Guide, object ownership).
fn check_ownership(cx: &Engine, bucket: &str, is_private: bool) -> Result<(), Refusal> {
    let bucket = cx.s3.buckets.get(&Arc::from(bucket));
    let controls = bucket.and_then(|bucket| bucket.settings.ownership.as_ref());
    let is_enforced = controls.is_some_and(|controls| {
        controls
            .rules
            .iter()
            .any(|rule| rule.object_ownership == shapes::ObjectOwnership::BucketOwnerEnforced)
    });
    if is_enforced && !is_private {
        return Err(Refusal::new("AccessControlListNotSupported", "The bucket does not allow ACLs"));
    }
    Ok(())
}

/// The grants of a request: of its document, or canned.
fn asked(
    cx: &Engine,
    name: Option<&str>,
    policy: Option<shapes::AccessControlPolicy>,
    headers: [&Option<String>; 4],
) -> Result<Option<Vec<shapes::Grant>>, Refusal> {
    if headers.iter().any(|header| header.is_some()) {
        let message = "Grants in headers are not built: send an AccessControlPolicy or a canned ACL.";
        return Err(Refusal::new("NotImplemented", message).with_status(501));
    }
    match (name, policy) {
        (Some(_), Some(_)) => {
            Err(invalid_request("Specifying both Canned ACLs and an ACL document is not allowed"))
        }
        (Some(name), None) => Ok(canned(cx, name)),
        (None, Some(policy)) => {
            let grants = policy.grants.unwrap_or_default();
            Ok((grants != [to_owner(cx)]).then_some(grants))
        }
        (None, None) => {
            let message =
                "Your request was missing a required header: send a canned ACL or an AccessControlPolicy.";
            Err(Refusal::new("MissingSecurityHeader", message))
        }
    }
}

pub(super) fn get_bucket(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetBucketAclRequest,
) -> Result<shapes::GetBucketAclResponse, Refusal> {
    let bucket = owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let grants = bucket.settings.acl.clone().unwrap_or_else(|| vec![to_owner(cx)]);
    Ok(shapes::GetBucketAclResponse { owner: Some(owner(cx)), grants: Some(grants) })
}

pub(super) fn put_bucket(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutBucketAclRequest,
) -> Result<shapes::PutBucketAclResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let headers =
        [&request.grant_full_control, &request.grant_read, &request.grant_read_acp, &request.grant_write_acp];
    let name = request.acl.map(shapes::BucketCannedACL::as_str);
    let grants = asked(cx, name, request.access_control_policy, headers)?;
    check_ownership(cx, &request.bucket, grants.is_none())?;
    if let Some(mut bucket) = cx.s3.buckets.edit(&Arc::from(request.bucket)) {
        bucket.settings.acl = grants;
    }
    Ok(shapes::PutBucketAclResponse {})
}

pub(super) fn get_object(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::GetObjectAclRequest,
) -> Result<shapes::GetObjectAclResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let (_, content) = found(cx, &request.bucket, &request.key, request.version_id.as_deref())?;
    let grants = content.traits.acl.clone().unwrap_or_else(|| vec![to_owner(cx)]);
    Ok(shapes::GetObjectAclResponse { owner: Some(owner(cx)), grants: Some(grants), request_charged: None })
}

pub(super) fn put_object(
    cx: &mut Engine,
    _caller: &Caller,
    request: shapes::PutObjectAclRequest,
) -> Result<shapes::PutObjectAclResponse, Refusal> {
    owned(cx, &request.bucket, request.expected_bucket_owner.as_deref())?;
    let (object, _) = found(cx, &request.bucket, &request.key, request.version_id.as_deref())?;
    let row = object.key();
    let headers =
        [&request.grant_full_control, &request.grant_read, &request.grant_read_acp, &request.grant_write_acp];
    let name = request.acl.map(shapes::ObjectCannedACL::as_str);
    let is_private = matches!(name, Some("private" | "bucket-owner-full-control"));
    let grants = asked(cx, name, request.access_control_policy, headers)?;
    check_ownership(cx, &request.bucket, is_private || grants.is_none())?;
    if let Some(content) = cx.s3.objects.edit(&row).as_mut().and_then(|object| object.content.as_mut()) {
        content.traits.acl = grants;
    }
    Ok(shapes::PutObjectAclResponse::default())
}
