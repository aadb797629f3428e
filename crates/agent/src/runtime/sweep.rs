//! Finds processes that left their container's process group (daemons that called `setsid`), by the container id in the
//! environment that they inherited. Linux only; elsewhere it finds none.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};

/// In every container's environment: the runtime id, unique on this host.
pub(crate) const CONTAINER_ID: &str = "CAPSTAN_CONTAINER_ID";

/// Kills every process of this host that belongs to one of the containers. Reads `/proc` once; blocks for as long as that
/// takes (some microseconds a process).
pub(crate) fn kill_escaped(containers: &BTreeSet<String>) {
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
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
        }
    }
}
