//! Rows of SNS.

use std::collections::BTreeMap;

use capstan_model::Time;

use crate::kernel::{NoIndex, Row};

#[derive(Clone, Debug)]
pub struct Topic {
    pub arn: String,
    pub name: String,
    pub created: Time,
    /// Those that were set: `DisplayName`, `Policy`, `KmsMasterKeyId` …
    pub attributes: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// Subscriptions that were taken away again.
    pub subscriptions_deleted: u32,
}

impl Row for Topic {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "sns.topics";

    fn key(&self) -> String {
        self.arn.clone()
    }
}

#[derive(Clone, Debug)]
pub struct Subscription {
    pub arn: String,
    /// ARN.
    pub topic: String,
    /// `sqs`, `email` …
    pub protocol: String,
    pub endpoint: String,
    /// What is not an AWS resource has to confirm, and nobody does here.
    pub confirmed: bool,
    /// Those that were set: `FilterPolicy`, `RawMessageDelivery` …
    pub attributes: BTreeMap<String, String>,
}

impl Row for Subscription {
    type Key = String;
    /// The topic's ARN.
    type Index = String;
    const TABLE: &'static str = "sns.subscriptions";

    fn key(&self) -> String {
        self.arn.clone()
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.topic.clone());
    }
}
