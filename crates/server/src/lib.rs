//! The live driver: gateway, engine thread, executor.

pub mod gateway;
