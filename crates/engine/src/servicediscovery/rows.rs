//! Rows of Cloud Map.

use std::collections::BTreeMap;

use capstan_model::Time;
use capstan_shapes::servicediscovery::{
    DnsConfig, HealthCheckConfig, HealthCheckCustomConfig, OperationType, ServiceType,
};

use crate::kernel::{NoIndex, Row};

/// A private DNS namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// `ns-…`
    pub id: String,
    pub arn: String,
    pub name: String,
    pub description: Option<String>,
    pub vpc: String,
    /// `Z…`
    pub hosted_zone: String,
    /// Seconds, of the SOA record.
    pub soa_ttl: i64,
    pub created: Time,
    pub creator_request_id: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl Row for Namespace {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "servicediscovery.namespaces";

    fn key(&self) -> String {
        self.id.clone()
    }
}

#[derive(Clone, Debug)]
pub struct Service {
    /// `srv-…`
    pub id: String,
    pub arn: String,
    pub name: String,
    /// Its id.
    pub namespace: String,
    pub description: Option<String>,
    pub kind: ServiceType,
    pub dns: Option<DnsConfig>,
    pub health_check: Option<HealthCheckConfig>,
    pub custom_health_check: Option<HealthCheckCustomConfig>,
    pub created: Time,
    pub creator_request_id: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl Row for Service {
    type Key = String;
    /// The namespace's id.
    type Index = String;
    const TABLE: &'static str = "servicediscovery.services";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.namespace.clone());
    }
}

/// Something that Cloud Map did in the background; here it is done at once.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub kind: OperationType,
    /// `NAMESPACE` or `SERVICE`, and the id.
    pub target: (&'static str, String),
    pub at: Time,
}

impl Row for Operation {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "servicediscovery.operations";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
}
