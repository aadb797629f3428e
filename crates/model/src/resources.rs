//! Quantities that placement counts.

/// CPU in ECS units (1024 = one vCPU) and memory in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resources {
    pub cpu: i64,
    pub memory: i64,
}

impl Resources {
    pub const fn fits_in(self, room: Self) -> bool {
        self.cpu <= room.cpu && self.memory <= room.memory
    }

    /// How many of `self` fit into `room`; `None` when `self` is empty (any number does).
    pub fn times_in(self, room: Self) -> Option<i64> {
        let by = |want: i64, have: i64| (want > 0).then(|| (have / want).max(0));
        match (by(self.cpu, room.cpu), by(self.memory, room.memory)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

impl std::ops::Add for Resources {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory }
    }
}

impl std::ops::Sub for Resources {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { cpu: self.cpu - other.cpu, memory: self.memory - other.memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_the_worked_example_does() {
        // spec/ecs.md §4.6: 256/512 on 2048/7680 → 8 by CPU, 15 by memory.
        let task = Resources { cpu: 256, memory: 512 };
        assert_eq!(task.times_in(Resources { cpu: 2048, memory: 7680 }), Some(8));
        assert_eq!(Resources::default().times_in(Resources { cpu: 1, memory: 1 }), None);
    }
}
