//! Sees to it that nothing survives this process, even when it is killed with SIGKILL.
//!
//! The parent-death signal of Linux would have to be set between fork and exec, which Rust counts as unsafe, and would
//! reach only the child itself. So a small shell stands by instead: it is told every process group over a pipe, and when
//! the pipe ends because this process is gone, it kills those that are left. Without `/bin/sh` there is no watchdog; an
//! orderly end does not need it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Keeps the set of groups as a list between spaces.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
groups=' '
while read -r op id; do
  case $op in
    +) groups="$groups$id " ;;
    -) case $groups in *" $id "*) groups="${groups%%" $id "*} ${groups#*" $id "}" ;; esac ;;
  esac
done
for id in $groups; do kill -s KILL -- "-$id"; done
"#;

#[derive(Debug)]
pub(crate) struct Watchdog(Option<Child>);

impl Watchdog {
    pub(crate) fn start() -> Self {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "capstan-watchdog"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own group, so that Ctrl-C in a terminal does not reach it.
            .process_group(0)
            .spawn();
        Self(child.inspect_err(|error| tracing::warn!(%error, "no watchdog: cannot start /bin/sh")).ok())
    }

    pub(crate) fn add(&mut self, group: u32) {
        self.tell('+', group);
    }

    pub(crate) fn remove(&mut self, group: u32) {
        self.tell('-', group);
    }

    fn tell(&mut self, op: char, group: u32) {
        let Some(pipe) = self.0.as_mut().and_then(|child| child.stdin.as_mut()) else { return };
        // One write, so that a line is never cut when this process dies.
        if let Err(error) = pipe.write_all(format!("{op} {group}\n").as_bytes()) {
            tracing::warn!(%error, "the watchdog is gone");
            self.0 = None;
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").process_group(0).spawn().expect("sleep")
    }

    #[test]
    fn kills_what_is_left_and_only_that() {
        let (mut left, mut removed, mut last) = (sleeper(), sleeper(), sleeper());
        let mut watchdog = Watchdog::start();
        for child in [&left, &removed, &last] {
            watchdog.add(child.id());
        }
        watchdog.remove(removed.id());
        watchdog.remove(1_999_999_999);
        drop(watchdog);
        assert!(!left.wait().expect("wait").success());
        assert!(!last.wait().expect("wait").success());
        assert_eq!(removed.try_wait().expect("try_wait"), None, "still runs");
        removed.kill().expect("kill");
        removed.wait().expect("wait");
    }
}
