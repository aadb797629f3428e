//! What carries out effects: virtual hosts, or processes of this host behind a real balancer.

use std::sync::Arc;

use capstan_agent::metadata::Tokens;
use capstan_engine::{Effect, Engine, Input};
use capstan_model::Time;
use capstan_simulator::{Profile, Surroundings, VirtualHosts};

use crate::clock::Running;
use crate::process::ProcessHosts;
use crate::traffic::Meter;
use crate::{Control, Error, Options, Runtime};

#[derive(Debug)]
pub(crate) enum Hosts {
    Process(Box<ProcessHosts>, Meter),
    Virtual(Box<VirtualHosts>),
}

impl Hosts {
    pub(crate) fn new(options: &Options, clock: &Running, tokens: &Tokens) -> Result<Self, Error> {
        match options.runtime {
            Runtime::Virtual => {
                let hosts = VirtualHosts::new(options.config.seed, Profile::default());
                Ok(Self::Virtual(Box::new(hosts)))
            }
            Runtime::Process => {
                let hosts = ProcessHosts::new(options, clock, tokens)?;
                let meter = Meter::new(hosts.balancer(), clock.now());
                Ok(Self::Process(Box::new(hosts), meter))
            }
        }
    }

    /// Reports go that way from now on.
    pub(crate) fn connect(&mut self, control: &Control) {
        if let Self::Process(hosts, _) = self {
            hosts.connect(control.clone());
        }
    }

    pub(crate) fn balancer(&self) -> Option<Arc<capstan_balancer::Handle>> {
        match self {
            Self::Process(hosts, _) => Some(hosts.balancer()),
            Self::Virtual(_) => None,
        }
    }

    /// Carries out what was gathered during a batch.
    pub(crate) fn flush(&mut self, engine: &Engine) {
        if let Self::Process(hosts, _) = self {
            hosts.flush(engine);
        }
    }

    /// Ends everything that was started.
    pub(crate) fn stop(&mut self) {
        if let Self::Process(hosts, _) = self {
            hosts.stop();
        }
    }
}

impl Surroundings for Hosts {
    fn next(&self) -> Option<Time> {
        match self {
            Self::Process(hosts, meter) => [hosts.next(), Some(meter.next())].into_iter().flatten().min(),
            Self::Virtual(hosts) => hosts.next(),
        }
    }

    fn take(&mut self, now: Time, engine: &Engine, effect: Effect) {
        match self {
            Self::Process(hosts, _) => hosts.take(now, engine, effect),
            Self::Virtual(hosts) => hosts.take(now, engine, effect),
        }
    }

    fn pop(&mut self, now: Time, engine: &Engine) -> Option<Input> {
        match self {
            Self::Process(hosts, meter) => hosts.pop(now, engine).or_else(|| meter.pop(now)),
            Self::Virtual(hosts) => hosts.pop(now, engine),
        }
    }
}
