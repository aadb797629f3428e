//! What to serve: plain data that the driver builds from the control plane's state.
//!
//! A snapshot is complete and immutable. What happens while it is served (health, connections, counters) lives
//! elsewhere and survives the next snapshot, keyed by (target group ARN, target id, port).

use std::net::SocketAddr;

/// Everything the balancer serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub load_balancers: Vec<LoadBalancer>,
    pub target_groups: Vec<TargetGroup>,
}

/// One Application Load Balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// For logs and error pages.
    pub name: String,
    pub arn: String,
    /// `NAME-ID.REGION.elb.localhost`: tells load balancers apart that share a port.
    pub dns_name: String,
    pub attributes: LoadBalancerAttributes,
    pub listeners: Vec<Listener>,
}

/// The load balancer attributes that act on a request (ALB guide, application-load-balancers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerAttributes {
    /// `idle_timeout.timeout_seconds`, 1–4000.
    pub idle_timeout_seconds: u32,
    /// `client_keep_alive.seconds`, 60–604800.
    pub client_keep_alive_seconds: u32,
    /// `routing.http2.enabled`.
    pub http2: bool,
    /// `routing.http.drop_invalid_header_fields.enabled`.
    pub drop_invalid_header_fields: bool,
    /// `routing.http.preserve_host_header.enabled`; when off the Host value is lower-cased.
    pub preserve_host_header: bool,
    /// `routing.http.xff_header_processing.mode`.
    pub xff_header_processing: XffHeaderProcessing,
    /// `routing.http.xff_client_port.enabled`.
    pub xff_client_port: bool,
}

impl Default for LoadBalancerAttributes {
    fn default() -> Self {
        Self {
            idle_timeout_seconds: 60,
            client_keep_alive_seconds: 3600,
            http2: true,
            drop_invalid_header_fields: false,
            preserve_host_header: false,
            xff_header_processing: XffHeaderProcessing::Append,
            xff_client_port: false,
        }
    }
}

/// What happens to a client's `X-Forwarded-For`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XffHeaderProcessing {
    /// The client's address is added at the end.
    #[default]
    Append,
    /// The header goes on as it came.
    Preserve,
    /// The header is taken out.
    Remove,
}

/// A port of a load balancer and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub port: u16,
    pub protocol: ListenerProtocol,
    /// Taken when no rule matches.
    pub default_action: Action,
    /// In any order; they are evaluated by priority, lowest first.
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenerProtocol {
    #[default]
    Http,
    /// Not served yet: reported as a failed listener.
    Https,
}

/// A listener rule: all conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// 1–50000.
    pub priority: u32,
    pub conditions: Vec<Condition>,
    pub action: Action,
}

/// A rule condition; any one of its values is enough. Values may use `*` (any run) and `?` (any one character).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Case-insensitive, without the port.
    HostHeader(Vec<String>),
    /// Compared with the value of the named header, case-insensitive.
    HttpHeader { name: String, values: Vec<String> },
    /// Exact, no wildcards.
    HttpRequestMethod(Vec<String>),
    /// Case-sensitive, without the query string.
    PathPattern(Vec<String>),
    /// Case-insensitive pairs of the query string.
    QueryString(Vec<QueryStringPair>),
    /// CIDR blocks, compared with the address of the connection.
    SourceIp(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryStringPair {
    /// Without a key the value may belong to any key.
    pub key: Option<String>,
    pub value: String,
}

/// What a rule does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    FixedResponse {
        /// 2XX, 4XX or 5XX.
        status_code: u16,
        content_type: Option<String>,
        message_body: Option<String>,
    },
    Forward(Vec<WeightedTargetGroup>),
    Redirect(Redirect),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    pub target_group_arn: String,
    /// 0–999, relative to the others of the action.
    pub weight: u32,
}

/// A redirect; each part may use `#{protocol}`, `#{host}`, `#{port}`, `#{path}` (without its leading slash) and `#{query}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301 or 302.
    pub status_code: u16,
    pub protocol: String,
    pub host: String,
    pub port: String,
    pub path: String,
    pub query: String,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            status_code: 302,
            protocol: "#{protocol}".into(),
            host: "#{host}".into(),
            port: "#{port}".into(),
            path: "/#{path}".into(),
            query: "#{query}".into(),
        }
    }
}

/// A target group and its registered targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    pub arn: String,
    pub protocol_version: ProtocolVersion,
    pub algorithm: Algorithm,
    /// Off: a request first chooses one of the zones that have targets, then a target there.
    pub cross_zone: bool,
    /// `slow_start.duration_seconds`, 0 = off; acts with [`Algorithm::RoundRobin`] only.
    pub slow_start_seconds: u32,
    /// `target_group_health.unhealthy_state_routing.minimum_healthy_targets.count`, at least 1: with fewer healthy
    /// targets all registered ones get requests.
    pub minimum_healthy_count: u32,
    /// The same as a percentage of the registered targets, 0 = off.
    pub minimum_healthy_percent: u32,
    pub health_check: HealthCheck,
    pub targets: Vec<Target>,
}

impl TargetGroup {
    /// A group with the defaults of CreateTargetGroup and no targets.
    pub fn new(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            protocol_version: ProtocolVersion::Http1,
            algorithm: Algorithm::RoundRobin,
            cross_zone: true,
            slow_start_seconds: 0,
            minimum_healthy_count: 1,
            minimum_healthy_percent: 0,
            health_check: HealthCheck::default(),
            targets: Vec::new(),
        }
    }
}

/// `ProtocolVersion` of a target group. Targets are spoken to in HTTP/1.1; a request for a group of another version
/// is answered 464 as a protocol mismatch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtocolVersion {
    Grpc,
    #[default]
    Http1,
    Http2,
}

/// `load_balancing.algorithm.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    LeastOutstandingRequests,
    #[default]
    RoundRobin,
    WeightedRandom,
}

/// Health check settings of a target group; the defaults are those of CreateTargetGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Off: every target counts as healthy.
    pub enabled: bool,
    pub path: String,
    pub port: HealthCheckPort,
    /// 5–300, from start to start.
    pub interval_seconds: u32,
    /// 2–120.
    pub timeout_seconds: u32,
    /// 2–10.
    pub healthy_threshold: u32,
    /// 2–10.
    pub unhealthy_threshold: u32,
    /// `Matcher.HttpCode`: codes and ranges, such as `200` or `200-299,301`.
    pub matcher: String,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/".into(),
            port: HealthCheckPort::TrafficPort,
            interval_seconds: 30,
            timeout_seconds: 5,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: "200".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthCheckPort {
    Number(u16),
    #[default]
    TrafficPort,
}

/// A registered target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// An instance id or an IP address.
    pub id: String,
    pub port: u16,
    pub availability_zone: Option<String>,
    /// Where it really answers; `None` while nothing can be reached, not yet or not any more: it then gets neither checks
    /// nor requests.
    pub address: Option<SocketAddr>,
    /// Deregistered, its delay not yet over: requests in flight go on, new ones go elsewhere.
    pub draining: bool,
}
