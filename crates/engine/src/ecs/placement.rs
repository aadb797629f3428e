//! Which instance takes a task (spec ecs.md §9), and which task goes when there are too many (§8.6).
//!
//! Candidates are the ACTIVE instances with a connected agent that hold what the task needs and meet its constraints.
//! The strategy's rules narrow them one after the other; what is left over is decided by the fewest tasks of any kind and
//! then by the order of registration (our reading; AWS draws). Each requirement is a set of bits that is kept up to date
//! ([`index`]), so a placement joins a few sets and looks at no instance by itself.

mod bits;
mod check;
mod index;
mod place;
mod reason;
mod stop;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use capstan_model::Hex32;
use capstan_shapes::ecs as shapes;

use super::{Binding, ContainerInstance, Desired, Name, ServiceKey, TaskNeeds, TaskStatus};
use crate::Engine;

pub(super) use check::{check_rules, fits};
pub(super) use index::Places;
pub(super) use reason::{Because, Unplaced};
pub(super) use stop::choose_stop;

/// What is to be placed.
#[derive(Clone, Debug)]
pub(super) struct PlaceRequest {
    pub(super) cluster: Name,
    /// Only instances of that provider; `None`: any instance of the cluster.
    pub(super) provider: Option<Name>,
    pub(super) needs: Arc<TaskNeeds>,
    /// Whose tasks are counted to spread: `service:web`, `family:batch`.
    pub(super) group: Name,
    /// Service tasks are spread over zones and instances when no strategy is given; others are placed at random.
    pub(super) service: Option<ServiceKey>,
    /// The task definition's and the request's.
    pub(super) constraints: Vec<shapes::PlacementConstraint>,
    pub(super) strategy: Vec<shapes::PlacementStrategy>,
}

/// Where a task goes, and why there.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) instance: Hex32,
    pub(super) because: Because,
}

/// Finds the instance for one task. Nothing is taken yet.
pub(super) fn place(cx: &mut Engine, request: &PlaceRequest) -> Result<Placed, Unplaced> {
    let mut places = std::mem::take(&mut cx.ecs.places);
    let found = places.map(&cx.ecs, &request.cluster).place(&cx.ecs, request, &mut cx.chance);
    cx.ecs.places = places;
    found
}

/// The task, whose row names the instance, takes its share of it.
pub(super) fn take(cx: &mut Engine, instance: Hex32, task: Hex32) {
    let Some(row) = cx.ecs.tasks.get(&task) else { return };
    let needs = row.needs.clone();
    edit(cx, instance, |row| {
        row.remaining = row.remaining - needs.resources;
        row.tcp_ports.extend(&needs.tcp_ports);
        row.udp_ports.extend(&needs.udp_ports);
        row.interfaces += i64::from(needs.interface);
    });
    let mut places = std::mem::take(&mut cx.ecs.places);
    places.shares_changed(&cx.ecs, instance, &needs);
    places.task_changed(&cx.ecs, task);
    cx.ecs.places = places;
}

/// The agent has bound ports for a task on the instance; they are given back with the rest.
pub(super) fn bound(cx: &mut Engine, instance: Hex32, bindings: &[Binding]) {
    let Some(row) = cx.ecs.instances.get(&instance) else { return };
    let (mut tcp, mut udp) = ports(bindings);
    tcp.retain(|port| !row.tcp_ports.contains(port));
    udp.retain(|port| !row.udp_ports.contains(port));
    if tcp.is_empty() && udp.is_empty() {
        return;
    }
    edit(cx, instance, |row| {
        row.tcp_ports.extend(&tcp);
        row.udp_ports.extend(&udp);
    });
    let bound = TaskNeeds {
        tcp_ports: tcp.into_iter().collect(),
        udp_ports: udp.into_iter().collect(),
        ..TaskNeeds::default()
    };
    let mut places = std::mem::take(&mut cx.ecs.places);
    places.shares_changed(&cx.ecs, instance, &bound);
    cx.ecs.places = places;
}

fn ports<'a>(bindings: impl IntoIterator<Item = &'a Binding>) -> (Vec<u16>, Vec<u16>) {
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    for binding in bindings {
        if binding.udp { udp.push(binding.host_port) } else { tcp.push(binding.host_port) }
    }
    (tcp, udp)
}

/// The task is to stop: it no longer counts where tasks are spread, but keeps its share until [`give_back`].
pub(super) fn leave(cx: &mut Engine, task: Hex32) {
    let mut places = std::mem::take(&mut cx.ecs.places);
    places.task_changed(&cx.ecs, task);
    cx.ecs.places = places;
}

/// The task, whose row still names the instance and the bound ports, gives back its share.
pub(super) fn give_back(cx: &mut Engine, instance: Hex32, task: Hex32) {
    let Some(row) = cx.ecs.tasks.get(&task) else { return };
    let mut share = (*row.needs).clone();
    let (tcp, udp) = ports(row.containers.iter().flat_map(|container| &container.bindings));
    share.tcp_ports.extend(tcp);
    share.udp_ports.extend(udp);
    edit(cx, instance, |row| {
        row.remaining = row.remaining + share.resources;
        row.tcp_ports
            .retain(|port| !share.tcp_ports.contains(port) || row.registered_tcp_ports.contains(port));
        row.udp_ports
            .retain(|port| !share.udp_ports.contains(port) || row.registered_udp_ports.contains(port));
        row.interfaces -= i64::from(share.interface);
    });
    let mut places = std::mem::take(&mut cx.ecs.places);
    places.shares_changed(&cx.ecs, instance, &share);
    places.task_gone(&cx.ecs, task);
    cx.ecs.places = places;
}

fn edit(cx: &mut Engine, instance: Hex32, change: impl FnOnce(&mut ContainerInstance)) {
    if let Some(mut row) = cx.ecs.instances.edit(&instance) {
        change(&mut row);
        row.version += 1;
    }
}

/// A row of an instance was put in, changed by anything but [`take`] and [`give_back`], or removed.
pub(super) fn instance_changed(cx: &mut Engine, instance: Hex32) {
    let mut places = std::mem::take(&mut cx.ecs.places);
    places.instance_changed(&cx.ecs, instance);
    cx.ecs.places = places;
}

/// The ordinal of the next instance that registers.
pub(super) fn next_ordinal(cx: &mut Engine) -> u64 {
    let mut places = std::mem::take(&mut cx.ecs.places);
    let ordinal = places.next_ordinal(&cx.ecs);
    cx.ecs.places = places;
    ordinal
}

/// Whether a task counts where tasks of its group are spread.
fn counts(status: TaskStatus, desired: Desired) -> bool {
    status != TaskStatus::Stopped && desired == Desired::Running
}
