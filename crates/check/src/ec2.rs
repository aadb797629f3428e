//! Invariants of EC2 instances and of what others believe of them.

use capstan_engine::Engine;
use capstan_engine::ecs::{InstanceIndex, InstanceStatus};
use capstan_shapes::ec2::InstanceStateName;

use crate::Violation;

/// An instance that EC2 takes back is gone when its time is over, and a cluster keeps no instance that is gone.
pub(crate) fn instances(engine: &Engine, found: &mut Vec<Violation>) {
    for instance in engine.ec2().instances().iter() {
        let subject = || format!("instance {}", instance.id);
        let interruption = instance.spot.as_ref().and_then(|spot| spot.interruption);
        if let Some(interruption) = interruption
            && instance.is_alive()
            && engine.now() > interruption.gone_at
        {
            found.push(Violation::new(subject(), format!("lives beyond {}", interruption.gone_at)));
        }
        let gone = matches!(instance.state, InstanceStateName::ShuttingDown | InstanceStateName::Terminated);
        let mut registered = engine.ecs().instances().by(&InstanceIndex::Ec2(instance.id));
        if gone && registered.any(|row| row.status != InstanceStatus::Inactive) {
            found.push(Violation::new(subject(), "has ended and is still registered in a cluster"));
        }
    }
}
