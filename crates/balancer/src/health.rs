//! Health checks: real requests to each registered target, and what follows from their outcomes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use crate::group::GroupState;
use crate::matcher::Matcher;
use crate::report::{Health, Report};
use crate::response_head::{self, BodyKind, RESPONSE_HEAD_MAX_BYTES};
use crate::shared::{GroupsByUse, Shared};
use crate::snapshot::{HealthCheck, HealthCheckPort, Target};
use crate::target::TargetState;

/// However fast time runs, the machine shall do other things than checks.
const INTERVAL_MIN: Duration = Duration::from_millis(20);
/// Of a body that nobody looks at, this much is read so that the target may finish in peace.
const BODY_READ_MAX_BYTES: u64 = 64 * 1024;
const BODY_READ_TIMEOUT: Duration = Duration::from_millis(100);

/// The checks that run, by target group, target id and port.
#[derive(Default)]
pub(crate) struct Checks(BTreeMap<(String, String, u16), Check>);

struct Check {
    settings: HealthCheck,
    address: SocketAddr,
    state: Arc<TargetState>,
    task: AbortHandle,
}

impl Checks {
    /// Starts the checks that are missing and stops those that are left over.
    pub(crate) fn reconcile(&mut self, shared: &Arc<Shared>) {
        let mut old = std::mem::take(&mut self.0);
        let GroupsByUse { used, unused } = shared.groups_by_use();
        for (group, settings) in used {
            if !settings.health_check.enabled {
                continue;
            }
            for (target, state) in group.checked() {
                let Some(address) = target.address.filter(|_| !target.draining) else { continue };
                let key = (group.arn.clone(), target.id.clone(), target.port);
                let same = |check: &Check| {
                    check.settings == settings.health_check
                        && check.address == address
                        && Arc::ptr_eq(&check.state, &state)
                };
                let check = match old.remove(&key) {
                    Some(check) if same(&check) => check,
                    other => {
                        if let Some(other) = other {
                            other.task.abort();
                        }
                        let settings = settings.health_check.clone();
                        let checker = Checker::new(
                            Arc::clone(shared),
                            Arc::clone(&group),
                            &state,
                            &settings,
                            &target,
                            address,
                        );
                        Check { settings, address, state, task: tokio::spawn(checker.run()).abort_handle() }
                    }
                };
                self.0.insert(key, check);
            }
        }
        for check in old.into_values() {
            check.task.abort();
        }
        for group in unused {
            group.forget_health(shared.time_scale);
        }
    }

    /// Stops all checks.
    pub(crate) fn stop(&mut self) {
        for check in std::mem::take(&mut self.0).into_values() {
            check.task.abort();
        }
    }
}

/// What one check said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Failed,
    Mismatch(u16),
    Passed,
    TimedOut,
}

impl Outcome {
    /// The health of a target that is unhealthy for this (model TargetHealth).
    fn unhealthy(&self) -> Health {
        let (reason, description) = match self {
            Self::Mismatch(code) => {
                ("Target.ResponseCodeMismatch", format!("Health checks failed with these codes: [{code}]"))
            }
            Self::TimedOut => ("Target.Timeout", "Request timed out".to_owned()),
            Self::Failed | Self::Passed => ("Target.FailedHealthChecks", "Health checks failed".to_owned()),
        };
        Health::Unhealthy { reason, description }
    }
}

/// Counts consecutive outcomes against the thresholds.
#[derive(Debug)]
struct Judge {
    healthy_threshold: u32,
    unhealthy_threshold: u32,
    passed: u32,
    failed: u32,
}

impl Judge {
    fn new(settings: &HealthCheck) -> Self {
        let (healthy_threshold, unhealthy_threshold) =
            (settings.healthy_threshold, settings.unhealthy_threshold);
        Self { healthy_threshold, unhealthy_threshold, passed: 0, failed: 0 }
    }

    /// The health after one more outcome, if it changes. A new target needs one success only (ALB guide,
    /// target-group-health-checks).
    fn observe(&mut self, now: Option<&Health>, outcome: &Outcome) -> Option<Health> {
        if *outcome == Outcome::Passed {
            (self.passed, self.failed) = (self.passed + 1, 0);
            let enough = now.is_none() || self.passed >= self.healthy_threshold;
            return (enough && now != Some(&Health::Healthy)).then_some(Health::Healthy);
        }
        (self.passed, self.failed) = (0, self.failed + 1);
        let already = matches!(now, Some(Health::Unhealthy { .. }));
        let health = outcome.unhealthy();
        ((already || self.failed >= self.unhealthy_threshold) && now != Some(&health)).then_some(health)
    }
}

/// Checks one target for as long as it is registered.
struct Checker {
    shared: Arc<Shared>,
    group: Arc<GroupState>,
    state: Arc<TargetState>,
    judge: Judge,
    matcher: Matcher,
    address: SocketAddr,
    request: String,
    interval: Duration,
    timeout: Duration,
}

impl Checker {
    fn new(
        shared: Arc<Shared>,
        group: Arc<GroupState>,
        state: &Arc<TargetState>,
        settings: &HealthCheck,
        target: &Target,
        address: SocketAddr,
    ) -> Self {
        let scaled = |seconds: u32| Duration::from_secs(u64::from(seconds)) / shared.time_scale;
        let (port, address) = match settings.port {
            // The traffic port under another name: it is wherever the target really answers.
            HealthCheckPort::Number(port) if port != target.port => {
                (port, SocketAddr::new(address.ip(), port))
            }
            _ => (target.port, address),
        };
        let ip = target.id.parse().unwrap_or_else(|_| address.ip());
        Self {
            judge: Judge::new(settings),
            matcher: Matcher::parse(&settings.matcher),
            request: request(&settings.path, ip, port),
            interval: scaled(settings.interval_seconds).max(INTERVAL_MIN),
            timeout: scaled(settings.timeout_seconds).max(shared.io_timeout_min),
            state: Arc::clone(state),
            address,
            group,
            shared,
        }
    }

    async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let outcome = self.check().await;
            let now = self.group.health(&self.state);
            let Some(health) = self.judge.observe(now.as_ref(), &outcome) else { continue };
            if self.group.set_health(&self.state, &health, self.shared.time_scale) {
                self.shared.report(Report::TargetHealth {
                    target_group_arn: self.group.arn.clone(),
                    target_id: self.state.id.clone(),
                    port: self.state.port,
                    health,
                });
            }
        }
    }

    async fn check(&self) -> Outcome {
        match tokio::time::timeout(self.timeout, get(self.address, &self.request)).await {
            Err(_) => Outcome::TimedOut,
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Outcome::TimedOut,
            Ok(Err(_)) => Outcome::Failed,
            Ok(Ok(status)) if self.matcher.matches(status) => Outcome::Passed,
            Ok(Ok(status)) => Outcome::Mismatch(status),
        }
    }
}

/// The request of a check. The port is left out when it is HTTP's own.
fn request(path: &str, ip: IpAddr, port: u16) -> String {
    let host = match (ip, port) {
        (IpAddr::V4(_), 80) => ip.to_string(),
        (IpAddr::V6(_), 80) => format!("[{ip}]"),
        _ => SocketAddr::new(ip, port).to_string(),
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\
         Accept-Encoding: gzip, compressed\r\n\r\n"
    )
}

/// Sends a request on a connection of its own: the status of the answer.
async fn get(address: SocketAddr, request: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match response_head::parse(&bytes, &Method::GET) {
            Ok(None) if bytes.len() < RESPONSE_HEAD_MAX_BYTES => {}
            Ok(Some((head, length))) if !head.status.is_informational() => {
                let body = match head.body {
                    BodyKind::Length(body) => body.saturating_sub((bytes.len() - length) as u64),
                    BodyKind::Chunked | BodyKind::UntilClose => BODY_READ_MAX_BYTES,
                };
                discard(stream, body.min(BODY_READ_MAX_BYTES)).await;
                return Ok(head.status.as_u16());
            }
            Ok(Some((_, length))) => drop(bytes.drain(..length)),
            Ok(None) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Reads the rest of an answer, for a moment: closing with unread bytes would reset the connection, which targets log
/// as an error.
async fn discard(stream: TcpStream, length: u64) {
    let mut rest = stream.take(length);
    let _ = tokio::time::timeout(BODY_READ_TIMEOUT, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` passed, `4` a 404, `t` timed out, `x` failed; expected: the changes as `H` or `U`, `.` for none.
    #[track_caller]
    fn check(outcomes: &str, expected: &str) {
        let mut judge = Judge::new(&HealthCheck {
            healthy_threshold: 3,
            unhealthy_threshold: 2,
            ..HealthCheck::default()
        });
        let mut now = None;
        let changes: String = outcomes
            .chars()
            .map(|c| {
                let outcome = match c {
                    '+' => Outcome::Passed,
                    '4' => Outcome::Mismatch(404),
                    't' => Outcome::TimedOut,
                    _ => Outcome::Failed,
                };
                let Some(health) = judge.observe(now.as_ref(), &outcome) else { return '.' };
                now = Some(health.clone());
                if health == Health::Healthy { 'H' } else { 'U' }
            })
            .collect();
        assert_eq!(changes, expected, "{outcomes}");
    }

    #[test]
    fn transitions() {
        check("+", "H");
        check("x+", ".H");
        check("xx", ".U");
        check("xx+++", ".U..H");
        check("xx++x+++", ".U.....H");
        check("+x+x+xx", "H.....U");
        check("+xx4ttx", "H.UUU.U");
    }

    #[test]
    fn requests() {
        for (ip, port, expected) in
            [("10.0.0.1", 80, "10.0.0.1"), ("10.0.0.1", 8080, "10.0.0.1:8080"), ("::1", 80, "[::1]")]
        {
            let text = request("/ok", ip.parse().expect("an address"), port);
            assert!(text.starts_with(&format!("GET /ok HTTP/1.1\r\nHost: {expected}\r\n")), "{text}");
        }
    }
}
