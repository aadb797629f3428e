//! Rows of Systems Manager.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::Time;
use capstan_shapes::ssm::{ParameterTier, ParameterType};

use crate::kernel::{NoIndex, Row};

/// A stored parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// With its hierarchy: `/cdk-bootstrap/hnb659fds/version`.
    pub name: String,
    pub tags: BTreeMap<String, String>,
    /// By number, at least one; the last is the newest.
    pub versions: BTreeMap<i64, Version>,
}

impl Parameter {
    /// The number of the newest version, and that version.
    pub fn newest(&self) -> (i64, &Version) {
        let (number, version) = self.versions.last_key_value().expect("a parameter has a version");
        (*number, version)
    }
}

/// One version of a parameter.
#[derive(Clone, Debug)]
pub struct Version {
    pub value: String,
    pub r#type: ParameterType,
    /// Of a SecureString.
    pub key_id: Option<String>,
    pub description: Option<String>,
    pub allowed_pattern: Option<String>,
    /// `Standard` or `Advanced`.
    pub tier: ParameterTier,
    /// `text`, `aws:ec2:image`
    pub data_type: String,
    /// Texts and types of policies.
    pub policies: Vec<(String, String)>,
    pub labels: BTreeSet<String>,
    pub modified: Time,
    /// ARN of who did it.
    pub modified_by: String,
}

impl Row for Parameter {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "ssm.parameters";

    fn key(&self) -> String {
        self.name.clone()
    }
}
