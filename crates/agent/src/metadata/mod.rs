//! The instance metadata service: what it answers, an endpoint of its own for each instance, and the agent that watches
//! it for a Spot interruption.
//!
//! The response hop limit has no effect here: it counts the networks between the service and the reader, and a task is
//! a process on the machine that serves its instance, so that every answer makes one hop, and the least limit is one.

mod answer;
mod endpoint;
mod token;
mod watch;

pub use answer::answer;
pub use endpoint::{Endpoint, Now};
pub use token::Tokens;
pub use watch::{SpotAction, spot_action};
