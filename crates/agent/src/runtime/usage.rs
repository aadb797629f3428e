//! What the processes of containers use, read from `/proc`. Linux only; elsewhere nothing is known.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// What processes use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Processor time since they began, that of ended children included.
    pub cpu: Duration,
    /// Resident memory. Pages that processes share count for each.
    pub memory_kib: u64,
}

impl Used {
    pub(crate) fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.memory_kib += other.memory_kib;
    }
}

/// By process group. Takes some microseconds for each process of the host.
pub(crate) fn by_group() -> BTreeMap<i32, Used> {
    let mut groups = BTreeMap::<i32, Used>::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return groups };
    for entry in processes.flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        // A process may end while it is looked at.
        let stat = is_process.then(|| std::fs::read_to_string(entry.path().join("stat")).ok()).flatten();
        if let Some((group, used)) = stat.as_deref().and_then(read) {
            groups.entry(group).or_default().add(used);
        }
    }
    groups
}

/// Process group and use, from a line of `/proc/PID/stat` (proc_pid_stat(5)).
fn read(stat: &str) -> Option<(i32, Used)> {
    // The name, in parentheses, may hold anything; the numbers after it begin with the third.
    let (_, numbers) = stat.rsplit_once(") ")?;
    let numbers: Vec<&str> = numbers.split_ascii_whitespace().collect();
    let field = |number: usize| numbers.get(number - 3)?.parse::<u64>().ok();
    let group = numbers.get(5 - 3)?.parse().ok()?;
    let ticks = field(14)? + field(15)? + field(16)? + field(17)?;
    let cpu = Duration::from_millis(ticks * 1_000 / clock_ticks_per_second().max(1));
    let memory_kib = field(24)? * page_size() as u64 / 1_024;
    Some((group, Used { cpu, memory_kib }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_behind_its_name() {
        let line = "42 (a ) b) S 1 40 40 0 -1 4194304 9 0 0 0 150 50 100 0 20 0 1 0 77 1000 256 18446744073709551615";
        let (group, used) = read(line).expect("a line");
        assert_eq!(group, 40);
        let ticks = clock_ticks_per_second();
        assert_eq!(used.cpu, Duration::from_millis(300_000 / ticks));
        assert_eq!(used.memory_kib, 256 * page_size() as u64 / 1_024);
        for bad in ["", "42 (x", "42 (x) S 1", "42 (x) S 1 y 3"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_uses_something() {
        let all: u64 = by_group().values().map(|used| used.memory_kib).sum();
        assert!(all > 0 || !cfg!(target_os = "linux"));
    }
}
