//! Rows of Lambda.

use std::collections::BTreeMap;

use capstan_shapes::lambda::FunctionConfiguration;
use serde_json::Value as Json;

use crate::kernel::{NoIndex, Row};

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    /// Of `$LATEST`.
    pub latest: FunctionConfiguration,
    /// Of published versions.
    pub versions: BTreeMap<u32, FunctionConfiguration>,
    /// Of a function that is a container image.
    pub image: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Statements of the function's policy.
    pub statements: Vec<Json>,
    /// Changes with the policy.
    pub policy_revision: String,
    pub reserved_concurrency: Option<i32>,
    /// ARN; empty for none.
    pub code_signing: String,
}

impl Row for Function {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "lambda.functions";

    fn key(&self) -> String {
        self.name.clone()
    }
}
