//! Actions of listeners and rules: what is taken, and how it is shown.

use std::sync::Arc;

use capstan_shapes::{Refusal, elbv2 as shapes};

use super::rows::{Action, LoadBalancer, Name, Redirect, WeightedGroup};
use super::{invalid_configuration, target_group, validation};
use crate::Engine;

/// Target groups of one action, and of all actions of a load balancer (ALB quotas).
const GROUPS_MAX: usize = 5;
const GROUPS_PER_BALANCER_MAX: usize = 100;
const CONTENT_TYPES: [&str; 5] =
    ["text/html", "application/json", "application/javascript", "text/css", "text/plain"];

/// The one action of a list, as it is kept. `balancer` is the load balancer that carries it out.
pub(super) fn read(cx: &Engine, balancer: &Name, actions: Vec<shapes::Action>) -> Result<Action, Refusal> {
    for action in &actions {
        if !matches!(
            action.r#type,
            shapes::ActionTypeEnum::Forward
                | shapes::ActionTypeEnum::Redirect
                | shapes::ActionTypeEnum::FixedResponse
        ) {
            return Err(invalid(format!(
                "Actions of type '{}' are not built yet; use 'forward', 'redirect' or 'fixed-response'",
                action.r#type
            )));
        }
    }
    let action = match <[shapes::Action; 1]>::try_from(actions) {
        Ok([action]) => action,
        Err(actions) if actions.is_empty() => return Err(validation("An action must be specified")),
        Err(_) => {
            return Err(invalid(
                "Exactly one action of type 'forward', 'redirect' or 'fixed-response' must be specified",
            ));
        }
    };
    match action.r#type {
        shapes::ActionTypeEnum::Redirect => redirect(action.redirect_config),
        shapes::ActionTypeEnum::FixedResponse => fixed_response(action.fixed_response_config),
        _ => forward(cx, balancer, action.target_group_arn, action.forward_config),
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::of(&shapes::INVALID_LOAD_BALANCER_ACTION_EXCEPTION, message)
}

fn forward(
    cx: &Engine,
    balancer: &Name,
    arn: Option<String>,
    config: Option<shapes::ForwardActionConfig>,
) -> Result<Action, Refusal> {
    let config = config.unwrap_or_default();
    let listed = config.target_groups.unwrap_or_default();
    let groups: Vec<(String, i32)> = if listed.is_empty() {
        arn.into_iter().map(|arn| (arn, 1)).collect()
    } else {
        let alone = listed.len() == 1;
        if let Some(arn) = arn
            && (!alone || listed[0].target_group_arn.as_ref() != Some(&arn))
        {
            return Err(invalid(
                "You cannot specify both a target group ARN and a different list of target groups in a forward action",
            ));
        }
        let weighted = |group: shapes::TargetGroupTuple| {
            // One group needs no weight; of several, those without one weigh 1.
            (group.target_group_arn.unwrap_or_default(), group.weight.unwrap_or(1))
        };
        listed.into_iter().map(weighted).collect()
    };
    if groups.is_empty() {
        return Err(invalid("A target group ARN must be specified for an action of type 'forward'"));
    }
    if groups.len() > GROUPS_MAX {
        return Err(invalid(format!("An action can forward to at most '{GROUPS_MAX}' target groups")));
    }
    let mut target_groups: Vec<WeightedGroup> = Vec::new();
    for (arn, weight) in groups {
        if !(0..=999).contains(&weight) {
            return Err(validation(format!(
                "The weight '{weight}' of target group '{arn}' must be from 0 to 999"
            )));
        }
        let target_group = target_group::find(cx, &arn)?.arn.clone();
        if target_groups.iter().any(|known| known.target_group == target_group) {
            return Err(invalid(format!(
                "The target group '{arn}' is specified more than once in the action"
            )));
        }
        target_groups.push(WeightedGroup { target_group, weight });
    }
    check_attachment(cx, balancer, &target_groups)?;
    let stickiness = match config.target_group_stickiness_config {
        Some(shapes::TargetGroupStickinessConfig { enabled: Some(true), duration_seconds }) => {
            match duration_seconds {
                Some(seconds) if (1..=604_800).contains(&seconds) => Some(seconds),
                _ => {
                    return Err(validation(
                        "DurationSeconds of the target group stickiness must be from 1 to 604800",
                    ));
                }
            }
        }
        _ => None,
    };
    Ok(Action::Forward { target_groups, stickiness })
}

/// A group gets its traffic from one load balancer, in its VPC.
fn check_attachment(cx: &Engine, balancer: &Name, groups: &[WeightedGroup]) -> Result<(), Refusal> {
    let Some(balancer) = cx.elb.load_balancers.get(balancer) else { return Ok(()) };
    let arns = |wrong: Vec<&WeightedGroup>| {
        wrong.iter().map(|group| group.target_group.to_string()).collect::<Vec<_>>().join(", ")
    };
    let elsewhere = |group: &&WeightedGroup| {
        cx.elb.load_balancer_of(&group.target_group).is_some_and(|other| other.arn != balancer.arn)
    };
    let taken: Vec<_> = groups.iter().filter(elsewhere).collect();
    if !taken.is_empty() {
        let message = "The following target groups cannot be associated with more than one load balancer";
        let message = format!("{message}: {}", arns(taken));
        return Err(Refusal::of(&shapes::TARGET_GROUP_ASSOCIATION_LIMIT_EXCEPTION, message));
    }
    let foreign = |group: &&WeightedGroup| {
        cx.elb.target_groups.get(&group.target_group).is_some_and(|row| row.vpc != balancer.vpc)
    };
    let outside: Vec<_> = groups.iter().filter(foreign).collect();
    if !outside.is_empty() {
        return Err(invalid_configuration(format!(
            "The following target groups are in a different VPC than load balancer '{}': {}",
            balancer.arn,
            arns(outside)
        )));
    }
    let mut used = used_groups(cx, balancer);
    used.extend(groups.iter().map(|group| group.target_group.clone()));
    used.sort_unstable();
    used.dedup();
    if used.len() > GROUPS_PER_BALANCER_MAX {
        let message = format!(
            "The maximum number of unique target groups has been reached on load balancer '{}'",
            balancer.arn
        );
        return Err(Refusal::of(&shapes::TOO_MANY_UNIQUE_TARGET_GROUPS_PER_LOAD_BALANCER_EXCEPTION, message));
    }
    Ok(())
}

/// The groups that a load balancer forwards to, some of them several times.
pub(super) fn used_groups(cx: &Engine, balancer: &LoadBalancer) -> Vec<Name> {
    let mut used = Vec::new();
    for listener in cx.elb.listeners_of(&balancer.arn) {
        used.extend(listener.default_action.target_groups().cloned());
        for rule in cx.elb.rules_of(&listener.arn) {
            used.extend(rule.action.target_groups().cloned());
        }
    }
    used
}

fn redirect(config: Option<shapes::RedirectActionConfig>) -> Result<Action, Refusal> {
    let Some(config) = config else {
        return Err(invalid("A redirect configuration must be specified for an action of type 'redirect'"));
    };
    let or = |part: Option<String>, default: &str| part.unwrap_or_else(|| default.to_owned());
    let redirect = Redirect {
        protocol: or(config.protocol, "#{protocol}"),
        host: or(config.host, "#{host}"),
        port: or(config.port, "#{port}"),
        path: or(config.path, "/#{path}"),
        query: or(config.query, "#{query}"),
        status_code: config.status_code,
    };
    if !redirect.path.starts_with('/') {
        return Err(invalid(format!("The redirect path '{}' must start with a '/'", redirect.path)));
    }
    let port_fits = redirect.port == "#{port}" || redirect.port.parse::<u16>().is_ok_and(|port| port > 0);
    if !port_fits {
        return Err(invalid(format!(
            "The redirect port '{}' must be '#{{port}}' or a number from 1 to 65535",
            redirect.port
        )));
    }
    let stays = redirect.protocol == "#{protocol}"
        && redirect.host == "#{host}"
        && redirect.port == "#{port}"
        && redirect.path == "/#{path}";
    if stays {
        return Err(invalid("The redirect configuration is not valid because it creates a loop."));
    }
    Ok(Action::Redirect(redirect))
}

fn fixed_response(config: Option<shapes::FixedResponseActionConfig>) -> Result<Action, Refusal> {
    let Some(config) = config else {
        return Err(invalid(
            "A fixed response configuration must be specified for an action of type 'fixed-response'",
        ));
    };
    if let Some(content_type) = &config.content_type
        && !CONTENT_TYPES.contains(&content_type.as_str())
    {
        return Err(invalid(format!("The ContentType must be one of: '{}'", CONTENT_TYPES.join("', '"))));
    }
    Ok(Action::FixedResponse {
        status_code: config.status_code.parse().unwrap_or(503),
        content_type: config.content_type,
        message_body: config.message_body,
    })
}

pub(super) fn shown(action: &Action) -> Vec<shapes::Action> {
    let mut told = shapes::Action::default();
    match action {
        Action::Forward { target_groups, stickiness } => {
            told.r#type = shapes::ActionTypeEnum::Forward;
            if let [only] = target_groups.as_slice() {
                told.target_group_arn = Some(only.target_group.to_string());
            }
            let weighted = |group: &WeightedGroup| shapes::TargetGroupTuple {
                target_group_arn: Some(group.target_group.to_string()),
                weight: Some(group.weight),
            };
            told.forward_config = Some(shapes::ForwardActionConfig {
                target_groups: Some(target_groups.iter().map(weighted).collect()),
                target_group_stickiness_config: Some(shapes::TargetGroupStickinessConfig {
                    enabled: Some(stickiness.is_some()),
                    duration_seconds: *stickiness,
                }),
            });
        }
        Action::Redirect(redirect) => {
            told.r#type = shapes::ActionTypeEnum::Redirect;
            told.redirect_config = Some(shapes::RedirectActionConfig {
                protocol: Some(redirect.protocol.clone()),
                host: Some(redirect.host.clone()),
                port: Some(redirect.port.clone()),
                path: Some(redirect.path.clone()),
                query: Some(redirect.query.clone()),
                status_code: redirect.status_code,
            });
        }
        Action::FixedResponse { status_code, content_type, message_body } => {
            told.r#type = shapes::ActionTypeEnum::FixedResponse;
            told.fixed_response_config = Some(shapes::FixedResponseActionConfig {
                status_code: status_code.to_string(),
                content_type: content_type.clone(),
                message_body: message_body.clone(),
            });
        }
    }
    vec![told]
}

/// The groups of both actions, each once: those whose use may have changed.
pub(super) fn groups_of(before: Option<&Action>, after: Option<&Action>) -> Vec<Name> {
    let mut groups: Vec<Name> =
        before.into_iter().chain(after).flat_map(Action::target_groups).map(Arc::clone).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}
