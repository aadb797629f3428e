//! Rows of KMS.

use std::collections::BTreeMap;

use capstan_model::Time;
use capstan_shapes::kms::{KeySpec, KeyUsageType, OriginType};

use crate::kernel::{NoIndex, Row};

#[derive(Clone, Debug)]
pub struct Key {
    /// A UUID, or `mrk-` and 32 hex digits.
    pub id: String,
    pub arn: String,
    pub created: Time,
    pub description: String,
    pub usage: KeyUsageType,
    pub spec: KeySpec,
    pub origin: OriginType,
    pub multi_region: bool,
    pub enabled: bool,
    /// When it goes away, once its deletion has been scheduled.
    pub deletion: Option<Time>,
    pub policy: String,
    /// Days between rotations (90 to 2560) and since when, while rotation is on.
    pub rotation: Option<(i32, Time)>,
    pub tags: BTreeMap<String, String>,
}

impl Row for Key {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "kms.keys";

    fn key(&self) -> String {
        self.id.clone()
    }

    /// A key that waits for its end is as good as gone.
    fn resource(&self) -> Option<String> {
        self.deletion.is_none().then(|| self.id.clone())
    }

    fn deadline(&self) -> Option<Time> {
        self.deletion
    }
}

#[derive(Clone, Debug)]
pub struct Alias {
    /// `alias/…`
    pub name: String,
    /// The key's id.
    pub target: String,
    pub created: Time,
    pub updated: Time,
}

impl Row for Alias {
    type Key = String;
    /// The key's id.
    type Index = String;
    const TABLE: &'static str = "kms.aliases";

    fn key(&self) -> String {
        self.name.clone()
    }

    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.target.clone());
    }
}
