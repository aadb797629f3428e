//! Managed scaling: how full a provider's group is, told to CloudWatch once a minute, and which instances may go.

mod arithmetic;

use capstan_model::{Hex32, InstanceId, Resources, Span, Time, catalogue};
use capstan_shapes::autoscaling as shapes;

use super::{InstanceIndex, ManagedScaling, Name, ReservationReport, ServiceIndex, TaskIndex};
use crate::autoscaling::GroupInstanceIndex;
use crate::{Caller, Engine, autoscaling, cloudwatch};
use arithmetic::{Likeness, Room, Types, Waiting};

pub(super) const NAMESPACE: &str = "AWS/ECS/ManagedScaling";
pub(super) const METRIC: &str = "CapacityProviderReservation";

const MINUTE: Span = Span::from_mins(1);

/// Instances in one SetInstanceProtection (Auto Scaling API reference).
const PROTECTED_PER_CALL: usize = 50;

/// The next whole minute after now.
pub(super) fn next_minute(cx: &Engine) -> Time {
    cx.now.next_multiple(MINUTE)
}

/// An instance in service in the provider's group.
struct InService {
    id: InstanceId,
    /// From scale-in, as Auto Scaling has it.
    protected: bool,
    /// Its container instance, once its agent has registered in this cluster.
    container_instance: Option<Hex32>,
    /// Whether it runs a task that is not a daemon's.
    busy: bool,
}

/// Publishes the reservation of the minute that has just ended, and sets the protection of the group's instances.
pub(super) fn on_due(cx: &mut Engine, key: &(Name, Name)) {
    let next = next_minute(cx);
    if let Some(mut association) = cx.ecs.associations.edit(key) {
        association.next_report = Some(next);
    }
    let (cluster, provider) = key;
    let Some(row) = cx.ecs.providers.get(provider) else { return };
    let (Some(group), Some(scaling)) = (row.group().cloned(), row.scaling()) else { return };
    let settings = (scaling, group.termination_protection);
    let waiting = waiting(cx, cluster, provider);
    let known = cx.ecs.reckonings.get(key).filter(|known| waiting.is_empty() && known.holds(cx, settings));
    let (reckoning, instances) = match known {
        Some(known) => (known.clone(), None),
        None => {
            let instances = in_service(cx, cluster, &group.group_name);
            let reckoning = reckon(cx, &group.group_name, &instances, &waiting, settings);
            (reckoning, Some(instances))
        }
    };
    let Reckoning { running, reservation, .. } = reckoning.clone();
    if waiting.is_empty() {
        cx.ecs.reckonings.insert(key.clone(), reckoning);
    } else {
        cx.ecs.reckonings.remove(key);
    }
    let dimensions = [("CapacityProviderName", &**provider), ("ClusterName", &**cluster)];
    let minute = cx.now.floor(MINUTE) - MINUTE;
    cloudwatch::put(cx, NAMESPACE, METRIC, &dimensions, reservation.percent(), minute);
    let scale_in_wanted = reservation.milli_percent() < scaling.target_capacity * 1000;
    let report = ReservationReport {
        at: cx.now,
        needed: reservation.needed,
        running,
        milli_percent: reservation.milli_percent(),
        waiting_tasks: waiting.values().sum(),
        because: reservation.because,
    };
    if let Some(mut association) = cx.ecs.associations.edit(key) {
        association.report = Some(report);
    }
    if let Some(instances) = instances.filter(|_| group.termination_protection) {
        protect(cx, &group.group_name, &instances, scale_in_wanted);
    }
}

/// The result of a minute without waiting tasks. It holds until an instance changes: the placement and the end of a task
/// change its instance too.
#[derive(Clone, Debug)]
pub(super) struct Reckoning {
    /// Revisions of the container instances and of the groups' instances.
    revisions: (u64, u64),
    settings: (ManagedScaling, bool),
    running: i64,
    reservation: arithmetic::Reservation,
}

impl Reckoning {
    fn holds(&self, cx: &Engine, settings: (ManagedScaling, bool)) -> bool {
        self.revisions == revisions(cx) && self.settings == settings
    }
}

fn revisions(cx: &Engine) -> (u64, u64) {
    (cx.ecs.instances.revision(), cx.autoscaling.instances().revision())
}

fn reckon(
    cx: &Engine,
    group: &str,
    instances: &[InService],
    waiting: &Waiting,
    settings: (ManagedScaling, bool),
) -> Reckoning {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let running = count(instances.len());
    let busy = count(instances.iter().filter(|instance| instance.busy).count());
    let types = match waiting.is_empty() {
        true => None,
        false => types(cx, group),
    };
    let reservation = arithmetic::reservation(running, busy, waiting, types, settings.0);
    Reckoning { revisions: revisions(cx), settings, running, reservation }
}

/// N and what ECS knows of each: the instances that Auto Scaling has in service, whatever their state in the cluster.
fn in_service(cx: &Engine, cluster: &Name, group: &str) -> Vec<InService> {
    let known = |id| {
        let of_cluster = |row: &&super::ContainerInstance| row.cluster == *cluster;
        cx.ecs.instances.by(&InstanceIndex::Ec2(id)).find(of_cluster).map(|row| row.id)
    };
    let daemons = cx.ecs.services.count_by(&ServiceIndex::Daemon(cluster.clone())) > 0;
    let instances = cx.autoscaling.instances().by(&GroupInstanceIndex::InService(group.into()));
    instances
        .map(|instance| {
            let container_instance = known(instance.id);
            let busy = container_instance.is_some_and(|id| match daemons {
                true => is_busy(cx, id),
                false => cx.ecs.tasks.count_by(&TaskIndex::Instance(id)) > 0,
            });
            InService { id: instance.id, protected: instance.protected, container_instance, busy }
        })
        .collect()
}

/// Whether a task that is not a daemon's is on the instance. Daemons never count (ECS guide, managed-scaling-behavior).
fn is_busy(cx: &Engine, instance: Hex32) -> bool {
    cx.ecs.tasks.by(&TaskIndex::Instance(instance)).any(|task| {
        let service = task.service.as_ref().and_then(|key| cx.ecs.services.get(key));
        !service.is_some_and(|service| service.daemon)
    })
}

fn waiting(cx: &Engine, cluster: &Name, provider: &Name) -> Waiting {
    let mut waiting = Waiting::new();
    for task in cx.ecs.tasks.by(&TaskIndex::Waiting(cluster.clone(), Some(provider.clone()))) {
        *waiting.entry(Likeness::of(&task.needs)).or_default() += 1;
    }
    waiting
}

/// The instance types that the group may launch, as empty container instances.
fn types(cx: &Engine, group: &str) -> Option<Types> {
    let group = cx.autoscaling.groups().get(&group.into())?;
    let names = autoscaling::instance_types(cx, group);
    let types = names.iter().filter_map(|name| catalogue::instance_type(name));
    Types::of(types.map(|of_type| Room {
        resources: Resources {
            cpu: i64::from(of_type.vcpus) * 1024,
            memory: i64::from(of_type.registered_memory()),
        },
        interfaces: i64::from(of_type.max_enis) - 1,
    }))
}

/// Managed termination protection: instances with tasks are protected from scale-in; empty ones are given up when
/// scale-in is wanted (ECS guide, managed-termination-protection).
fn protect(cx: &mut Engine, group: &str, instances: &[InService], scale_in_wanted: bool) {
    let registered = || instances.iter().filter(|instance| instance.container_instance.is_some());
    let on: Vec<InstanceId> = registered()
        .filter(|instance| instance.busy && !instance.protected)
        .map(|instance| instance.id)
        .collect();
    set_protection(cx, group, &on, true);
    if scale_in_wanted {
        let empty = registered().filter(|instance| !instance.busy && instance.protected);
        let off: Vec<InstanceId> = empty.map(|instance| instance.id).collect();
        set_protection(cx, group, &off, false);
    }
}

fn set_protection(cx: &mut Engine, group: &str, instances: &[InstanceId], protected: bool) {
    for some in instances.chunks(PROTECTED_PER_CALL) {
        let request = shapes::SetInstanceProtectionRequest {
            instance_ids: some.iter().map(ToString::to_string).collect(),
            auto_scaling_group_name: group.to_owned(),
            protected_from_scale_in: protected,
        };
        // An instance that has just left the group is refused; the next minute asks again for the others.
        let _refused = cx.call(Caller::ECS, request);
    }
}

/// The group of the instance's provider, when ECS manages termination protection in it.
fn protected_group(cx: &Engine, instance: Hex32) -> Option<(String, InstanceId)> {
    let row = cx.ecs.instances.get(&instance)?;
    let provider = cx.ecs.providers.get(row.provider.as_ref()?)?;
    let group =
        provider.group().filter(|group| group.termination_protection && provider.scaling().is_some())?;
    Some((group.group_name.clone(), row.ec2_instance?))
}

/// An instance of a provider has registered: it is protected from scale-in from now on.
pub(super) fn instance_joined(cx: &mut Engine, instance: Hex32) {
    if let Some((group, id)) = protected_group(cx, instance) {
        protect_one(cx, &group, id);
    }
}

/// A task has been placed on the instance: what was given up for scale-in is protected again.
pub(super) fn task_placed(cx: &mut Engine, instance: Hex32) {
    if let Some((group, id)) = protected_group(cx, instance)
        && cx.ecs.tasks.count_by(&TaskIndex::Instance(instance)) == 1
        && is_busy(cx, instance)
    {
        protect_one(cx, &group, id);
    }
}

fn protect_one(cx: &mut Engine, group: &str, id: InstanceId) {
    let unprotected = |instance: &autoscaling::GroupInstance| {
        instance.state == shapes::LifecycleState::InService && !instance.protected
    };
    if cx.autoscaling.instances().get(&id).is_some_and(unprotected) {
        set_protection(cx, group, &[id], true);
    }
}
