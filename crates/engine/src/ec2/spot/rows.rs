//! The rows of Spot.

use capstan_model::{InstanceId, MicroDollars, Span, Time};
use capstan_shapes::ec2::{
    InstanceInterruptionBehavior, LaunchSpecification, RunInstancesRequest, SpotInstanceState,
    SpotInstanceType,
};

use crate::ec2::Tags;
use crate::kernel::{NoIndex, Row};

/// From the notice to the end (EC2 guide, spot-instance-termination-notices).
pub const NOTICE: Span = Span::from_mins(2);

/// From the end of the notice to `terminated`: seen 123 s after the notice (observed.md §2, spot.md §5).
pub(super) const EVICTION: Span = Span::from_secs(3);

/// What a Spot Instance has besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// `sir-…`
    pub request: String,
    /// Per hour; `None`: up to the On-Demand price.
    pub max_price: Option<MicroDollars>,
    pub interruption_behavior: InstanceInterruptionBehavior,
    /// When EC2 said that it is at elevated risk (EC2 guide, rebalance-recommendations).
    pub recommended_at: Option<Time>,
    /// EC2 takes it back, or will.
    pub interruption: Option<Interruption>,
}

/// EC2 takes an instance back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interruption {
    pub cause: Cause,
    pub notice_at: Time,
    /// When the instance ends, whatever runs on it.
    pub gone_at: Time,
    pub stage: Stage,
}

/// Why EC2 takes an instance back; it decides the words of the request's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The pool has not enough capacity.
    Capacity,
    /// An experiment of the Fault Injection Service.
    Experiment,
    /// The Spot price is above what the request pays.
    Price,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is decided; nobody has been told.
    Planned,
    /// The notice stands in the instance's metadata.
    Noticed,
    /// Its time was over.
    Evicted,
}

/// A Spot Instance request: the user's, or the one behind RunInstances and Auto Scaling.
#[derive(Clone, Debug)]
pub struct SpotRequest {
    /// `sir-…`
    pub id: String,
    pub kind: SpotInstanceType,
    pub state: SpotInstanceState,
    /// `fulfilled`, `instance-terminated-no-capacity` … (EC2 guide, spot-request-status).
    pub status: &'static str,
    pub message: String,
    pub status_at: Time,
    pub created_at: Time,
    pub valid_until: Option<Time>,
    /// Its only or latest instance.
    pub instance: Option<InstanceId>,
    /// Zone of that instance.
    pub zone: Option<&'static capstan_model::AvailabilityZone>,
    pub max_price: Option<MicroDollars>,
    pub interruption_behavior: InstanceInterruptionBehavior,
    pub specification: Box<LaunchSpecification>,
    /// What to launch while the request is open; `None` when it can be fulfilled once only, and was.
    pub launch: Option<Box<RunInstancesRequest>>,
    /// Why it failed for good.
    pub fault: Option<(String, String)>,
    pub tags: Tags,
    pub client_token: Option<String>,
    /// When it is looked at again, or forgotten.
    pub due_at: Option<Time>,
}

impl Row for SpotRequest {
    type Key = String;
    type Index = NoIndex;
    const TABLE: &'static str = "ec2.spot-requests";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn resource(&self) -> Option<String> {
        let exists = matches!(self.state, SpotInstanceState::Open | SpotInstanceState::Active);
        exists.then(|| self.id.clone())
    }

    fn deadline(&self) -> Option<Time> {
        self.due_at
    }
}
