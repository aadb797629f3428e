//! What every room stands on: tables, chance, effects, callers, pages.

mod caller;
mod chance;
mod dispatch;
mod effect;
mod event;
pub(crate) mod json;
mod page;
mod recast;
mod table;

pub use caller::Caller;
pub use chance::Chance;
pub(crate) use dispatch::dispatch;
pub use effect::{Effect, Fact, HealthReport, ResponseTimes, Traffic};
pub(crate) use event::Event;
pub(crate) use page::{Page, page};
pub(crate) use recast::{overlay, recast};
pub use table::{Amounts, NoIndex, Row, Table};
pub(crate) use table::{Edit, tables};

/// A published value in millionths, rounded to the nearest; what is not finite or too large goes to the ends.
pub(crate) fn millionths(value: f64) -> i64 {
    // `as` saturates and makes 0 of NaN; the only float that decides is this rounding of a published number.
    (value * 1_000_000.0).round() as i64
}
