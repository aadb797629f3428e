//! Capacity errors: launches that an experiment has refused.

use capstan_shapes::Refusal;
use capstan_shapes::fis::ExperimentActionStatus;

use super::job::Job;
use super::rows::{Experiment, ExperimentIndex};
use crate::{Caller, Engine};

/// What EC2 answers a launch in that zone with, when a running experiment says that there is no capacity. `group`: the
/// Auto Scaling group that the instances are for.
///
/// No caller has an IAM role here, so an action on roles means every launch that no Auto Scaling group makes.
pub(crate) fn capacity_error(
    cx: &mut Engine,
    caller: &Caller,
    zone: &str,
    group: Option<&str>,
) -> Result<(), Refusal> {
    // What an experiment undoes itself is not its own fault.
    if cx.fis.experiments.count_by(&ExperimentIndex::Active) == 0 || *caller == Caller::FIS {
        return Ok(());
    }
    let group = group.filter(|_| *caller == Caller::AUTOSCALING);
    let percentages: Vec<u64> = cx
        .fis
        .experiments
        .by(&ExperimentIndex::Active)
        .flat_map(|row| {
            row.runs.iter().filter_map(|(name, run)| percentage(row, name, &run.job, zone, group))
        })
        .collect();
    // One draw for each: two experiments at 50 % leave a quarter of the launches.
    for percentage in percentages {
        if cx.chance.below("fis.capacity-error", 100) < percentage {
            return Err(Refusal::new(
                "InsufficientInstanceCapacity",
                format!(
                    "We currently do not have sufficient capacity in the Availability Zone you requested ({zone}). An \
                     AWS FIS experiment says so."
                ),
            ));
        }
    }
    Ok(())
}

/// The share of such launches that the action refuses, if it concerns them.
fn percentage(row: &Experiment, name: &str, job: &Job, zone: &str, group: Option<&str>) -> Option<u64> {
    let Job::CapacityError { zones, percentage, groups, .. } = job else { return None };
    let action = row.document.actions.as_ref()?.get(name)?;
    let running = action.state.as_ref()?.status == Some(ExperimentActionStatus::Running);
    let concerned = match group {
        Some(group) => {
            let target = row.plan.actions.get(name)?.target.as_ref()?;
            let named = |arn: &String| {
                arn.rsplit_once("autoScalingGroupName/").is_some_and(|(_, name)| name == group)
            };
            *groups && row.resolved.get(target)?.iter().any(named)
        }
        None => !*groups,
    };
    (running && concerned && zones.contains(&zone)).then_some(*percentage)
}
