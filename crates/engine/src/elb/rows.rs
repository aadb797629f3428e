//! The rows of the Elastic Load Balancing tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_model::Time;
use capstan_shapes::elbv2 as shapes;

use super::attributes::Attributes;
use crate::kernel::Row;

/// ARN of a load balancer, listener, rule or target group.
pub type Name = Arc<str>;

pub type Tags = BTreeMap<String, String>;

/// An Application Load Balancer.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    pub arn: Name,
    pub name: String,
    /// `NAME-NUMBER.REGION.elb.localhost`, with `internal-` before it for internal ones.
    pub dns_name: String,
    pub created_at: Time,
    pub scheme: shapes::LoadBalancerSchemeEnum,
    pub vpc: String,
    /// In the order of their zones.
    pub subnets: Vec<LoadBalancerSubnet>,
    pub security_groups: Vec<String>,
    /// Network interfaces by subnet.
    pub interfaces: BTreeMap<String, String>,
    pub ip_address_type: shapes::IpAddressType,
    /// See [`attributes`](super::attributes) for keys and ranges.
    pub attributes: Attributes,
    /// While it is `provisioning`: when it becomes `active`.
    pub active_at: Option<Time>,
    /// Once it is `active`: when its metrics are put next.
    pub measured_at: Option<Time>,
    pub tags: Tags,
}

/// A zone that a load balancer is enabled for, and its subnet there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadBalancerSubnet {
    pub zone: String,
    pub subnet: String,
}

impl LoadBalancer {
    pub fn is_active(&self) -> bool {
        self.active_at.is_none()
    }
}

impl Row for LoadBalancer {
    type Key = Name;
    /// The name.
    type Index = String;
    const TABLE: &'static str = "elb.load_balancers";
    fn key(&self) -> Name {
        self.arn.clone()
    }
    fn deadline(&self) -> Option<Time> {
        self.active_at.or(self.measured_at)
    }
    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.name.clone());
    }
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Forward {
        /// One to five.
        target_groups: Vec<WeightedGroup>,
        /// Seconds (1–604800) for which a client stays with one of the groups; `None`: it does not.
        stickiness: Option<i32>,
    },
    Redirect(Redirect),
    FixedResponse {
        /// 2XX, 4XX or 5XX.
        status_code: u16,
        content_type: Option<String>,
        message_body: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedGroup {
    pub target_group: Name,
    /// 0–999.
    pub weight: i32,
}

/// Parts of the new address; each may use `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub protocol: String,
    pub host: String,
    pub port: String,
    pub path: String,
    pub query: String,
    pub status_code: shapes::RedirectActionStatusCodeEnum,
}

impl Action {
    /// The groups that it forwards to.
    pub fn target_groups(&self) -> impl Iterator<Item = &Name> {
        let groups: &[WeightedGroup] = match self {
            Self::Forward { target_groups, .. } => target_groups,
            Self::Redirect(_) | Self::FixedResponse { .. } => &[],
        };
        groups.iter().map(|group| &group.target_group)
    }
}

/// A port of a load balancer.
#[derive(Clone, Debug)]
pub struct Listener {
    pub arn: Name,
    pub load_balancer: Name,
    pub port: u16,
    /// HTTP or HTTPS.
    pub protocol: shapes::ProtocolEnum,
    /// HTTPS: ARNs, the default one first.
    pub certificates: Vec<String>,
    pub ssl_policy: Option<String>,
    /// Taken when no rule matches.
    pub default_action: Action,
    /// ARN and tags of the rule `default`, which stands for the default action.
    pub default_rule: Name,
    pub default_rule_tags: Tags,
    /// See [`attributes`](super::attributes) for keys and ranges.
    pub attributes: Attributes,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenerIndex {
    DefaultRule(Name),
    LoadBalancer(Name),
    /// Forwards to that group.
    TargetGroup(Name),
}

impl Row for Listener {
    type Key = Name;
    type Index = ListenerIndex;
    const TABLE: &'static str = "elb.listeners";
    fn key(&self) -> Name {
        self.arn.clone()
    }
    fn index(&self, put: &mut dyn FnMut(ListenerIndex)) {
        put(ListenerIndex::LoadBalancer(self.load_balancer.clone()));
        put(ListenerIndex::DefaultRule(self.default_rule.clone()));
        for group in self.default_action.target_groups() {
            put(ListenerIndex::TargetGroup(group.clone()));
        }
    }
}

/// A condition of a rule; any one of its values is enough. Wildcards are `*` and `?` where the type allows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    HostHeader(Vec<String>),
    HttpHeader {
        name: String,
        values: Vec<String>,
    },
    /// No wildcards.
    HttpRequestMethod(Vec<String>),
    PathPattern(Vec<String>),
    /// Pairs of key and value; without a key the value may belong to any.
    QueryString(Vec<(Option<String>, String)>),
    /// CIDR blocks.
    SourceIp(Vec<String>),
}

/// A rule of a listener that is not its default rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub arn: Name,
    pub listener: Name,
    /// 1–50000, the lowest first.
    pub priority: i32,
    /// All must hold.
    pub conditions: Vec<Condition>,
    pub action: Action,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleIndex {
    /// Of a listener, in the order of priority.
    Listener(Name, i32),
    /// Forwards to that group.
    TargetGroup(Name),
}

impl Row for Rule {
    type Key = Name;
    type Index = RuleIndex;
    const TABLE: &'static str = "elb.rules";
    fn key(&self) -> Name {
        self.arn.clone()
    }
    fn index(&self, put: &mut dyn FnMut(RuleIndex)) {
        put(RuleIndex::Listener(self.listener.clone(), self.priority));
        for group in self.action.target_groups() {
            put(RuleIndex::TargetGroup(group.clone()));
        }
    }
}

/// How targets are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// HTTP or HTTPS.
    pub protocol: shapes::ProtocolEnum,
    /// `None`: the port on which the target gets its traffic.
    pub port: Option<u16>,
    pub path: String,
    /// Seconds from start to start, 5–300.
    pub interval: i32,
    /// Seconds, 2–120.
    pub timeout: i32,
    /// Consecutive successes, 2–10; a new target needs one only.
    pub healthy_threshold: i32,
    /// Consecutive failures, 2–10.
    pub unhealthy_threshold: i32,
    /// Codes and ranges that mean success: `200,301-302`. gRPC status codes for groups of version GRPC.
    pub matcher: String,
}

impl HealthCheck {
    /// The port of the check on a target with that port.
    pub fn port_of(&self, target_port: u16) -> u16 {
        self.port.unwrap_or(target_port)
    }
}

/// `ProtocolVersion` of a target group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolVersion {
    Grpc,
    Http1,
    Http2,
}

impl ProtocolVersion {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "GRPC",
            Self::Http1 => "HTTP1",
            Self::Http2 => "HTTP2",
        }
    }
}

#[derive(Clone, Debug)]
pub struct TargetGroup {
    pub arn: Name,
    pub name: String,
    /// HTTP or HTTPS.
    pub protocol: shapes::ProtocolEnum,
    pub protocol_version: ProtocolVersion,
    /// Of targets that are registered without one.
    pub port: u16,
    pub vpc: String,
    /// `instance` or `ip`.
    pub target_type: shapes::TargetTypeEnum,
    pub health_check: HealthCheck,
    /// See [`attributes`](super::attributes) for keys and ranges.
    pub attributes: Attributes,
    pub tags: Tags,
}

impl Row for TargetGroup {
    type Key = Name;
    /// The name.
    type Index = String;
    const TABLE: &'static str = "elb.target_groups";
    fn key(&self) -> Name {
        self.arn.clone()
    }
    fn index(&self, put: &mut dyn FnMut(String)) {
        put(self.name.clone());
    }
}

/// State, reason and description, as DescribeTargetHealth tells them (elb.md §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    pub state: shapes::TargetHealthStateEnum,
    pub reason: Option<shapes::TargetHealthReasonEnum>,
    pub description: Option<String>,
}

/// A registered target.
#[derive(Clone, Debug)]
pub struct Target {
    pub target_group: Name,
    /// An instance id or an IP address.
    pub id: String,
    pub port: u16,
    /// The zone that it is in; `None` for an address outside of the VPC.
    pub zone: Option<String>,
    /// What RegisterTargets said about the zone: `all` or a name.
    pub zone_given: Option<String>,
    pub health: TargetHealth,
    pub registered_at: Time,
    /// While it drains: when it leaves.
    pub drains_until: Option<Time>,
}

impl Target {
    pub fn is_draining(&self) -> bool {
        self.drains_until.is_some()
    }

    /// Whether it is to be checked and can get requests.
    pub fn is_in_service(&self) -> bool {
        use shapes::TargetHealthStateEnum as State;
        matches!(self.health.state, State::Initial | State::Healthy | State::Unhealthy)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetIndex {
    Group(Name),
    /// Those of a group in a zone and a state.
    Health(Name, Option<String>, &'static str),
    /// The target's id, in whatever group.
    Id(String),
    /// Those of a group that nobody has checked yet: their state is `initial`.
    Unchecked(Name),
}

impl Row for Target {
    /// Target group, id, port.
    type Key = (Name, String, u16);
    type Index = TargetIndex;
    const TABLE: &'static str = "elb.targets";
    fn key(&self) -> (Name, String, u16) {
        (self.target_group.clone(), self.id.clone(), self.port)
    }

    fn resource(&self) -> Option<String> {
        Some(format!("{}/{}:{}", self.target_group, self.id, self.port))
    }
    fn deadline(&self) -> Option<Time> {
        self.drains_until
    }
    fn index(&self, put: &mut dyn FnMut(TargetIndex)) {
        put(TargetIndex::Group(self.target_group.clone()));
        put(TargetIndex::Id(self.id.clone()));
        let state = self.health.state.as_str();
        put(TargetIndex::Health(self.target_group.clone(), self.zone.clone(), state));
        if self.health.state == shapes::TargetHealthStateEnum::Initial {
            put(TargetIndex::Unchecked(self.target_group.clone()));
        }
    }
}
