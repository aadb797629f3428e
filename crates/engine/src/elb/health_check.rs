//! Health check settings of a target group: defaults and what is refused (ALB guide, target-group-health-checks).

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::rows::{HealthCheck, ProtocolVersion};
use super::validation;

/// What CreateTargetGroup and ModifyTargetGroup say about the check.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) protocol: Option<shapes::ProtocolEnum>,
    pub(super) port: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) path: Option<String>,
    pub(super) interval: Option<i32>,
    pub(super) timeout: Option<i32>,
    pub(super) healthy_threshold: Option<i32>,
    pub(super) unhealthy_threshold: Option<i32>,
    pub(super) matcher: Option<shapes::Matcher>,
}

pub(super) fn defaults(version: ProtocolVersion) -> HealthCheck {
    let grpc = version == ProtocolVersion::Grpc;
    HealthCheck {
        protocol: shapes::ProtocolEnum::Http,
        port: None,
        path: if grpc { "/AWS.ALB/healthcheck" } else { "/" }.to_owned(),
        interval: 30,
        timeout: 5,
        healthy_threshold: 5,
        unhealthy_threshold: 2,
        matcher: if grpc { "12" } else { "200" }.to_owned(),
    }
}

/// The settings over what holds before.
pub(super) fn apply(
    before: &HealthCheck,
    version: ProtocolVersion,
    settings: Settings,
) -> Result<HealthCheck, Refusal> {
    let mut check = before.clone();
    if settings.enabled == Some(false) {
        return Err(validation(
            "Health checks must be enabled for target groups with target type 'instance' or 'ip'",
        ));
    }
    if let Some(protocol) = settings.protocol {
        if !matches!(protocol, shapes::ProtocolEnum::Http | shapes::ProtocolEnum::Https) {
            return Err(validation(format!(
                "Health check protocol '{protocol}' must be one of 'HTTP, HTTPS'"
            )));
        }
        check.protocol = protocol;
    }
    if let Some(port) = settings.port {
        check.port = match port.as_str() {
            "traffic-port" => None,
            number => match number.parse::<u16>() {
                Ok(number) if number > 0 => Some(number),
                _ => {
                    return Err(validation(format!(
                        "Health check port '{port}' must be 'traffic-port' or a number from 1 to 65535"
                    )));
                }
            },
        };
    }
    if let Some(path) = settings.path {
        if !path.starts_with('/') {
            return Err(validation(format!("Health check path '{path}' must start with a '/'")));
        }
        check.path = path;
    }
    check.interval = settings.interval.unwrap_or(check.interval);
    check.timeout = settings.timeout.unwrap_or(check.timeout);
    if check.timeout >= check.interval {
        return Err(validation(format!(
            "Health check timeout '{}' must be smaller than the interval '{}'",
            check.timeout, check.interval
        )));
    }
    check.healthy_threshold = settings.healthy_threshold.unwrap_or(check.healthy_threshold);
    check.unhealthy_threshold = settings.unhealthy_threshold.unwrap_or(check.unhealthy_threshold);
    if let Some(matcher) = settings.matcher {
        check.matcher = self::matcher(version, matcher)?;
    }
    Ok(check)
}

fn matcher(version: ProtocolVersion, matcher: shapes::Matcher) -> Result<String, Refusal> {
    let grpc = version == ProtocolVersion::Grpc;
    let (name, codes, low, high) = match (matcher.http_code, matcher.grpc_code) {
        (Some(codes), None) if !grpc => ("HTTP", codes, 200, 499),
        (None, Some(codes)) if grpc => ("gRPC", codes, 0, 99),
        _ => {
            let wanted = if grpc { "GrpcCode" } else { "HttpCode" };
            return Err(validation(format!(
                "Health check matcher of a target group with protocol version '{}' must have {wanted} and nothing else",
                version.as_str()
            )));
        }
    };
    let code = |text: &str| -> Option<u32> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|code| digits && (low..=high).contains(code))
    };
    let fits = codes.split(',').all(|part| match part.split_once('-') {
        Some((from, to)) => code(from).zip(code(to)).is_some_and(|(from, to)| from <= to),
        None => code(part).is_some(),
    });
    if !fits {
        return Err(validation(format!(
            "Health check matcher {name} code '{codes}' must be a list of codes or ranges between {low} and {high}"
        )));
    }
    Ok(codes)
}
