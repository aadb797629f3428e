//! Runs tasks on a host: the process runtime and the built-in workload.

pub mod workload;
