//! From the tables of Elastic Load Balancing to what the balancer serves.

use capstan_agent::AddressBook;
use capstan_balancer::Snapshot;
use capstan_balancer::snapshot as served;
use capstan_engine::Engine;
use capstan_engine::elb::{self, Action, Attributes, Condition};
use capstan_shapes::elbv2 as shapes;

/// Everything that is to be served now. Targets are looked up in the address book: on this machine an instance is a
/// slice, and its ports answer on loopback.
pub(crate) fn snapshot(engine: &Engine, addresses: &AddressBook) -> Snapshot {
    let tables = engine.elb();
    let load_balancers = tables.load_balancers().iter().filter(|row| row.is_active());
    Snapshot {
        load_balancers: load_balancers.map(|row| load_balancer(tables, row)).collect(),
        target_groups: tables
            .target_groups()
            .iter()
            .map(|row| target_group(engine, addresses, row))
            .collect(),
    }
}

fn number(attributes: &Attributes, key: &str) -> u32 {
    u32::try_from(attributes.number(key)).unwrap_or_default()
}

fn load_balancer(tables: &elb::Elb, row: &elb::LoadBalancer) -> served::LoadBalancer {
    let of = &row.attributes;
    served::LoadBalancer {
        name: row.name.clone(),
        arn: row.arn.to_string(),
        dns_name: row.dns_name.clone(),
        attributes: served::LoadBalancerAttributes {
            idle_timeout_seconds: number(of, "idle_timeout.timeout_seconds"),
            client_keep_alive_seconds: number(of, "client_keep_alive.seconds"),
            http2: of.is_on("routing.http2.enabled"),
            drop_invalid_header_fields: of.is_on("routing.http.drop_invalid_header_fields.enabled"),
            preserve_host_header: of.is_on("routing.http.preserve_host_header.enabled"),
            xff_header_processing: match of.get("routing.http.xff_header_processing.mode") {
                "preserve" => served::XffHeaderProcessing::Preserve,
                "remove" => served::XffHeaderProcessing::Remove,
                _ => served::XffHeaderProcessing::Append,
            },
            xff_client_port: of.is_on("routing.http.xff_client_port.enabled"),
        },
        listeners: tables
            .listeners_of(&row.arn)
            .map(|listener| served::Listener {
                port: listener.port,
                protocol: match listener.protocol {
                    shapes::ProtocolEnum::Https => served::ListenerProtocol::Https,
                    _ => served::ListenerProtocol::Http,
                },
                default_action: action(&listener.default_action),
                rules: tables.rules_of(&listener.arn).map(rule).collect(),
            })
            .collect(),
    }
}

fn rule(row: &elb::Rule) -> served::Rule {
    served::Rule {
        priority: u32::try_from(row.priority).unwrap_or_default(),
        conditions: row.conditions.iter().map(condition).collect(),
        action: action(&row.action),
    }
}

fn condition(condition: &Condition) -> served::Condition {
    match condition.clone() {
        Condition::HostHeader(values) => served::Condition::HostHeader(values),
        Condition::HttpHeader { name, values } => served::Condition::HttpHeader { name, values },
        Condition::HttpRequestMethod(values) => served::Condition::HttpRequestMethod(values),
        Condition::PathPattern(values) => served::Condition::PathPattern(values),
        Condition::QueryString(pairs) => served::Condition::QueryString(
            pairs.into_iter().map(|(key, value)| served::QueryStringPair { key, value }).collect(),
        ),
        Condition::SourceIp(values) => served::Condition::SourceIp(values),
    }
}

fn action(action: &Action) -> served::Action {
    match action {
        Action::Forward { target_groups, .. } => served::Action::Forward(
            target_groups
                .iter()
                .map(|group| served::WeightedTargetGroup {
                    target_group_arn: group.target_group.to_string(),
                    weight: u32::try_from(group.weight).unwrap_or_default(),
                })
                .collect(),
        ),
        Action::Redirect(redirect) => served::Action::Redirect(served::Redirect {
            status_code: match redirect.status_code {
                shapes::RedirectActionStatusCodeEnum::Http301 => 301,
                shapes::RedirectActionStatusCodeEnum::Http302 => 302,
            },
            protocol: redirect.protocol.clone(),
            host: redirect.host.clone(),
            port: redirect.port.clone(),
            path: redirect.path.clone(),
            query: redirect.query.clone(),
        }),
        Action::FixedResponse { status_code, content_type, message_body } => served::Action::FixedResponse {
            status_code: *status_code,
            content_type: content_type.clone(),
            message_body: message_body.clone(),
        },
    }
}

fn target_group(engine: &Engine, addresses: &AddressBook, row: &elb::TargetGroup) -> served::TargetGroup {
    let tables = engine.elb();
    let (of, check) = (&row.attributes, &row.health_check);
    let number_of = |value: i32| u32::try_from(value).unwrap_or_default();
    // A target in a zone that is not enabled, or of a group that nobody forwards to, is left out. One whose instance is
    // gone stays while it is registered: its requests fail by themselves, and may then be saved elsewhere.
    let served = tables.targets_of(&row.arn).filter(|target| {
        target.is_draining()
            || target.is_in_service()
            || target.health.state == shapes::TargetHealthStateEnum::Unavailable
            || is_dead(target)
    });
    served::TargetGroup {
        protocol_version: match row.protocol_version {
            elb::ProtocolVersion::Grpc => served::ProtocolVersion::Grpc,
            elb::ProtocolVersion::Http1 => served::ProtocolVersion::Http1,
            elb::ProtocolVersion::Http2 => served::ProtocolVersion::Http2,
        },
        algorithm: match of.get("load_balancing.algorithm.type") {
            "least_outstanding_requests" => served::Algorithm::LeastOutstandingRequests,
            "weighted_random" => served::Algorithm::WeightedRandom,
            _ => served::Algorithm::RoundRobin,
        },
        cross_zone: of.get("load_balancing.cross_zone.enabled") != "false",
        slow_start_seconds: number(of, "slow_start.duration_seconds"),
        minimum_healthy_count: number(
            of,
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        )
        .max(1),
        minimum_healthy_percent: number(
            of,
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        ),
        health_check: served::HealthCheck {
            enabled: true,
            path: check.path.clone(),
            port: check.port.map_or(served::HealthCheckPort::TrafficPort, served::HealthCheckPort::Number),
            interval_seconds: number_of(check.interval),
            timeout_seconds: number_of(check.timeout),
            healthy_threshold: number_of(check.healthy_threshold),
            unhealthy_threshold: number_of(check.unhealthy_threshold),
            matcher: check.matcher.clone(),
        },
        targets: served.map(|target| self::target(engine, addresses, target)).collect(),
        ..served::TargetGroup::new(row.arn.to_string())
    }
}

fn target(engine: &Engine, addresses: &AddressBook, row: &elb::Target) -> served::Target {
    let instance = row.id.parse().ok();
    let of_instance = instance.and_then(|instance| addresses.of_instance(instance, row.port));
    let of_task = || addresses.of_task_ip(row.id.parse().ok()?, row.port);
    // What is about to lose its machine gets nothing new, whether or not it has been deregistered.
    let dies = instance
        .and_then(|instance| engine.ec2().instances().get(&instance))
        .is_some_and(|instance| !instance.is_alive());
    served::Target {
        id: row.id.clone(),
        port: row.port,
        availability_zone: row.zone.clone(),
        address: of_instance.or_else(of_task),
        draining: row.is_draining() || dies,
    }
}

/// Whether the target's instance has stopped or is gone.
fn is_dead(target: &elb::Target) -> bool {
    target.health.reason == Some(shapes::TargetHealthReasonEnum::TargetInvalidState)
}
