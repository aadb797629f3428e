//! Rows of STS.

use capstan_model::Time;

use crate::kernel::{NoIndex, Row};

/// Temporary credentials.
#[derive(Clone, Debug)]
pub struct Session {
    /// `ASIA…`
    pub access_key: String,
    /// What GetCallerIdentity answers: `AROA…:SESSION`.
    pub user_id: String,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, or of whoever asked for a session of its own.
    pub arn: String,
    pub expires: Time,
}

impl Row for Session {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "sts.sessions";

    fn key(&self) -> String {
        self.access_key.clone()
    }

    fn resource(&self) -> Option<String> {
        None
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.expires)
    }
}
