//! Faults between an engine and its hosts: messages get lost, come twice or late, machines boot slowly or not at all, a
//! zone goes dark.
//!
//! Delivery is at least once, as between ECS and its agents: what was lost is sent again until it arrives (spec
//! ecs-agent-protocol.md: payloads and state changes are repeated until they are acknowledged).

use std::collections::{BTreeMap, BTreeSet};

use capstan_engine::kernel::Chance;
use capstan_engine::{Effect, Engine, Fact, Input};
use capstan_model::{InstanceId, Time};

use crate::{Range, Surroundings, VirtualHosts};

/// How often things go wrong, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRates {
    /// A message between an agent and ECS gets lost and is sent again.
    pub lost: u64,
    /// A message comes twice, the second time later.
    pub repeated: u64,
    /// A message takes long.
    pub late: u64,
    /// A machine takes long to boot.
    pub slow_boot: u64,
    /// A machine dies while it boots.
    pub failed_boot: u64,
}

impl FaultRates {
    /// Bad enough that a day has some of each.
    pub const ROUGH: Self = Self { lost: 60, repeated: 60, late: 60, slow_boot: 200, failed_boot: 60 };
    pub const NONE: Self = Self { lost: 0, repeated: 0, late: 0, slow_boot: 0, failed_boot: 0 };
}

/// Until a lost message is sent again.
const RESENT: Range = Range::secs(5, 60);
const LATE: Range = Range::secs(1, 120);
const SLOW_BOOT: Range = Range::secs(60, 900);
const FAILED_BOOT: Range = Range::secs(5, 60);

/// Virtual hosts behind a bad connection.
#[derive(Clone, Debug)]
pub struct FaultyHosts {
    hosts: VirtualHosts,
    chance: Chance,
    rates: FaultRates,
    /// Names of zones without power.
    dark: BTreeSet<&'static str>,
    delayed: BTreeMap<(Time, u64), Delayed>,
    decided: u64,
    /// What went wrong so far.
    faults: u64,
}

#[derive(Clone, Debug)]
enum Delayed {
    Effect(Effect),
    Input(Input),
}

impl FaultyHosts {
    /// Chance comes from a stream of its own under the seed.
    pub fn new(seed: u64, hosts: VirtualHosts, rates: FaultRates) -> Self {
        Self {
            hosts,
            chance: Chance::new(seed ^ 0x6661_756c_7473),
            rates,
            dark: BTreeSet::new(),
            delayed: BTreeMap::new(),
            decided: 0,
            faults: 0,
        }
    }

    /// How many faults there were.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    pub fn set_rates(&mut self, rates: FaultRates) {
        self.rates = rates;
    }

    /// Machines of a dark zone do not boot. Those that run there are the caller's to end.
    pub fn set_dark(&mut self, zone: &'static str, dark: bool) {
        if dark {
            self.dark.insert(zone);
        } else {
            self.dark.remove(zone);
        }
    }

    fn delay(&mut self, at: Time, what: Delayed) {
        self.decided += 1;
        self.delayed.insert((at, self.decided), what);
    }

    fn happens(&mut self, purpose: &'static str, thousandths: u64) -> bool {
        let happens = thousandths > 0 && self.chance.below(purpose, 1_000) < thousandths;
        self.faults += u64::from(happens);
        happens
    }

    /// Where the message goes: on now, later, or both. `again`: a copy for later.
    fn deliver(&mut self, now: Time, message: Delayed) -> Option<Delayed> {
        let rates = self.rates;
        if self.happens("faults.lost", rates.lost) {
            let at = now + RESENT.draw(&mut self.chance, "faults.resent");
            self.delay(at, message);
            return None;
        }
        if self.happens("faults.late", rates.late) {
            let at = now + LATE.draw(&mut self.chance, "faults.lateness");
            self.delay(at, message);
            return None;
        }
        if self.happens("faults.repeated", rates.repeated) {
            let at = now + LATE.draw(&mut self.chance, "faults.lateness");
            self.delay(at, message.clone());
        }
        Some(message)
    }

    fn boot(&mut self, now: Time, engine: &Engine, instance: InstanceId) -> bool {
        let zone = engine.ec2().instances().get(&instance).map(|row| row.zone.name);
        let dark = zone.is_some_and(|zone| self.dark.contains(zone));
        if dark || self.happens("faults.failed-boot", self.rates.failed_boot) {
            let at = now + FAILED_BOOT.draw(&mut self.chance, "faults.boot-death");
            self.delay(at, Delayed::Input(Input::Fact(Fact::InstanceTerminated { instance })));
            return false;
        }
        if self.happens("faults.slow-boot", self.rates.slow_boot) {
            let at = now + SLOW_BOOT.draw(&mut self.chance, "faults.boot-time");
            self.delay(at, Delayed::Effect(Effect::LaunchInstance { instance }));
            return false;
        }
        true
    }
}

impl Surroundings for FaultyHosts {
    fn next(&self) -> Option<Time> {
        let delayed = self.delayed.keys().next().map(|(time, _)| *time);
        [delayed, self.hosts.next()].into_iter().flatten().min()
    }

    fn take(&mut self, now: Time, engine: &Engine, effect: Effect) {
        match effect {
            Effect::LaunchInstance { instance } => {
                if self.boot(now, engine, instance) {
                    self.hosts.take(now, engine, effect);
                }
            }
            Effect::RunTask { .. } | Effect::StopTask { .. } => {
                if let Some(Delayed::Effect(effect)) = self.deliver(now, Delayed::Effect(effect)) {
                    self.hosts.take(now, engine, effect);
                }
            }
            effect => self.hosts.take(now, engine, effect),
        }
    }

    fn pop(&mut self, now: Time, engine: &Engine) -> Option<Input> {
        loop {
            if let Some(entry) = self.delayed.first_entry()
                && entry.key().0 <= now
            {
                match entry.remove() {
                    Delayed::Input(input) => return Some(input),
                    Delayed::Effect(effect) => {
                        if is_still_wanted(engine, &effect) {
                            self.hosts.take(now, engine, effect);
                        }
                        continue;
                    }
                }
            }
            let input = self.hosts.pop(now, engine)?;
            // Facts are what AWS itself observes; only agents speak over a bad line.
            if !matches!(input, Input::Call { .. }) {
                return Some(input);
            }
            if let Some(Delayed::Input(input)) = self.deliver(now, Delayed::Input(input)) {
                return Some(input);
            }
        }
    }
}

/// An order that comes late may be about a machine that is gone; nobody is there to get it.
fn is_still_wanted(engine: &Engine, effect: &Effect) -> bool {
    let (Effect::LaunchInstance { instance }
    | Effect::RunTask { instance, .. }
    | Effect::StopTask { instance, .. }) = effect
    else {
        return true;
    };
    engine.ec2().instances().get(instance).is_some_and(capstan_engine::ec2::Instance::is_alive)
}
