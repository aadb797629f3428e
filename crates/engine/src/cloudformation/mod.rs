//! CloudFormation: templates become calls to the other rooms.

#![allow(dead_code)]

pub(crate) mod property;
pub(crate) mod resource;
mod types;
