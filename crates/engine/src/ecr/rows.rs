//! Rows of ECR.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::ecr as shapes;

use crate::kernel::{NoIndex, Row};

#[derive(Clone, Debug)]
pub struct Repository {
    pub name: Arc<str>,
    pub created: Time,
    pub mutability: shapes::ImageTagMutability,
    pub mutability_filters: Option<Vec<shapes::ImageTagMutabilityExclusionFilter>>,
    pub scan_on_push: bool,
    pub encryption: shapes::EncryptionConfiguration,
    /// As it was given.
    pub policy: Option<String>,
    pub lifecycle: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl Row for Repository {
    type Key = Arc<str>;
    type Index = NoIndex;
    const TABLE: &'static str = "ecr.repositories";

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}
