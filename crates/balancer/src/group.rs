//! A target group at work: its members, their health, and the plan from which requests pick.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::counters::Shard;
use crate::report::Health;
use crate::snapshot::{Algorithm, ProtocolVersion, Target, TargetGroup};
use crate::target::{TargetState, lock};

/// Runtime state of a target group.
pub(crate) struct GroupState {
    pub(crate) arn: String,
    /// Where requests may go now; replaced whenever membership or health changes.
    pub(crate) plan: ArcSwap<Plan>,
    /// Position of the round robin.
    pub(crate) turn: AtomicUsize,
    pub(crate) counters: Box<[Shard]>,
    members: Mutex<Members>,
}

struct Members {
    settings: TargetGroup,
    /// In the order of `settings.targets`.
    list: Vec<Member>,
}

struct Member {
    state: Arc<TargetState>,
    /// `None` until the first verdict.
    health: Option<Health>,
    ramp: Option<Instant>,
}

/// Targets that can be reached and are not draining.
type Registered<'a> = Vec<(&'a Target, &'a Member)>;

/// Where requests of a group may go: immutable, rebuilt on each change.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) algorithm: Algorithm,
    pub(crate) protocol_version: ProtocolVersion,
    pub(crate) slow_start: Duration,
    /// One list of all candidates, or one for each zone when cross-zone is off; none is empty.
    pub(crate) zones: Vec<Vec<Candidate>>,
}

/// A target that may be picked.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) state: Arc<TargetState>,
    pub(crate) address: SocketAddr,
    /// When its slow start began.
    pub(crate) ramp: Option<Instant>,
    /// It is a candidate because too few targets are healthy.
    pub(crate) failed_open: bool,
}

impl GroupState {
    pub(crate) fn new(arn: &str, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            arn: arn.to_owned(),
            plan: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            counters: std::iter::repeat_with(Shard::default).take(shards).collect(),
            members: Mutex::new(Members { settings: TargetGroup::new(arn), list: Vec::new() }),
        })
    }

    /// Takes over the group's part of a new snapshot. On return no new request goes to a target that is draining or no
    /// longer there, and requests on targets that are no longer there are cut.
    pub(crate) fn apply(&self, settings: &TargetGroup, time_scale: u32) {
        let shards = self.counters.len();
        let mut members = lock(&self.members);
        let mut old = std::mem::take(&mut members.list);
        for target in &settings.targets {
            let known = old.iter().position(|m| m.state.id == target.id && m.state.port == target.port);
            let member = known.map(|at| old.swap_remove(at)).map_or_else(
                || Member {
                    state: TargetState::new(&target.id, target.port, shards),
                    health: None,
                    ramp: None,
                },
                |mut member| {
                    if member.state.is_closed() && !target.draining {
                        // Registered again while draining: it starts over as `initial`.
                        member.state.reopen();
                        (member.health, member.ramp) = (None, None);
                    }
                    member
                },
            );
            let reachable = target.address.is_some();
            members.list.push(if reachable { member } else { Member { health: None, ramp: None, ..member } });
        }
        members.settings.clone_from(settings);
        // The plan first, the flags after it: a request that is turned away by a flag finds the new plan.
        self.plan.store(Arc::new(members.plan(time_scale)));
        for (target, member) in settings.targets.iter().zip(&members.list) {
            if target.draining {
                member.state.close();
            }
        }
        for member in old {
            member.state.cut();
        }
    }

    /// Records a verdict of the health checks; `false` when nothing changed or `state` is not a member any more.
    pub(crate) fn set_health(&self, state: &Arc<TargetState>, health: &Health, time_scale: u32) -> bool {
        let mut members = lock(&self.members);
        let Some(at) = members.list.iter().position(|m| Arc::ptr_eq(&m.state, state)) else { return false };
        if state.is_closed() || members.list[at].health.as_ref() == Some(health) {
            return false;
        }
        let was_healthy = members.list[at].health == Some(Health::Healthy);
        members.list[at].health = Some(health.clone());
        if *health != Health::Healthy {
            members.list[at].ramp = None;
        } else if !was_healthy && members.settings.slow_start_seconds > 0 {
            // A target ramps up only beside one that takes its full share.
            let now = Instant::now();
            let over = slow_start(&members.settings, time_scale);
            let full = |m: &Member| {
                m.health == Some(Health::Healthy)
                    && m.ramp.is_none_or(|began| now.duration_since(began) >= over)
            };
            let beside = members.list.iter().enumerate().any(|(i, m)| i != at && full(m));
            members.list[at].ramp = beside.then_some(now);
        }
        self.plan.store(Arc::new(members.plan(time_scale)));
        true
    }

    /// Forgets all verdicts, when the group is used by no listener any more.
    pub(crate) fn forget_health(&self, time_scale: u32) {
        let mut members = lock(&self.members);
        for member in &mut members.list {
            (member.health, member.ramp) = (None, None);
        }
        self.plan.store(Arc::new(members.plan(time_scale)));
    }

    /// The targets to check and where they answer.
    pub(crate) fn checked(&self) -> Vec<(Target, Arc<TargetState>)> {
        let members = lock(&self.members);
        let targets = members.settings.targets.iter().zip(&members.list);
        targets.map(|(target, m)| (target.clone(), Arc::clone(&m.state))).collect()
    }

    /// What was last said about a target.
    pub(crate) fn health(&self, state: &Arc<TargetState>) -> Option<Health> {
        let members = lock(&self.members);
        members.list.iter().find(|m| Arc::ptr_eq(&m.state, state)).and_then(|m| m.health.clone())
    }

    pub(crate) fn targets(&self) -> Vec<Arc<TargetState>> {
        lock(&self.members).list.iter().map(|m| Arc::clone(&m.state)).collect()
    }

    pub(crate) fn target(&self, id: &str, port: u16) -> Option<Arc<TargetState>> {
        let members = lock(&self.members);
        members.list.iter().find(|m| m.state.id == id && m.state.port == port).map(|m| Arc::clone(&m.state))
    }
}

impl Members {
    fn plan(&self, time_scale: u32) -> Plan {
        let settings = &self.settings;
        let all = settings.targets.iter().zip(&self.list);
        let registered: Registered<'_> =
            all.filter(|(target, _)| !target.draining && target.address.is_some()).collect();
        let mut zones: Vec<(Option<&str>, Registered<'_>)> = Vec::new();
        for (target, member) in registered {
            let zone = if settings.cross_zone { None } else { target.availability_zone.as_deref() };
            match zones.iter_mut().find(|(name, _)| *name == zone) {
                Some((_, list)) => list.push((target, member)),
                None => zones.push((zone, vec![(target, member)])),
            }
        }
        // A zone without a healthy target is taken out of DNS, unless that would leave none.
        let any_healthy = zones.iter().any(|(_, list)| list.iter().any(|(_, m)| self.is_healthy(m)));
        let zones = zones
            .into_iter()
            .filter(|(_, list)| !any_healthy || list.iter().any(|(_, m)| self.is_healthy(m)))
            .map(|(_, list)| self.routable(&list))
            .filter(|list| !list.is_empty())
            .collect();
        Plan {
            algorithm: settings.algorithm,
            protocol_version: settings.protocol_version,
            slow_start: slow_start(settings, time_scale),
            zones,
        }
    }

    fn is_healthy(&self, member: &Member) -> bool {
        !self.settings.health_check.enabled || member.health == Some(Health::Healthy)
    }

    /// The healthy targets, or all of them when too few are healthy ("fail open").
    fn routable(&self, list: &[(&Target, &Member)]) -> Vec<Candidate> {
        let healthy = list.iter().filter(|(_, m)| self.is_healthy(m)).count();
        let by_percent = (list.len() * self.settings.minimum_healthy_percent as usize).div_ceil(100);
        let minimum = by_percent.max(self.settings.minimum_healthy_count.max(1) as usize);
        let failed_open = healthy < minimum;
        list.iter()
            .filter(|(_, member)| failed_open || self.is_healthy(member))
            .filter_map(|(target, member)| {
                let address = target.address?;
                Some(Candidate { state: Arc::clone(&member.state), address, ramp: member.ramp, failed_open })
            })
            .collect()
    }
}

fn slow_start(settings: &TargetGroup, time_scale: u32) -> Duration {
    Duration::from_secs(u64::from(settings.slow_start_seconds)) / time_scale
}
