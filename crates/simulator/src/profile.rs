//! How long things take on virtual hosts.

use capstan_engine::kernel::Chance;
use capstan_model::Span;

/// From the least to the most, both included; drawn evenly, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub least: Span,
    pub most: Span,
}

impl Range {
    pub const fn secs(least: i64, most: i64) -> Self {
        Self { least: Span::from_secs(least), most: Span::from_secs(most) }
    }

    pub const fn millis(least: i64, most: i64) -> Self {
        Self { least: Span::from_millis(least), most: Span::from_millis(most) }
    }

    pub(crate) fn draw(self, chance: &mut Chance, purpose: &'static str) -> Span {
        let steps = u64::try_from((self.most - self.least).as_millis()).unwrap_or_default() + 1;
        let step = i64::try_from(chance.below(purpose, steps)).unwrap_or_default();
        self.least + Span::from_millis(step)
    }
}

/// The durations of a virtual world. The defaults fit the records of spec observed.md: instances counted a minute after
/// their launch, tasks on them within a minute and a half, replacements registered 13 s after a drain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Launch to `running`.
    pub boot: Range,
    /// `running` to the agent's registration.
    pub agent: Range,
    /// An order to RUNNING: image, container, start.
    pub task_start: Range,
    /// An order to STOPPED, for a task that ends on SIGTERM.
    pub task_stop: Range,
    /// Registration of a target to its first health check's verdict.
    pub first_check: Range,
    /// Terminate to `terminated`.
    pub shut_down: Range,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            boot: Range::secs(10, 14),
            agent: Range::secs(44, 50),
            task_start: Range::millis(9_500, 11_000),
            task_stop: Range::millis(600, 1_400),
            first_check: Range::secs(4, 9),
            shut_down: Range::secs(20, 45),
        }
    }
}
