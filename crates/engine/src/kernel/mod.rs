//! What every room stands on: tables, chance, effects, callers, pages.

mod caller;
mod chance;
mod dispatch;
mod effect;
mod event;
pub(crate) mod json;
mod page;
mod table;

pub use caller::Caller;
pub use chance::Chance;
pub(crate) use dispatch::dispatch;
pub use effect::{Effect, Fact, HealthReport};
pub(crate) use event::Event;
pub(crate) use page::{Page, page};
pub use table::{NoIndex, Row, Table};
