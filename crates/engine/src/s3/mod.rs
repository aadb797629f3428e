//! Simple Storage Service: buckets, and objects in memory.
//!
//! An object's bytes are shared, not copied: with the request that brought them, with copies of the object and with every
//! answer that carries them or a range of them. Digests are found where requests are read ([`digested`]). The one copy that is
//! made here joins the parts of an upload, so that an object is always one piece ([`S3::object`]).
//!
//! Presigned URLs work, and do not expire: signatures are not verified.

mod acl;
mod bucket;
mod checksum;
mod copy;
mod delete;
mod error;
mod lifecycle;
mod list;
mod object;
mod read;
mod rows;
mod settings;
mod tagging;
#[cfg(test)]
mod tests;
mod upload;
mod upload_list;
mod versions;

use std::cmp::Reverse;
use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::{Refusal, s3};

use crate::kernel::{Table, dispatch, tables};
use crate::{Caller, Engine};

pub use checksum::{Checksum, bytes_to_digest, digested};
pub use rows::{Bucket, Content, NULL_VERSION, Object, ObjectKey, Part, Piece, Traits, Upload};
pub use settings::Settings;

/// Objects and parts of all buckets together.
pub const STORED_BYTES_MAX: u64 = 4 << 30;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CopyObject.ServerSideEncryption", "kept and shown; nothing is encrypted"),
    ("CreateBucket.ACL", "kept and shown; the account's own callers may do everything"),
    ("CreateBucket.BucketNamespace", "there is one namespace"),
    ("CreateBucket.ObjectLockEnabledForBucket", "kept and shown; nothing is locked"),
    ("CreateMultipartUpload.ServerSideEncryption", "kept and shown; nothing is encrypted"),
    ("DeleteObject.BypassGovernanceRetention", "nothing is locked"),
    ("DeleteObject.MFA", "there are no MFA devices"),
    ("GetObject.RequestPayer", "nobody pays"),
    ("PutBucketAccelerateConfiguration", "kept and shown; there are no edge locations"),
    ("PutBucketAcl", "kept and shown; the account's own callers may do everything"),
    ("PutBucketCors", "kept and shown; no browser is answered"),
    (
        "PutBucketEncryption.ServerSideEncryptionConfiguration",
        "kept and shown on new objects; nothing is encrypted",
    ),
    (
        "PutBucketLifecycleConfiguration.LifecycleConfiguration.Rules.Transitions",
        "kept and shown; storage classes are names only",
    ),
    (
        "PutBucketLifecycleConfiguration.LifecycleConfiguration.Rules.NoncurrentVersionTransitions",
        "kept and shown; storage classes are names only",
    ),
    ("PutBucketLogging", "kept and shown; no access logs are written"),
    ("PutBucketNotificationConfiguration", "kept and shown; nobody is told of objects"),
    ("PutBucketOwnershipControls", "kept and shown; there is one owner"),
    ("PutBucketPolicy", "kept and shown; the account's own callers may do everything"),
    ("PutBucketReplication", "kept and shown; nothing is replicated"),
    ("PutBucketRequestPayment", "kept and shown; nobody pays"),
    ("PutBucketVersioning.MFA", "there are no MFA devices"),
    ("PutBucketWebsite", "kept and shown; there is no website endpoint"),
    (
        "PutObject.Body",
        "all objects together keep 4 GiB in memory, a request carries 100 MiB; beyond that uploads are refused",
    ),
    ("PutObject.ObjectLockMode", "nothing is locked"),
    ("PutObject.SSECustomerKey", "taken and forgotten; nothing is encrypted"),
    ("PutObject.ServerSideEncryption", "kept and shown; nothing is encrypted"),
    ("PutObjectAcl", "kept and shown; the account's own callers may do everything"),
    ("PutObjectLockConfiguration", "kept and shown; nothing is locked"),
    (
        "PutPublicAccessBlock.PublicAccessBlockConfiguration",
        "public policies are refused; else kept and shown: nobody comes from outside",
    ),
];

/// The tables of S3.
#[derive(Clone, Debug, Default)]
pub struct S3 {
    buckets: Table<Bucket>,
    objects: Table<Object>,
    uploads: Table<Upload>,
    /// Versions that were ever stored: no number comes twice.
    serial: u64,
    stored_bytes: u64,
}

tables!(S3 { buckets, objects, uploads });

impl S3 {
    pub fn buckets(&self) -> &Table<Bucket> {
        &self.buckets
    }

    /// Versions and delete markers of all buckets.
    pub fn objects(&self) -> &Table<Object> {
        &self.objects
    }

    pub fn uploads(&self) -> &Table<Upload> {
        &self.uploads
    }

    /// The bytes of the current version; `None` when there is no such object.
    pub fn object(&self, bucket: &str, key: &str) -> Option<&[u8]> {
        self.latest(&Arc::from(bucket), &Arc::from(key))?.content.as_ref().map(|content| &content.body[..])
    }

    /// The versions of a key, the newest first.
    fn versions<'a>(
        &'a self,
        bucket: &Arc<str>,
        key: &Arc<str>,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        let at = |serial| (Arc::clone(bucket), Arc::clone(key), Reverse(serial));
        self.objects.range(at(u64::MAX)..=at(0))
    }

    /// The newest version of a key, which may be a delete marker.
    fn latest(&self, bucket: &Arc<str>, key: &Arc<str>) -> Option<&Object> {
        self.versions(bucket, key).next()
    }

    /// Versions and delete markers of a bucket from a key on, the newest of each key first.
    fn objects_from<'a>(
        &'a self,
        bucket: &Arc<str>,
        key: &str,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        let from = (Arc::clone(bucket), Arc::from(key), Reverse(u64::MAX));
        let bucket = Arc::clone(bucket);
        self.objects.range(from..).take_while(move |object| object.bucket == bucket)
    }

    fn remove_object(&mut self, key: &ObjectKey) {
        if let Some(object) = self.objects.remove(key) {
            self.stored_bytes -= object.bytes();
        }
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        [self.objects.next_due(), self.uploads.next_due()].into_iter().flatten().min()
    }
}

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: s3::Request,
) -> Result<s3::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, s3 {
        AbortMultipartUpload => upload::abort,
        CompleteMultipartUpload => upload::complete,
        CopyObject => copy::object,
        CreateBucket => bucket::create,
        CreateMultipartUpload => upload::create,
        DeleteBucket => bucket::delete,
        DeleteBucketCors => settings::delete_cors,
        DeleteBucketEncryption => settings::delete_encryption,
        DeleteBucketLifecycle => lifecycle::delete,
        DeleteBucketOwnershipControls => settings::delete_ownership,
        DeleteBucketPolicy => settings::delete_policy,
        DeleteBucketReplication => settings::delete_replication,
        DeleteBucketTagging => tagging::delete_bucket,
        DeleteBucketWebsite => settings::delete_website,
        DeleteObject => delete::object,
        DeleteObjectTagging => tagging::delete_object,
        DeleteObjects => delete::objects,
        DeletePublicAccessBlock => settings::delete_public_access_block,
        GetBucketAccelerateConfiguration => settings::get_accelerate,
        GetBucketAcl => acl::get_bucket,
        GetBucketCors => settings::get_cors,
        GetBucketEncryption => settings::get_encryption,
        GetBucketLifecycleConfiguration => lifecycle::get,
        GetBucketLocation => bucket::location,
        GetBucketLogging => settings::get_logging,
        GetBucketNotificationConfiguration => settings::get_notification,
        GetBucketOwnershipControls => settings::get_ownership,
        GetBucketPolicy => settings::get_policy,
        GetBucketPolicyStatus => settings::get_policy_status,
        GetBucketReplication => settings::get_replication,
        GetBucketRequestPayment => settings::get_request_payment,
        GetBucketTagging => tagging::get_bucket,
        GetBucketVersioning => versions::get,
        GetBucketWebsite => settings::get_website,
        GetObject => read::get,
        GetObjectAcl => acl::get_object,
        GetObjectAttributes => read::attributes,
        GetObjectLockConfiguration => settings::get_object_lock,
        GetObjectTagging => tagging::get_object,
        GetPublicAccessBlock => settings::get_public_access_block,
        HeadBucket => bucket::head,
        HeadObject => read::head,
        ListBuckets => bucket::list,
        ListMultipartUploads => upload_list::uploads,
        ListObjectVersions => versions::list,
        ListObjects => list::objects,
        ListObjectsV2 => list::objects_v2,
        ListParts => upload_list::parts,
        PutBucketAccelerateConfiguration => settings::put_accelerate,
        PutBucketAcl => acl::put_bucket,
        PutBucketCors => settings::put_cors,
        PutBucketEncryption => settings::put_encryption,
        PutBucketLifecycleConfiguration => lifecycle::put,
        PutBucketLogging => settings::put_logging,
        PutBucketNotificationConfiguration => settings::put_notification,
        PutBucketOwnershipControls => settings::put_ownership,
        PutBucketPolicy => settings::put_policy,
        PutBucketReplication => settings::put_replication,
        PutBucketRequestPayment => settings::put_request_payment,
        PutBucketTagging => tagging::put_bucket,
        PutBucketVersioning => versions::put,
        PutBucketWebsite => settings::put_website,
        PutObject => object::put,
        PutObjectAcl => acl::put_object,
        PutObjectLockConfiguration => settings::put_object_lock,
        PutObjectTagging => tagging::put_object,
        PutPublicAccessBlock => settings::put_public_access_block,
        UploadPart => upload::part,
        UploadPartCopy => copy::part,
    }))
}

pub(crate) fn on_due(cx: &mut Engine) {
    lifecycle::on_due(cx);
}

/// The owner of everything: an id that stands for the account as AWS's canonical ids do.
fn owner(cx: &Engine) -> s3::Owner {
    use sha2::Digest as _;
    let id = checksum::hex(&sha2::Sha256::digest(cx.config.account.as_bytes()));
    s3::Owner { id: Some(id), display_name: None }
}

/// ETags travel in quotes.
fn quoted(etag: &str) -> Option<String> {
    Some(format!("\"{etag}\""))
}

/// Keys in answers to those who asked for `encoding-type=url`: an XML document cannot carry every character.
fn shown_key(key: &str, encoding: Option<s3::EncodingType>) -> String {
    if encoding.is_none() {
        return key.to_owned();
    }
    key.bytes().fold(String::with_capacity(key.len()), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                text.push(char::from(byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}
