//! Rows of IAM.

use std::collections::{BTreeMap, BTreeSet};

use capstan_model::Time;
use capstan_shapes::iam::StatusType;

use crate::kernel::{NoIndex, Row};

/// Names are not told apart by case (IAM guide, reference of quotas): rows are found by them in lower case.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// What roles, users and groups have in common.
#[derive(Clone, Debug)]
pub struct Identity {
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `AROA…`, `AIDA…`, `AGPA…`
    pub id: String,
    pub arn: String,
    pub created: Time,
    /// Groups have none.
    pub tags: BTreeMap<String, String>,
    /// Inline policies: their documents by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub attached: BTreeSet<String>,
    /// ARN of a managed policy; groups have none.
    pub boundary: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Role {
    pub identity: Identity,
    /// The trust policy.
    pub trust: String,
    pub description: Option<String>,
    /// 3600 to 43200.
    pub session_seconds_max: i32,
    /// `ecs.amazonaws.com`, when the role is linked to a service: only that service changes it.
    pub linked_to: Option<String>,
}

impl Row for Role {
    type Key = String;
    /// ARNs of attached policies.
    type Index = String;
    const TABLE: &'static str = "iam.roles";

    fn key(&self) -> String {
        folded(&self.identity.name)
    }

    fn resource(&self) -> Option<String> {
        Some(self.identity.name.clone())
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        self.identity.attached.iter().cloned().for_each(put);
    }
}

#[derive(Clone, Debug)]
pub struct User {
    pub identity: Identity,
    /// Of groups, in lower case.
    pub groups: BTreeSet<String>,
    pub login: Option<Login>,
}

/// The password of a user; what it is is not kept.
#[derive(Clone, Debug)]
pub struct Login {
    pub created: Time,
    pub reset_required: bool,
}

impl Row for User {
    type Key = String;
    /// ARNs of attached policies.
    type Index = String;
    const TABLE: &'static str = "iam.users";

    fn key(&self) -> String {
        folded(&self.identity.name)
    }

    fn resource(&self) -> Option<String> {
        Some(self.identity.name.clone())
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        self.identity.attached.iter().cloned().for_each(put);
    }
}

#[derive(Clone, Debug)]
pub struct Group {
    pub identity: Identity,
}

impl Row for Group {
    type Key = String;
    /// ARNs of attached policies.
    type Index = String;
    const TABLE: &'static str = "iam.groups";

    fn key(&self) -> String {
        folded(&self.identity.name)
    }

    fn resource(&self) -> Option<String> {
        Some(self.identity.name.clone())
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        self.identity.attached.iter().cloned().for_each(put);
    }
}

/// An access key of a user. The secret is told once and not kept.
#[derive(Clone, Debug)]
pub struct AccessKey {
    pub id: String,
    /// In lower case.
    pub user: String,
    pub status: StatusType,
    pub created: Time,
}

impl Row for AccessKey {
    type Key = String;
    /// The user, in lower case.
    type Index = String;
    const TABLE: &'static str = "iam.access-keys";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.user.clone());
    }
}

/// A managed policy of the account.
#[derive(Clone, Debug)]
pub struct ManagedPolicy {
    pub arn: String,
    pub name: String,
    pub path: String,
    /// `ANPA…`
    pub id: String,
    pub description: Option<String>,
    pub created: Time,
    pub updated: Time,
    pub tags: BTreeMap<String, String>,
    /// By number: the 1 of `v1`.
    pub versions: BTreeMap<u32, Version>,
    pub default_version: u32,
    /// How many versions there ever were: a number does not come again.
    pub versions_ever: u32,
}

#[derive(Clone, Debug)]
pub struct Version {
    pub document: String,
    pub created: Time,
}

impl Row for ManagedPolicy {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "iam.policies";

    fn key(&self) -> String {
        self.arn.clone()
    }
}

#[derive(Clone, Debug)]
pub struct InstanceProfile {
    pub name: String,
    pub path: String,
    /// `AIPA…`
    pub id: String,
    pub arn: String,
    pub created: Time,
    pub tags: BTreeMap<String, String>,
    /// In lower case.
    pub role: Option<String>,
}

impl Row for InstanceProfile {
    type Key = String;
    /// The role, in lower case.
    type Index = String;
    const TABLE: &'static str = "iam.instance-profiles";

    fn key(&self) -> String {
        folded(&self.name)
    }

    fn resource(&self) -> Option<String> {
        Some(self.name.clone())
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        self.role.iter().cloned().for_each(put);
    }
}

/// The deletion of a service-linked role, which has its own id.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// `task/aws-service-role/SERVICE/ROLE/UUID`
    pub id: String,
}

impl Row for Deletion {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "iam.deletions";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }
}
