//! The rows of the EventBridge tables.

use std::sync::Arc;

use capstan_model::Time;

use crate::kernel::{NoIndex, Row};

/// An event bus. Services put their events on `default`.
#[derive(Clone, Debug)]
pub struct Bus {
    pub name: Arc<str>,
    pub description: Option<String>,
    pub created_at: Time,
    pub modified_at: Time,
}

impl Row for Bus {
    type Key = Arc<str>;
    type Index = NoIndex;
    const TABLE: &'static str = "events.buses";
    fn key(&self) -> Arc<str> {
        self.name.clone()
    }
}
