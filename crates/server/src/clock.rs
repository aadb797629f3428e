//! The engine's time: real, faster, or moved by hand.

use std::time::{Duration, Instant};

use capstan_model::{Span, Time};

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Only when it is moved (`POST /_capstan/clock`).
    Manual,
    /// So many times faster than real time; 1 is real time.
    Times(u32),
}

impl Clock {
    /// `real`, `xN` or `manual`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "real" => Ok(Self::Times(1)),
            "manual" => Ok(Self::Manual),
            _ => match text.strip_prefix('x').and_then(|n| n.parse().ok()) {
                Some(n @ 1..=10_000) => Ok(Self::Times(n)),
                _ => Err(format!(
                    "{text} is no clock: give real, manual, or x1 to x10000 (x60: an hour in a minute)"
                )),
            },
        }
    }

    pub fn is_manual(self) -> bool {
        self == Self::Manual
    }

    /// How many times faster processes and checks shall wait.
    pub fn scale(self) -> u32 {
        match self {
            Self::Manual => 1,
            Self::Times(n) => n,
        }
    }

    pub(crate) fn started(self) -> Running {
        Running { clock: self, origin: crate::wall_clock(), since: Instant::now() }
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manual => f.write_str("manual"),
            Self::Times(1) => f.write_str("real"),
            Self::Times(n) => write!(f, "x{n}"),
        }
    }
}

/// A clock that was started. A manual one stands at its origin; the driver keeps what was added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    clock: Clock,
    origin: Time,
    since: Instant,
}

impl Running {
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn now(&self) -> Time {
        match self.clock {
            Clock::Manual => self.origin,
            Clock::Times(n) => {
                let micros = i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX);
                self.origin + Span::from_micros(micros) * i64::from(n)
            }
        }
    }

    /// How long to sleep until that time; `None` when time does not pass by itself.
    pub(crate) fn until(&self, time: Time) -> Option<Duration> {
        match self.clock {
            Clock::Manual => None,
            Clock::Times(n) => {
                let micros = (time - self.now()).as_micros().max(0) / i64::from(n);
                Some(Duration::from_micros(u64::try_from(micros).unwrap_or_default() + 1))
            }
        }
    }
}
