//! Runs tasks on a host.
//!
//! - [`Agent`] is the agent of one container instance (a slice of this host): it takes [`Command`]s, keeps a state
//!   machine for each task and reports as [`Event`]s, which map one to one to `SubmitTaskStateChange` and
//!   `SubmitContainerStateChange`.
//! - [`Runtime`] is what the agent asks to start, signal and probe containers; [`ProcessRuntime`] runs them as plain
//!   processes of this host. One runtime serves every instance of the host.
//! - [`AddressBook`] says on which socket of this host a reported port really answers.
//! - [`metadata`] is the instance metadata service of each instance.
//! - [`workload`] holds the images that Capstan brings itself.
//!
//! The state machine of a task (`machine`) knows no clock, process or socket; `instance` drives it.

mod address;
mod event;
mod instance;
mod logs;
mod machine;
pub mod metadata;
mod ports;
mod runtime;
mod spec;
pub mod workload;

pub use address::AddressBook;
pub use event::{
    ContainerState, ContainerStateChange, ContainerStatus, Event, HealthStatus, NetworkBinding, StopCode,
    TaskStateChange, TaskStatus,
};
pub use instance::{Agent, Command, InstanceOptions, Usage};
pub use logs::{ForwardedLine, LogLine, Stream};
pub use runtime::{
    Exit, Runtime, StartError, Started, process::Options, process::ProcessRuntime, usage::Used,
};
pub use spec::{
    Condition, ContainerSpec, Dependency, HealthCheck, LogDestination, PortMapping, Protocol, RestartPolicy,
    TaskSpec,
};
