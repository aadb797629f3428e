//! Conditions of rules (ALB guide, load-balancer-listeners, rule condition types).

use std::net::IpAddr;

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::rows::Condition;
use super::validation;

/// Of all conditions of a rule together (ALB quotas).
const VALUES_MAX: usize = 5;
const WILDCARDS_MAX: usize = 5;
const FIELDS: [&str; 6] =
    ["path-pattern", "host-header", "http-header", "http-request-method", "query-string", "source-ip"];

pub(super) fn read(conditions: Vec<shapes::RuleCondition>) -> Result<Vec<Condition>, Refusal> {
    if conditions.is_empty() {
        return Err(validation("A condition must be specified"));
    }
    let mut once: Vec<String> = Vec::new();
    let mut read = Vec::new();
    for condition in conditions {
        let field = condition.field.clone().unwrap_or_default();
        let repeats = matches!(field.as_str(), "http-header" | "query-string");
        if !repeats && once.contains(&field) {
            return Err(validation(format!("A rule can have only one '{field}' condition")));
        }
        once.push(field.clone());
        read.push(one(&field, condition)?);
    }
    let count = |condition: &Condition| match condition {
        Condition::HostHeader(values)
        | Condition::HttpHeader { values, .. }
        | Condition::HttpRequestMethod(values)
        | Condition::PathPattern(values)
        | Condition::SourceIp(values) => (values.len(), values.iter().map(|value| wildcards(value)).sum()),
        Condition::QueryString(values) => {
            let of = |(key, value): &(Option<String>, String)| {
                key.as_deref().map_or(0, wildcards) + wildcards(value)
            };
            (values.len(), values.iter().map(of).sum())
        }
    };
    let (values, wildcards) = read
        .iter()
        .map(count)
        .fold((0, 0), |sum: (usize, usize), one: (usize, usize)| (sum.0 + one.0, sum.1 + one.1));
    if values > VALUES_MAX {
        return Err(validation(format!("A rule can have at most '{VALUES_MAX}' condition values")));
    }
    if wildcards > WILDCARDS_MAX {
        return Err(validation(format!("A rule can have at most '{WILDCARDS_MAX}' condition wildcards")));
    }
    Ok(read)
}

fn wildcards(text: &str) -> usize {
    text.chars().filter(|c| matches!(c, '*' | '?')).count()
}

fn one(field: &str, condition: shapes::RuleCondition) -> Result<Condition, Refusal> {
    let regex = condition.regex_values.is_some()
        || condition.host_header_config.as_ref().is_some_and(|config| config.regex_values.is_some())
        || condition.path_pattern_config.as_ref().is_some_and(|config| config.regex_values.is_some())
        || condition.http_header_config.as_ref().is_some_and(|config| config.regex_values.is_some());
    if regex {
        return Err(validation("RegexValues are not built yet; use Values with the wildcards * and ?"));
    }
    // Host and path may be given in the older way, by Values of the condition itself.
    let legacy = condition.values.filter(|values| !values.is_empty());
    let pick = |config: Option<Vec<String>>| -> Result<Vec<String>, Refusal> {
        match (config, legacy.clone()) {
            (Some(_), Some(_)) => Err(validation(format!(
                "You cannot specify both Values and a configuration for a '{field}' condition"
            ))),
            (Some(values), None) | (None, Some(values)) => Ok(values),
            (None, None) => Ok(Vec::new()),
        }
    };
    match field {
        "host-header" => {
            let values = pick(condition.host_header_config.and_then(|config| config.values))?;
            let fits =
                |value: &str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.*?_:".contains(&b));
            Ok(Condition::HostHeader(check(field, values, 128, fits)?))
        }
        "path-pattern" => {
            let values = pick(condition.path_pattern_config.and_then(|config| config.values))?;
            let fits = |value: &str| {
                value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.$/~\"'@:+&()!,;=%*?".contains(&b))
            };
            Ok(Condition::PathPattern(check(field, values, 128, fits)?))
        }
        "http-header" => {
            let config = condition.http_header_config.unwrap_or_default();
            let name = config.http_header_name.unwrap_or_default();
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || name.len() > 40 || !name.bytes().all(token) {
                return Err(validation(format!("The HTTP header name '{name}' is not valid")));
            }
            if name.eq_ignore_ascii_case("host") {
                return Err(validation("Use a 'host-header' condition for the header 'Host'"));
            }
            let fits = |value: &str| value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            let values = check(field, config.values.unwrap_or_default(), 128, fits)?;
            Ok(Condition::HttpHeader { name, values })
        }
        "http-request-method" => {
            let config = condition.http_request_method_config.unwrap_or_default();
            let fits = |value: &str| value.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
            Ok(Condition::HttpRequestMethod(check(field, config.values.unwrap_or_default(), 40, fits)?))
        }
        "query-string" => {
            let config = condition.query_string_config.unwrap_or_default();
            let pairs = config.values.unwrap_or_default();
            let mut read = Vec::new();
            for pair in pairs {
                let fits = |value: &str| value.bytes().all(|b| b.is_ascii_graphic());
                let value = check(field, pair.value.into_iter().collect(), 128, fits)?.remove(0);
                if let Some(key) = &pair.key {
                    check(field, vec![key.clone()], 128, fits)?;
                }
                read.push((pair.key, value));
            }
            if read.is_empty() {
                return Err(no_value(field));
            }
            Ok(Condition::QueryString(read))
        }
        "source-ip" => {
            let config = condition.source_ip_config.unwrap_or_default();
            let values = check(field, config.values.unwrap_or_default(), 43, |value| cidr(value).is_some())?;
            Ok(Condition::SourceIp(values))
        }
        _ => Err(validation(format!("Condition field '{field}' must be one of '[{}]'", FIELDS.join(", ")))),
    }
}

fn no_value(field: &str) -> Refusal {
    validation(format!("A condition value must be specified for a '{field}' condition"))
}

/// Values of 1 to `max` characters that fit.
fn check(
    field: &str,
    values: Vec<String>,
    max: usize,
    fits: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Refusal> {
    if values.is_empty() {
        return Err(no_value(field));
    }
    match values.iter().find(|value| value.is_empty() || value.len() > max || !fits(value)) {
        Some(value) => Err(validation(format!("The '{field}' condition value '{value}' is not valid"))),
        None => Ok(values),
    }
}

/// The address and prefix length of `10.0.0.0/8` or `2001:db8::/32`.
fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let digits = prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix = prefix.parse().ok().filter(|prefix| digits && *prefix <= longest)?;
    Some((address, prefix))
}

pub(super) fn shown(condition: &Condition) -> shapes::RuleCondition {
    let mut told = shapes::RuleCondition::default();
    let field = match condition {
        Condition::HostHeader(values) => {
            told.values = Some(values.clone());
            told.host_header_config =
                Some(shapes::HostHeaderConditionConfig { values: Some(values.clone()), regex_values: None });
            "host-header"
        }
        Condition::HttpHeader { name, values } => {
            told.http_header_config = Some(shapes::HttpHeaderConditionConfig {
                http_header_name: Some(name.clone()),
                values: Some(values.clone()),
                regex_values: None,
            });
            "http-header"
        }
        Condition::HttpRequestMethod(values) => {
            told.http_request_method_config =
                Some(shapes::HttpRequestMethodConditionConfig { values: Some(values.clone()) });
            "http-request-method"
        }
        Condition::PathPattern(values) => {
            told.values = Some(values.clone());
            told.path_pattern_config =
                Some(shapes::PathPatternConditionConfig { values: Some(values.clone()), regex_values: None });
            "path-pattern"
        }
        Condition::QueryString(values) => {
            let pair = |(key, value): &(Option<String>, String)| shapes::QueryStringKeyValuePair {
                key: key.clone(),
                value: Some(value.clone()),
            };
            told.query_string_config =
                Some(shapes::QueryStringConditionConfig { values: Some(values.iter().map(pair).collect()) });
            "query-string"
        }
        Condition::SourceIp(values) => {
            told.source_ip_config = Some(shapes::SourceIpConditionConfig { values: Some(values.clone()) });
            "source-ip"
        }
    };
    told.field = Some(field.to_owned());
    told
}
