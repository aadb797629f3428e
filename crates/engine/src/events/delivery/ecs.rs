//! Targets that run tasks.

use capstan_shapes::{ecs, events as shapes};
use serde_json::{Map, Value as Json};

use super::Failure;
use crate::events::rows::Delivery;
use crate::kernel::json;
use crate::{Caller, Engine};

/// Room for the rule's name in `startedBy` (ECS model, RunTaskRequest.startedBy: 128 characters, once 36).
const STARTED_BY_MAX: usize = 128;

/// Runs `TaskCount` tasks as `EcsParameters` say. The payload may hold a task's overrides.
pub(super) fn run_task(cx: &mut Engine, delivery: &Delivery) -> Result<(), Failure> {
    let invalid =
        |message: &str| Failure { code: "SDK_CLIENT_ERROR", message: message.to_owned(), passes: false };
    let Some(parameters) = delivery.target.ecs_parameters.clone() else {
        return Err(invalid("The target has no EcsParameters."));
    };
    let mut request =
        request(parameters).ok_or_else(|| invalid("The target's EcsParameters are not valid."))?;
    request.cluster = Some(delivery.target.arn.clone());
    request.overrides = overrides(&delivery.payload).map_err(|()| {
        invalid(
            "The input of the target is not a task override. Give containerOverrides as RunTask takes them.",
        )
    })?;
    let started_by = format!("events-rule/{}", delivery.rule.name);
    request.started_by = Some(started_by.chars().take(STARTED_BY_MAX).collect());
    let response = cx.call(Caller::EVENTS, request).map_err(|refusal| Failure::of(&refusal))?;
    let failures = response.failures.unwrap_or_default();
    let Some(first) = failures.first() else { return Ok(()) };
    let reason = first.reason.clone().unwrap_or_default();
    // Room may come; what is wrong with the request stays wrong. Tasks that did start are not started again.
    let started = response.tasks.is_some_and(|tasks| !tasks.is_empty());
    Err(Failure {
        code: "SDK_CLIENT_ERROR",
        passes: reason.starts_with("RESOURCE:") && !started,
        message: reason,
    })
}

/// EcsParameters are RunTask's members with upper-case initials; only two have other names.
fn request(parameters: shapes::EcsParameters) -> Option<ecs::RunTaskRequest> {
    let Json::Object(mut members) = lower(json::json(&shapes::ECS_PARAMETERS, parameters)) else {
        return None;
    };
    for (from, to) in [("taskCount", "count"), ("taskDefinitionArn", "taskDefinition")] {
        if let Some(value) = members.shift_remove(from) {
            members.insert(to.to_owned(), value);
        }
    }
    json::shape(&ecs::RUN_TASK_REQUEST, Json::Object(members)).ok()
}

/// The same document with every name beginning in lower case.
fn lower(json: Json) -> Json {
    match json {
        Json::Array(items) => items.into_iter().map(lower).collect(),
        Json::Object(members) => {
            let renamed = members.into_iter().map(|(name, value)| {
                let mut chars = name.chars();
                let initial = chars.next().map(|c| c.to_ascii_lowercase());
                (initial.into_iter().chain(chars).collect(), lower(value))
            });
            Json::Object(renamed.collect())
        }
        scalar => scalar,
    }
}

/// The overrides in the payload, if it has any: a whole event has none.
fn overrides(payload: &str) -> Result<Option<ecs::TaskOverride>, ()> {
    let json: Json = serde_json::from_str(payload).unwrap_or_default();
    let members: Map<String, Json> = match json {
        Json::Object(members) => members,
        _ => return Ok(None),
    };
    let is_event = members.contains_key("detail-type") && members.contains_key("source");
    if is_event || members.is_empty() {
        return Ok(None);
    }
    json::shape(&ecs::TASK_OVERRIDE, Json::Object(members)).map(Some).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_request() {
        let text = r#"{"TaskDefinitionArn":"td","TaskCount":2,"LaunchType":"EC2","Group":"g","EnableECSManagedTags":true,
            "PlacementStrategy":[{"type":"spread","field":"attribute:ecs.availability-zone"}],"ReferenceId":"r",
            "PlacementConstraints":[{"type":"memberOf","expression":"x == y"}],"Tags":[{"Key":"a","Value":"B"}],
            "CapacityProviderStrategy":[{"capacityProvider":"p","weight":1,"base":2}],"PropagateTags":"TASK_DEFINITION",
            "NetworkConfiguration":{"awsvpcConfiguration":{"Subnets":["s"],"AssignPublicIp":"DISABLED"}}}"#;
        let document: Json = serde_json::from_str(text).unwrap_or_default();
        let parameters = json::shape(&shapes::ECS_PARAMETERS, document);
        let request = parameters.ok().and_then(request);
        let expect = ecs::RunTaskRequest {
            task_definition: "td".to_owned(),
            count: Some(2),
            launch_type: Some(ecs::LaunchType::Ec2),
            group: Some("g".to_owned()),
            enable_ecs_managed_tags: Some(true),
            reference_id: Some("r".to_owned()),
            propagate_tags: Some(ecs::PropagateTags::TaskDefinition),
            placement_strategy: Some(vec![ecs::PlacementStrategy {
                r#type: Some(ecs::PlacementStrategyType::Spread),
                field: Some("attribute:ecs.availability-zone".to_owned()),
            }]),
            placement_constraints: Some(vec![ecs::PlacementConstraint {
                r#type: Some(ecs::PlacementConstraintType::MemberOf),
                expression: Some("x == y".to_owned()),
            }]),
            capacity_provider_strategy: Some(vec![ecs::CapacityProviderStrategyItem {
                capacity_provider: "p".to_owned(),
                weight: Some(1),
                base: Some(2),
            }]),
            network_configuration: Some(ecs::NetworkConfiguration {
                awsvpc_configuration: Some(ecs::AwsVpcConfiguration {
                    subnets: vec!["s".to_owned()],
                    assign_public_ip: Some(ecs::AssignPublicIp::Disabled),
                    ..Default::default()
                }),
            }),
            tags: Some(vec![ecs::Tag { key: Some("a".to_owned()), value: Some("B".to_owned()) }]),
            ..Default::default()
        };
        assert_eq!(request, Some(expect));
    }

    #[test]
    fn payloads_with_and_without_overrides() {
        let found = |payload: &str| overrides(payload).map(|overrides| overrides.is_some());
        assert_eq!(found(r#"{"containerOverrides":[{"name":"web","command":["x"]}]}"#), Ok(true));
        assert_eq!(found(r#"{"source":"aws.ec2","detail-type":"x","detail":{}}"#), Ok(false));
        assert_eq!(found("{}"), Ok(false));
        assert_eq!(found("\"text\""), Ok(false));
        assert_eq!(found(r#"{"containerOverrides":"web"}"#), Err(()));
    }
}
