//! Invariants of Auto Scaling groups.

use capstan_engine::Engine;

use crate::Violation;

/// What a group wants lies within its limits.
pub(crate) fn groups(engine: &Engine, found: &mut Vec<Violation>) {
    for group in engine.autoscaling().groups().iter().filter(|group| !group.deleting) {
        if !(group.min..=group.max).contains(&group.desired) {
            let broken = format!("wants {} outside of {} to {}", group.desired, group.min, group.max);
            found.push(Violation::new(format!("Auto Scaling group {}", group.name), broken));
        }
    }
}
