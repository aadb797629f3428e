//! What the scaling policies of EC2 Auto Scaling and of Application Auto Scaling have in common: the arithmetic of target
//! tracking and of steps, and the alarms that target tracking owns.
//!
//! Metric values arrive as floats, as CloudWatch publishes them. `kernel::millionths` makes integers of them once; from
//! there on only integers decide.

mod alarm;
mod step;
mod tracking;

pub use alarm::OwnAlarm;
pub(crate) use alarm::{Metric, Side, alarms_naming, delete_alarms, own_alarms, put_alarms, resource_label};
pub use step::{Adjustment, AdjustmentKind, Step};
pub(crate) use step::{adjusted, read as read_steps, step_for};
pub(crate) use tracking::{Peer, Size, WISH_LASTS, agreed, proportional, tracking_in, tracking_out};
