//! Attributes of load balancers, listeners and target groups: keys, defaults and ranges (API reference,
//! LoadBalancerAttribute, ListenerAttribute and TargetGroupAttribute).

use std::collections::BTreeMap;

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::validation;

/// A key, its default and what it takes.
struct Attribute {
    key: &'static str,
    default: &'static str,
    takes: Takes,
}

enum Takes {
    Flag,
    Number(i64, i64),
    OneOf(&'static [&'static str]),
    /// `off`, or a number in the range.
    NumberOrOff(i64, i64),
    /// 0, or a number in the range.
    NumberOrZero(i64, i64),
    CookieName,
    /// A bucket, prefix, header or other text; it does nothing here.
    Text,
}

/// Whose attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Listener,
    LoadBalancer,
    TargetGroup,
}

const fn attribute(key: &'static str, default: &'static str, takes: Takes) -> Attribute {
    Attribute { key, default, takes }
}

const LISTENER: &[Attribute] = &[
    attribute("routing.http.request.x_amzn_mtls_clientcert.header_name", "", Takes::Text),
    attribute("routing.http.request.x_amzn_mtls_clientcert_issuer.header_name", "", Takes::Text),
    attribute("routing.http.request.x_amzn_mtls_clientcert_leaf.header_name", "", Takes::Text),
    attribute("routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name", "", Takes::Text),
    attribute("routing.http.request.x_amzn_mtls_clientcert_subject.header_name", "", Takes::Text),
    attribute("routing.http.request.x_amzn_mtls_clientcert_validity.header_name", "", Takes::Text),
    attribute("routing.http.request.x_amzn_tls_cipher_suite.header_name", "", Takes::Text),
    attribute("routing.http.request.x_amzn_tls_version.header_name", "", Takes::Text),
    attribute("routing.http.response.access_control_allow_credentials.header_value", "", Takes::Text),
    attribute("routing.http.response.access_control_allow_headers.header_value", "", Takes::Text),
    attribute("routing.http.response.access_control_allow_methods.header_value", "", Takes::Text),
    attribute("routing.http.response.access_control_allow_origin.header_value", "", Takes::Text),
    attribute("routing.http.response.access_control_expose_headers.header_value", "", Takes::Text),
    attribute("routing.http.response.access_control_max_age.header_value", "", Takes::Text),
    attribute("routing.http.response.content_security_policy.header_value", "", Takes::Text),
    attribute("routing.http.response.server.enabled", "true", Takes::Flag),
    attribute("routing.http.response.strict_transport_security.header_value", "", Takes::Text),
    attribute("routing.http.response.x_content_type_options.header_value", "", Takes::Text),
    attribute("routing.http.response.x_frame_options.header_value", "", Takes::Text),
];

const LOAD_BALANCER: &[Attribute] = &[
    attribute("access_logs.s3.bucket", "", Takes::Text),
    attribute("access_logs.s3.enabled", "false", Takes::Flag),
    attribute("access_logs.s3.prefix", "", Takes::Text),
    attribute("client_keep_alive.seconds", "3600", Takes::Number(60, 604_800)),
    attribute("connection_logs.s3.bucket", "", Takes::Text),
    attribute("connection_logs.s3.enabled", "false", Takes::Flag),
    attribute("connection_logs.s3.prefix", "", Takes::Text),
    attribute("deletion_protection.enabled", "false", Takes::Flag),
    attribute("idle_timeout.timeout_seconds", "60", Takes::Number(1, 4_000)),
    attribute("ipv6.deny_all_igw_traffic", "false", Takes::Flag),
    attribute("load_balancing.cross_zone.enabled", "true", Takes::OneOf(&["true"])),
    attribute(
        "routing.http.desync_mitigation_mode",
        "defensive",
        Takes::OneOf(&["monitor", "defensive", "strictest"]),
    ),
    attribute("routing.http.drop_invalid_header_fields.enabled", "false", Takes::Flag),
    attribute("routing.http.preserve_host_header.enabled", "false", Takes::Flag),
    attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Takes::Flag),
    attribute("routing.http.xff_client_port.enabled", "false", Takes::Flag),
    attribute(
        "routing.http.xff_header_processing.mode",
        "append",
        Takes::OneOf(&["append", "preserve", "remove"]),
    ),
    attribute("routing.http2.enabled", "true", Takes::Flag),
    attribute("waf.fail_open.enabled", "false", Takes::Flag),
    attribute("zonal_shift.config.enabled", "false", Takes::Flag),
];

const COUNT_MAX: i64 = 1_000;

const TARGET_GROUP: &[Attribute] = &[
    attribute("deregistration_delay.timeout_seconds", "300", Takes::Number(0, 3_600)),
    attribute("load_balancing.algorithm.anomaly_mitigation", "off", Takes::OneOf(&["on", "off"])),
    attribute(
        "load_balancing.algorithm.type",
        "round_robin",
        Takes::OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Takes::OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    attribute("slow_start.duration_seconds", "0", Takes::NumberOrZero(30, 900)),
    attribute("stickiness.app_cookie.cookie_name", "", Takes::CookieName),
    attribute("stickiness.app_cookie.duration_seconds", "86400", Takes::Number(1, 604_800)),
    attribute("stickiness.enabled", "false", Takes::Flag),
    attribute("stickiness.lb_cookie.duration_seconds", "86400", Takes::Number(1, 604_800)),
    attribute("stickiness.type", "lb_cookie", Takes::OneOf(&["lb_cookie", "app_cookie"])),
    attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
        Takes::NumberOrOff(1, COUNT_MAX),
    ),
    attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
        Takes::NumberOrOff(1, 100),
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        Takes::Number(1, COUNT_MAX),
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Takes::NumberOrOff(1, 100),
    ),
];

impl Owner {
    fn known(self) -> &'static [Attribute] {
        match self {
            Self::Listener => LISTENER,
            Self::LoadBalancer => LOAD_BALANCER,
            Self::TargetGroup => TARGET_GROUP,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Listener => "Listener",
            Self::LoadBalancer => "Load balancer",
            Self::TargetGroup => "Target group",
        }
    }
}

/// Every attribute that there is, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes(BTreeMap<&'static str, String>);

impl Attributes {
    pub(super) fn defaults(owner: Owner) -> Self {
        Self(owner.known().iter().map(|known| (known.key, known.default.to_owned())).collect())
    }

    /// The value as AWS writes it; empty for an attribute that is not set or not known.
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Whether the value is `true`.
    pub fn is_on(&self, key: &str) -> bool {
        self.get(key) == "true"
    }

    /// The number; 0 for `off`.
    pub fn number(&self, key: &str) -> i64 {
        self.get(key).parse().unwrap_or_default()
    }

    /// All keys with their values, in order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Sets some of them, all or none.
    pub(super) fn change(
        &mut self,
        owner: Owner,
        pairs: Vec<(Option<String>, Option<String>)>,
    ) -> Result<(), Refusal> {
        let mut changed = self.clone();
        let mut seen: Vec<&'static str> = Vec::new();
        for (key, value) in pairs {
            let key = key.unwrap_or_default();
            let Some(known) = owner.known().iter().find(|known| known.key == key) else {
                return Err(validation(format!("{} attribute key '{key}' is not recognized", owner.noun())));
            };
            if seen.contains(&known.key) {
                return Err(validation(format!("The attribute '{key}' is specified more than once")));
            }
            seen.push(known.key);
            let value = value.unwrap_or_default();
            if !known.takes.fits(&value) {
                return Err(validation(format!(
                    "{} attribute value '{value}' is not valid for '{key}': it must be {}",
                    owner.noun(),
                    known.takes.told()
                )));
            }
            changed.0.insert(known.key, value);
        }
        if owner == Owner::TargetGroup {
            changed.check_together()?;
        }
        *self = changed;
        Ok(())
    }

    fn check_together(&self) -> Result<(), Refusal> {
        let algorithm = self.get("load_balancing.algorithm.type");
        let message = if self.number("slow_start.duration_seconds") > 0 && algorithm != "round_robin" {
            format!(
                "Slow start cannot be used with the load balancing algorithm '{algorithm}'; use 'round_robin'"
            )
        } else if self.get("load_balancing.algorithm.anomaly_mitigation") == "on"
            && algorithm != "weighted_random"
        {
            format!(
                "Anomaly mitigation cannot be used with the load balancing algorithm '{algorithm}'; use 'weighted_random'"
            )
        } else if self.is_on("stickiness.enabled")
            && self.get("stickiness.type") == "app_cookie"
            && self.get("stickiness.app_cookie.cookie_name").is_empty()
        {
            "You must specify 'stickiness.app_cookie.cookie_name' for stickiness of type 'app_cookie'"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal::of(&shapes::INVALID_CONFIGURATION_REQUEST_EXCEPTION, message))
    }
}

impl Takes {
    fn fits(&self, value: &str) -> bool {
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let within = |low: &i64, high: &i64| {
            digits && value.parse::<i64>().is_ok_and(|number| (*low..=*high).contains(&number))
        };
        match self {
            Self::Flag => matches!(value, "true" | "false"),
            Self::Number(low, high) => within(low, high),
            Self::OneOf(values) => values.contains(&value),
            Self::NumberOrOff(low, high) => value == "off" || within(low, high),
            Self::NumberOrZero(low, high) => value == "0" || within(low, high),
            Self::CookieName => {
                let reserved = ["AWSALB", "AWSALBAPP", "AWSALBTG"];
                let token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b);
                value.len() <= 256
                    && value.bytes().all(token)
                    && !reserved.iter().any(|reserved| value.starts_with(reserved))
            }
            Self::Text => true,
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Flag => "'true' or 'false'".to_owned(),
            Self::Number(low, high) => format!("a number from {low} to {high}"),
            Self::OneOf(values) => format!("one of '{}'", values.join("', '")),
            Self::NumberOrOff(low, high) => format!("'off' or a number from {low} to {high}"),
            Self::NumberOrZero(low, high) => format!("0 or a number from {low} to {high}"),
            Self::CookieName => "a cookie name that does not begin with AWSALB".to_owned(),
            Self::Text => "a text".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_take_what_is_in_their_range() {
        let check = |owner: Owner, key: &str, value: &str, fits: bool| {
            let mut attributes = Attributes::defaults(owner);
            let change = attributes.change(owner, vec![(Some(key.to_owned()), Some(value.to_owned()))]);
            assert_eq!(change.is_ok(), fits, "{key} = {value}");
            if fits {
                assert_eq!(attributes.get(key), value);
            }
        };
        use Owner::{LoadBalancer, TargetGroup};
        check(TargetGroup, "deregistration_delay.timeout_seconds", "0", true);
        check(TargetGroup, "deregistration_delay.timeout_seconds", "3600", true);
        check(TargetGroup, "deregistration_delay.timeout_seconds", "3601", false);
        check(TargetGroup, "deregistration_delay.timeout_seconds", "+5", false);
        check(TargetGroup, "slow_start.duration_seconds", "0", true);
        check(TargetGroup, "slow_start.duration_seconds", "29", false);
        check(TargetGroup, "load_balancing.algorithm.anomaly_mitigation", "on", false);
        check(TargetGroup, "stickiness.app_cookie.cookie_name", "session", true);
        check(TargetGroup, "stickiness.app_cookie.cookie_name", "AWSALBX", false);
        check(TargetGroup, "stickiness.type", "app_cookie", true);
        check(TargetGroup, "target_group_health.dns_failover.minimum_healthy_targets.count", "off", true);
        check(TargetGroup, "no.such.key", "1", false);
        check(LoadBalancer, "idle_timeout.timeout_seconds", "4000", true);
        check(LoadBalancer, "idle_timeout.timeout_seconds", "0", false);
        check(LoadBalancer, "routing.http2.enabled", "yes", false);
        check(LoadBalancer, "routing.http.xff_header_processing.mode", "remove", true);
    }

    #[test]
    fn a_change_is_all_or_nothing() {
        let mut attributes = Attributes::defaults(Owner::TargetGroup);
        let pair = |key: &str, value: &str| (Some(key.to_owned()), Some(value.to_owned()));
        let pairs = vec![pair("stickiness.enabled", "true"), pair("slow_start.duration_seconds", "5")];
        assert!(attributes.change(Owner::TargetGroup, pairs).is_err());
        assert_eq!(attributes, Attributes::defaults(Owner::TargetGroup));
        let pairs = vec![
            pair("slow_start.duration_seconds", "30"),
            pair("load_balancing.algorithm.type", "least_outstanding_requests"),
        ];
        assert!(attributes.change(Owner::TargetGroup, pairs).is_err());
    }
}
