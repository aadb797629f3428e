//! The settings of `capstan web`: by environment or by argument.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What `capstan web --help` prints.
pub const HELP: &str = "\
A small web server to deploy: answers with the task that it is. It is what the
process runtime runs for the image capstan/web.

Usage: capstan web [--NAME VALUE]...

Each setting is an argument (--fail-after 30s) or a variable
(WEB_FAIL_AFTER=30s); the argument wins.
Durations: 250ms, 2s, 1.5m, 1h; a plain number counts seconds.

  --port         PORT             where to listen (8080; in a task any free one)
  --host         HOST             the address to listen on (127.0.0.1)
  --delay        WEB_DELAY        wait before each answer, except /health (0)
  --start-delay  WEB_START_DELAY  wait before listening (0)
  --fail-after   WEB_FAIL_AFTER   after this long, answer everything with 503
  --health       WEB_HEALTH       what /health answers: ok, fail (500), flaky
                                  (every second time 503), or a status (ok)
  --exit-after   WEB_EXIT_AFTER   after this long, exit without ceremony
  --exit-code    WEB_EXIT_CODE    with this code (1)
  --quiet        WEB_QUIET        after SIGTERM, exit once no request came for
                                  this long (200ms)
  --grace        WEB_GRACE        after SIGTERM, exit at last after this (25s)

Answers:
  GET /health     200, or as --health says
  GET /anything   who answers: task, zone, capacity provider, lifecycle,
                  instance, container; as JSON with Accept: application/json
Any request may ask for ?delay=250ms, ?status=503 (200 to 599) or
?size=1000000 (a body of that many bytes).

After SIGTERM it goes on answering, with Connection: close, so that no request
is lost that was already on its way; it exits with 0 when all is quiet.";

/// The settings of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub host: IpAddr,
    /// 0: any.
    pub port: u16,
    pub delay: Duration,
    pub start_delay: Duration,
    pub fail_after: Option<Duration>,
    pub health: Health,
    pub exit_after: Option<Duration>,
    pub exit_code: u8,
    pub quiet: Duration,
    pub grace: Duration,
    pub identity: Identity,
}

/// What `/health` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Ok,
    /// Always this status.
    Status(u16),
    /// Every second answer is a 503.
    Flaky,
}

/// Who answers; empty where it was not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub task_arn: String,
    pub task_id: String,
    pub cluster: String,
    pub service: String,
    pub availability_zone: String,
    pub capacity_provider: String,
    pub lifecycle: String,
    pub instance_id: String,
    pub container: String,
}

/// The arguments or the environment cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; see `capstan web --help`")]
pub struct UsageError(String);

impl Options {
    /// Reads the arguments after `web`, and the environment through `variable`. `--help` is the caller's.
    ///
    /// # Errors
    /// An unknown argument, or a value that is not of its kind.
    pub fn parse(
        arguments: impl IntoIterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, UsageError> {
        let mut given = Arguments::read(arguments)?;
        let mut get = |name: &'static str| {
            let from = variable_of(name);
            given.take(name).or_else(|| variable(&from)).filter(|value| !value.is_empty())
        };
        let identity = Identity::read(&variable);
        // A task without a port mapping is not looked for, and must not be in the way of the next one.
        let default_port = if identity.task_id.is_empty() { 8080 } else { 0 };
        let options = Self {
            host: value("host", get("host"), |text| text.parse().ok())?
                .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: value("port", get("port"), |text| text.parse().ok())?.unwrap_or(default_port),
            delay: value("delay", get("delay"), duration)?.unwrap_or_default(),
            start_delay: value("start-delay", get("start-delay"), duration)?.unwrap_or_default(),
            fail_after: value("fail-after", get("fail-after"), duration)?,
            health: value("health", get("health"), health)?.unwrap_or(Health::Ok),
            exit_after: value("exit-after", get("exit-after"), duration)?,
            exit_code: value("exit-code", get("exit-code"), |text| text.parse().ok())?.unwrap_or(1),
            quiet: value("quiet", get("quiet"), duration)?.unwrap_or(Duration::from_millis(200)),
            grace: value("grace", get("grace"), duration)?.unwrap_or(Duration::from_secs(25)),
            identity,
        };
        given.end()?;
        Ok(options)
    }
}

impl Identity {
    fn read(variable: &impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| variable(name).unwrap_or_default();
        Self {
            task_arn: get("CAPSTAN_TASK_ARN"),
            task_id: get("CAPSTAN_TASK_ID"),
            cluster: get("CAPSTAN_CLUSTER"),
            service: get("CAPSTAN_SERVICE"),
            availability_zone: get("CAPSTAN_AVAILABILITY_ZONE"),
            capacity_provider: get("CAPSTAN_CAPACITY_PROVIDER"),
            lifecycle: get("CAPSTAN_LIFECYCLE"),
            instance_id: get("CAPSTAN_INSTANCE_ID"),
            container: get("ECS_CONTAINER_NAME"),
        }
    }

    /// Names as the answers give them, in order.
    pub(super) fn pairs(&self) -> [(&'static str, &str); 9] {
        [
            ("task", &self.task_id),
            ("taskArn", &self.task_arn),
            ("cluster", &self.cluster),
            ("service", &self.service),
            ("availabilityZone", &self.availability_zone),
            ("capacityProvider", &self.capacity_provider),
            ("lifecycle", &self.lifecycle),
            ("instance", &self.instance_id),
            ("container", &self.container),
        ]
    }
}

/// `--name value` and `--name=value`.
struct Arguments(Vec<(String, String)>);

impl Arguments {
    fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut pairs = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                return Err(UsageError(format!("unexpected argument {argument:?}")));
            };
            let pair = match name.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => {
                    let missing = || UsageError(format!("--{name} needs a value"));
                    (name.to_owned(), arguments.next().ok_or_else(missing)?)
                }
            };
            pairs.push(pair);
        }
        Ok(Self(pairs))
    }

    /// The last value of that name.
    fn take(&mut self, name: &str) -> Option<String> {
        let mut last = None;
        self.0.retain(|(given, value)| {
            let this = given == name;
            if this {
                last = Some(value.clone());
            }
            !this
        });
        last
    }

    fn end(self) -> Result<(), UsageError> {
        match self.0.first() {
            Some((name, _)) => Err(UsageError(format!("unknown argument --{name}"))),
            None => Ok(()),
        }
    }
}

fn variable_of(name: &str) -> String {
    match name {
        "port" | "host" => name.to_ascii_uppercase(),
        _ => format!("WEB_{}", name.to_ascii_uppercase().replace('-', "_")),
    }
}

fn value<T>(
    name: &str,
    given: Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, UsageError> {
    given
        .map(|text| {
            let wrong = || UsageError(format!("--{name} or {}: cannot read {text:?}", variable_of(name)));
            read(&text).ok_or_else(wrong)
        })
        .transpose()
}

/// `250ms`, `2s`, `1.5m`, `1h`; a plain number counts seconds. At most 30 days.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * seconds;
    (seconds <= 30.0 * 86_400.0).then(|| Duration::from_secs_f64(seconds))
}

fn health(text: &str) -> Option<Health> {
    match text {
        "ok" | "pass" => Some(Health::Ok),
        "fail" => Some(Health::Status(500)),
        "flaky" => Some(Health::Flaky),
        _ => status(text).map(Health::Status),
    }
}

/// A status that ends a request.
pub(super) fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (200..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
        Options::parse(arguments.iter().map(ToString::to_string), get).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_win_over_variables() {
        let options = parse(
            &["--delay", "1s", "--health=503", "--delay=2s"],
            &[("PORT", "61000"), ("WEB_DELAY", "9s"), ("WEB_EXIT_AFTER", "5"), ("CAPSTAN_TASK_ID", "abc")],
        )
        .expect("valid");
        assert_eq!(options.port, 61_000);
        assert_eq!(options.delay, Duration::from_secs(2));
        assert_eq!(options.health, Health::Status(503));
        assert_eq!(options.exit_after, Some(Duration::from_secs(5)));
        assert_eq!(options.identity.task_id, "abc");
        assert_eq!(parse(&[], &[]).expect("valid").port, 8080);
        assert_eq!(parse(&[], &[("CAPSTAN_TASK_ID", "abc")]).expect("valid").port, 0);
        assert_eq!(parse(&[], &[("WEB_HEALTH", "")]).expect("valid").health, Health::Ok);
    }

    #[test]
    fn says_what_is_wrong() {
        let check = |arguments: &[&str], expect: &str| {
            let error = parse(arguments, &[]).expect_err("invalid");
            assert_eq!(error, format!("{expect}; see `capstan web --help`"));
        };
        check(&["serve"], "unexpected argument \"serve\"");
        check(&["--delay"], "--delay needs a value");
        check(&["--colour", "red"], "unknown argument --colour");
        check(&["--delay", "soon"], "--delay or WEB_DELAY: cannot read \"soon\"");
        check(&["--port", "70000"], "--port or PORT: cannot read \"70000\"");
        check(&["--health", "99"], "--health or WEB_HEALTH: cannot read \"99\"");
        check(&["--exit-code", "256"], "--exit-code or WEB_EXIT_CODE: cannot read \"256\"");
    }

    #[test]
    fn durations() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        };
        check("250ms", Some(250));
        check("2s", Some(2_000));
        check("1.5m", Some(90_000));
        check("1h", Some(3_600_000));
        check("0.25", Some(250));
        check("0", Some(0));
        check("", None);
        check("s", None);
        check("-1s", None);
        check("1d", None);
        check("1e9", None);
        check("1.2.3", None);
        check("99999999999999999999h", None);
    }

    #[test]
    fn help_names_every_setting() {
        for name in [
            "port",
            "host",
            "delay",
            "start-delay",
            "fail-after",
            "health",
            "exit-after",
            "exit-code",
            "quiet",
            "grace",
        ] {
            assert!(HELP.contains(&format!("--{name} ")), "{name}");
            assert!(HELP.contains(&variable_of(name)), "{name}");
        }
        assert!(HELP.lines().all(|line| line.chars().count() <= 80));
    }
}
