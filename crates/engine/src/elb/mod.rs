//! Elastic Load Balancing v2: Application Load Balancers, their listeners and rules, target groups and targets.
//!
//! The room decides what is served and says so with [`Effect::LoadBalancing`](crate::Effect); the data plane reads the
//! tables, reports what its health checks find as [`Fact::TargetHealth`](crate::Fact) and what it counts as
//! [`Fact::Traffic`](crate::Fact).

mod action;
pub mod attributes;
mod condition;
mod health_check;
mod interface;
mod listener;
mod load_balancer;
mod metrics;
mod network;
mod rows;
mod rule;
mod tag;
mod target;
mod target_group;
#[cfg(test)]
mod tests;

use capstan_model::Time;
use capstan_shapes::{Refusal, elbv2};

use crate::kernel::{Effect, Event, Table, dispatch, tables};
use crate::{Caller, Engine};

pub use attributes::Attributes;
pub(crate) use metrics::traffic;
pub use rows::*;
pub(crate) use target::target_health;

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    ("CreateListener.AlpnPolicy", "it is for TLS listeners of Network Load Balancers"),
    (
        "CreateListener.Certificates",
        "TLS is not terminated yet: an HTTPS listener is described and its port stays closed",
    ),
    ("CreateListener.MutualAuthentication", "TLS is not terminated yet"),
    ("CreateListener.SslPolicy", "TLS is not terminated yet"),
    ("CreateLoadBalancer.CustomerOwnedIpv4Pool", "there are no Outposts"),
    ("CreateLoadBalancer.IpAddressType", "it is described; load balancers answer on the loopback addresses"),
    ("CreateLoadBalancer.IpamPools", "addresses come from this host"),
    (
        "CreateLoadBalancer.Scheme",
        "it is described and shows in the DNS name; who can connect is up to this host",
    ),
    ("CreateLoadBalancer.SecurityGroups", "they are described; traffic is not filtered"),
    ("CreateTargetGroup.HealthCheckProtocol", "targets are checked in HTTP, not HTTPS"),
    ("CreateTargetGroup.IpAddressType", "targets are reached over IPv4"),
    ("CreateTargetGroup.Protocol", "targets are spoken to in HTTP, not HTTPS"),
    ("CreateTargetGroup.TargetControlPort", "the target optimizer is not built"),
    ("ForwardActionConfig.TargetGroupStickinessConfig", "clients do not stay with a group yet"),
    (
        "ModifyListenerAttributes.routing.http.request",
        "TLS is not terminated yet: there are no such headers to rename",
    ),
    (
        "ModifyListenerAttributes.routing.http.response",
        "responses pass with the headers that targets give them",
    ),
    ("ModifyLoadBalancerAttributes.access_logs.s3", "no logs are written; so with connection_logs.s3"),
    ("ModifyLoadBalancerAttributes.ipv6.deny_all_igw_traffic", "there is no internet gateway"),
    (
        "ModifyLoadBalancerAttributes.routing.http.desync_mitigation_mode",
        "requests are always parsed strictly",
    ),
    (
        "ModifyLoadBalancerAttributes.routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "TLS is not terminated yet",
    ),
    ("ModifyLoadBalancerAttributes.waf.fail_open.enabled", "there is no web application firewall"),
    ("ModifyLoadBalancerAttributes.zonal_shift.config.enabled", "zonal shifts are not built yet"),
    ("ModifyTargetGroupAttributes.load_balancing.algorithm.anomaly_mitigation", "anomalies are not detected"),
    ("ModifyTargetGroupAttributes.stickiness", "clients do not stay with a target yet"),
    (
        "ModifyTargetGroupAttributes.target_group_health.dns_failover",
        "one name leads to all zones, so none is taken out of it",
    ),
    ("SetSecurityGroups.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic", "there is no PrivateLink"),
    ("SetSubnets.EnablePrefixForIpv6SourceNat", "it is for Network Load Balancers"),
];

/// The tables of Elastic Load Balancing.
#[derive(Clone, Debug, Default)]
pub struct Elb {
    load_balancers: Table<LoadBalancer>,
    listeners: Table<Listener>,
    rules: Table<Rule>,
    target_groups: Table<TargetGroup>,
    targets: Table<Target>,
}

impl Elb {
    /// By ARN; indexed by name.
    pub fn load_balancers(&self) -> &Table<LoadBalancer> {
        &self.load_balancers
    }

    /// By ARN; indexed by load balancer, default rule and target group.
    pub fn listeners(&self) -> &Table<Listener> {
        &self.listeners
    }

    /// By ARN, without the default rules; indexed by listener with priority and by target group.
    pub fn rules(&self) -> &Table<Rule> {
        &self.rules
    }

    /// By ARN; indexed by name.
    pub fn target_groups(&self) -> &Table<TargetGroup> {
        &self.target_groups
    }

    /// By group, id and port; indexed by group, by id, and those not checked yet by group.
    pub fn targets(&self) -> &Table<Target> {
        &self.targets
    }

    /// The listeners of a load balancer.
    pub fn listeners_of(&self, load_balancer: &Name) -> impl Iterator<Item = &Listener> {
        self.listeners.by(&ListenerIndex::LoadBalancer(load_balancer.clone()))
    }

    /// The rules of a listener without the default one, in the order of their priorities.
    pub fn rules_of(&self, listener: &Name) -> impl Iterator<Item = &Rule> {
        let from = RuleIndex::Listener(listener.clone(), 0);
        let ours = move |index: &&RuleIndex| matches!(index, RuleIndex::Listener(of, _) if of == listener);
        self.rules.indexes_from(from).take_while(ours).flat_map(|index| self.rules.by(index))
    }

    /// The targets of a group, draining ones too.
    pub fn targets_of(&self, target_group: &Name) -> impl Iterator<Item = &Target> {
        self.targets.by(&TargetIndex::Group(target_group.clone()))
    }

    /// The targets of a group whose first health check is awaited.
    pub fn unchecked_targets_of(&self, target_group: &Name) -> impl Iterator<Item = &Target> {
        self.targets.by(&TargetIndex::Unchecked(target_group.clone()))
    }

    /// The load balancer that a group gets its traffic from: there is one at most.
    pub fn load_balancer_of(&self, target_group: &Name) -> Option<&LoadBalancer> {
        let by_rule = || {
            let rule = self.rules.by(&RuleIndex::TargetGroup(target_group.clone())).next()?;
            self.listeners.get(&rule.listener)
        };
        let by_listener = self.listeners.by(&ListenerIndex::TargetGroup(target_group.clone())).next();
        self.load_balancers.get(&by_listener.or_else(by_rule)?.load_balancer)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        [self.targets.next_due(), self.load_balancers.next_due()].into_iter().flatten().min()
    }
}

tables!(Elb { load_balancers, listeners, rules, target_groups, targets });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: elbv2::Request,
) -> Result<elbv2::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, elbv2 {
        AddTags => tag::add,
        CreateListener => listener::create,
        CreateLoadBalancer => load_balancer::create,
        CreateRule => rule::create,
        CreateTargetGroup => target_group::create,
        DeleteListener => listener::delete,
        DeleteLoadBalancer => load_balancer::delete,
        DeleteRule => rule::delete,
        DeleteTargetGroup => target_group::delete,
        DeregisterTargets => target::deregister,
        DescribeCapacityReservation => load_balancer::describe_capacity_reservation,
        DescribeListenerAttributes => listener::describe_attributes,
        DescribeListeners => listener::describe,
        DescribeLoadBalancerAttributes => load_balancer::describe_attributes,
        DescribeLoadBalancers => load_balancer::describe,
        DescribeRules => rule::describe,
        DescribeTags => tag::describe,
        DescribeTargetGroupAttributes => target_group::describe_attributes,
        DescribeTargetGroups => target_group::describe,
        DescribeTargetHealth => target::describe_health,
        ModifyListener => listener::modify,
        ModifyListenerAttributes => listener::modify_attributes,
        ModifyLoadBalancerAttributes => load_balancer::modify_attributes,
        ModifyRule => rule::modify,
        ModifyTargetGroup => target_group::modify,
        ModifyTargetGroupAttributes => target_group::modify_attributes,
        RegisterTargets => target::register,
        RemoveTags => tag::remove,
        SetRulePriorities => rule::set_priorities,
        SetSecurityGroups => load_balancer::set_security_groups,
        SetSubnets => load_balancer::set_subnets,
    }))
}

/// Does what is due first.
pub(crate) fn on_due(cx: &mut Engine) {
    let now = cx.now;
    if let Some((time, arn)) = cx.elb.load_balancers.first_due()
        && time <= now
    {
        load_balancer::due(cx, &arn);
    } else if let Some((time, key)) = cx.elb.targets.first_due()
        && time <= now
    {
        target::drained(cx, &key);
    }
}

pub(crate) fn on_event(cx: &mut Engine, event: &Event) {
    if let Event::InstanceState { instance, state } = event {
        target::instance_state(cx, *instance, state);
    }
}

/// What DescribeTargetHealth says about a target that is not healthy.
pub(crate) fn health_description(cx: &Engine, target_group: &str, target: &str, port: u16) -> Option<String> {
    let key = (target_group.into(), target.to_owned(), port);
    cx.elb.targets.get(&key)?.health.description.clone()
}

pub(crate) fn target_group_exists(cx: &Engine, target_group: &str) -> bool {
    cx.elb.target_groups.contains(&target_group.into())
}

/// Whether some load balancer forwards to the group.
pub(crate) fn target_group_in_use(cx: &Engine, target_group: &str) -> bool {
    cx.elb.load_balancer_of(&target_group.into()).is_some()
}

/// Tells the data plane that more than one group's targets changed.
fn changed(cx: &mut Engine) {
    cx.effect(Effect::LoadBalancing { target_group: None });
}

/// Tells the data plane that a group or its targets changed.
fn group_changed(cx: &mut Engine, target_group: &Name) {
    cx.effect(Effect::LoadBalancing { target_group: Some(target_group.to_string()) });
}

fn validation(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}

fn invalid_configuration(message: impl Into<String>) -> Refusal {
    Refusal::of(&elbv2::INVALID_CONFIGURATION_REQUEST_EXCEPTION, message)
}

fn invalid_marker() -> Refusal {
    validation("The specified marker is not valid")
}

/// Up to 32 letters, digits and hyphens, none of these at an end. `noun`: `Target group name`.
fn check_name(noun: &str, name: &str) -> Result<(), Refusal> {
    let message = if name.is_empty() {
        "must be specified"
    } else if name.chars().count() > 32 {
        "cannot be longer than '32' characters"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        "can only contain characters that are alphanumeric characters or hyphens(-)"
    } else if name.starts_with('-') || name.ends_with('-') {
        "cannot begin or end with '-'"
    } else {
        return Ok(());
    };
    Err(validation(format!("{noun} '{name}' {message}")))
}

/// Sixteen hex digits, as ARNs end.
fn hex_id(cx: &mut Engine, purpose: &'static str) -> String {
    format!("{:016x}", cx.chance.u64(purpose))
}
