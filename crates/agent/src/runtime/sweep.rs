//! Finds processes that left their container's process group (daemons that called `setsid`), by the container id in the
//! environment that they inherited. Linux only; elsewhere it finds none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process, test_kill_process_group};

/// In every container's environment: the runtime id, unique on this host.
pub(crate) const CONTAINER_ID: &str = "CAPSTAN_CONTAINER_ID";

/// How long a killed process may take to die: one that the kernel keeps, or whose parent never waits for it, does not hold
/// up the rest.
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks at `/proc` so often for children that were forked while their parents were being killed.
const LOOKS_MAX: usize = 100;

/// Kills every process of this host that belongs to one of the containers, and waits for their death. Reads `/proc` until
/// it finds none; blocks for as long as that takes (some microseconds a process).
pub(crate) fn kill_escaped(containers: &BTreeSet<String>) {
    for _ in 0..LOOKS_MAX {
        if !kill_found(containers) {
            return;
        }
    }
    tracing::warn!(?containers, "processes go on forking faster than they are killed");
}

/// Whether there was one.
fn kill_found(containers: &BTreeSet<String>) -> bool {
    let mut killed = Vec::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        // Not readable: another user's, and so not ours.
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        let id = environment.split(|byte| *byte == 0).find_map(|pair| {
            pair.strip_prefix(CONTAINER_ID.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
                .and_then(|id| std::str::from_utf8(id).ok())
        });
        if let Some(id) = id.filter(|id| containers.contains(*id)) {
            tracing::debug!(%id, pid = pid.as_raw_nonzero(), "killing a process that outlived its container");
            let _ = kill_process(pid, Signal::KILL);
            killed.push(pid);
        }
    }
    let since = Instant::now();
    while killed.iter().any(|pid| test_kill_process(*pid).is_ok()) && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    !killed.is_empty()
}

/// Waits until nothing is left of a process group that was killed.
pub(crate) async fn group_is_gone(leader: Pid) {
    let since = Instant::now();
    while test_kill_process_group(leader).is_ok() && since.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
