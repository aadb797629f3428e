//! The rows of the ECS tables.

mod capacity;
mod instance;
mod service;
mod task;
mod task_definition;

use std::sync::Arc;

use capstan_shapes::ecs as shapes;

use crate::kernel::{NoIndex, Row};

pub use capacity::*;
pub use instance::*;
pub use service::*;
pub use task::*;
pub use task_definition::*;

/// A name that many rows carry: clusters, services, providers.
pub type Name = Arc<str>;

/// One item of a capacity provider strategy, with the defaults of the API filled in (weight 0, base 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyItem {
    pub provider: Name,
    pub weight: i64,
    pub base: i64,
}

/// `PutAccountSetting`: one value for each name and principal.
#[derive(Clone, Debug)]
pub struct AccountSetting {
    pub name: shapes::SettingName,
    pub value: String,
    /// ARN of the user, role or root that it holds for; `None` = by PutAccountSettingDefault, for everyone.
    pub principal: Option<String>,
}

impl Row for AccountSetting {
    type Key = (shapes::SettingName, Option<String>);
    type Index = NoIndex;
    const TABLE: &'static str = "ecs.account_settings";
    fn key(&self) -> Self::Key {
        (self.name, self.principal.clone())
    }

    fn resource(&self) -> Option<String> {
        let principal = self.principal.as_deref().unwrap_or("default");
        Some(format!("{principal}/{}", self.name.as_str()))
    }
}
