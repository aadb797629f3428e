//! Rows of S3.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use capstan_model::Time;
use capstan_shapes::s3 as shapes;

use super::checksum::Checksum;
use super::settings::Settings;
use crate::kernel::{NoIndex, Row};

/// The version id of what is stored while versioning is off.
pub const NULL_VERSION: &str = "null";

#[derive(Clone, Debug)]
pub struct Bucket {
    pub name: Arc<str>,
    pub created: Time,
    /// `us-east-1`
    pub region: String,
    /// `None`: never was on.
    pub versioning: Option<shapes::BucketVersioningStatus>,
    pub settings: Settings,
}

impl Row for Bucket {
    type Key = Arc<str>;
    type Index = NoIndex;
    const TABLE: &'static str = "s3.buckets";

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

/// Bucket, key and serial: of one key the newest version comes first.
pub type ObjectKey = (Arc<str>, Arc<str>, Reverse<u64>);

/// A version of an object, or a delete marker.
#[derive(Clone, Debug)]
pub struct Object {
    pub bucket: Arc<str>,
    pub name: Arc<str>,
    /// Rises with every version that is stored, in any bucket.
    pub serial: u64,
    /// [`NULL_VERSION`] unless it was stored with versioning on.
    pub version: Arc<str>,
    pub modified: Time,
    /// `None`: a delete marker.
    pub content: Option<Content>,
    /// When a lifecycle rule takes it away, if one does.
    pub expires: Option<Time>,
}

impl Object {
    /// Of its content.
    pub fn bytes(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.body.len() as u64)
    }
}

impl Row for Object {
    type Key = ObjectKey;
    type Index = NoIndex;
    const TABLE: &'static str = "s3.objects";

    fn key(&self) -> ObjectKey {
        (Arc::clone(&self.bucket), Arc::clone(&self.name), Reverse(self.serial))
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{} version {}", self.bucket, self.name, self.version))
    }

    fn deadline(&self) -> Option<Time> {
        self.expires
    }
}

#[derive(Clone, Debug)]
pub struct Content {
    /// Shared with the request that brought it and the answers that carry it.
    pub body: Bytes,
    /// Without quotes.
    pub etag: Arc<str>,
    pub checksum: Checksum,
    /// Of an object that was uploaded in parts, by part number; else empty.
    pub parts: Vec<(i32, Piece)>,
    pub traits: Traits,
    pub tags: Vec<shapes::Tag>,
}

/// A part of a whole object: how long it is, and its own checksum.
#[derive(Clone, Debug)]
pub struct Piece {
    pub bytes: u64,
    pub checksum: Checksum,
}

/// What is kept beside an object's bytes.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_type: Option<String>,
    pub expires: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub website_redirect: Option<String>,
    pub storage_class: Option<shapes::StorageClass>,
    pub encryption: shapes::ServerSideEncryption,
    pub kms_key: Option<String>,
    pub bucket_key: Option<bool>,
    pub acl: Option<Vec<shapes::Grant>>,
}

/// An upload in parts that is under way.
#[derive(Clone, Debug)]
pub struct Upload {
    pub bucket: Arc<str>,
    pub name: Arc<str>,
    pub id: Arc<str>,
    pub initiated: Time,
    pub traits: Traits,
    pub tags: Vec<shapes::Tag>,
    /// As the client chose; `None`: it did not.
    pub algorithm: Option<shapes::ChecksumAlgorithm>,
    pub checksum_type: shapes::ChecksumType,
    /// By number: 1 to 10,000.
    pub parts: BTreeMap<i32, Part>,
    /// When a lifecycle rule ends it, if one does.
    pub aborts: Option<Time>,
}

#[derive(Clone, Debug)]
pub struct Part {
    pub body: Bytes,
    /// Without quotes: the MD5 in hexadecimal.
    pub etag: Arc<str>,
    pub checksum: Checksum,
    pub modified: Time,
}

impl Row for Upload {
    /// Bucket, key and upload id.
    type Key = (Arc<str>, Arc<str>, Arc<str>);
    type Index = NoIndex;
    const TABLE: &'static str = "s3.uploads";

    fn key(&self) -> Self::Key {
        (Arc::clone(&self.bucket), Arc::clone(&self.name), Arc::clone(&self.id))
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{} upload {}", self.bucket, self.name, self.id))
    }

    fn deadline(&self) -> Option<Time> {
        self.aborts
    }
}
