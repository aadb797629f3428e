//! What an instance can read about itself.

use std::collections::BTreeMap;

use crate::InstanceId;

/// All that the metadata endpoint of an instance answers now, as plain data (EC2 guide, instance metadata categories).
/// Whoever serves it adds the rules of the service: tokens, listings, versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceMetadata {
    pub instance: InstanceId,
    /// `HttpEndpoint`: nothing is answered when it is off.
    pub enabled: bool,
    /// `HttpTokens` is `required`: IMDSv2 only.
    pub tokens_required: bool,
    /// By what follows the version in a path: `meta-data/ami-id`, `dynamic/instance-identity/document`, `user-data`.
    pub items: BTreeMap<String, MetadataItem>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataItem {
    pub content_type: &'static str,
    pub body: String,
}

impl MetadataItem {
    pub fn text(body: impl Into<String>) -> Self {
        Self { content_type: "text/plain", body: body.into() }
    }

    pub fn json(body: impl Into<String>) -> Self {
        Self { content_type: "application/json", body: body.into() }
    }
}
