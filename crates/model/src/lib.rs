//! The nouns that every layer shares: time, ids, ARNs, money, resource quantities, the instance catalogue.
//!
//! Nothing here reads a clock, draws a number or touches the outside world.

mod arn;
pub mod catalogue;
mod id;
mod metadata;
mod money;
mod region;
mod resources;
mod time;

pub use arn::Arn;
pub use id::{Hex32, InstanceId, hex_id};
pub use metadata::{InstanceMetadata, MetadataItem};
pub use money::MicroDollars;
pub use region::{AvailabilityZone, REGIONS, Region, region, zone};
pub use resources::Resources;
pub use time::{Span, Time};
