//! The actions and target resource types that there are (FIS guide, fis-actions-reference and targets; quotas from
//! fis-quotas).

use capstan_shapes::Refusal;
use capstan_shapes::fis::{
    Action, ActionParameter, ActionSummary, ActionTarget, GetActionRequest, GetActionResponse,
    GetTargetResourceTypeRequest, GetTargetResourceTypeResponse, ListActionsRequest, ListActionsResponse,
    ListTargetResourceTypesRequest, ListTargetResourceTypesResponse, TargetResourceType,
    TargetResourceTypeParameter, TargetResourceTypeSummary,
};

use super::{not_found, paged};
use crate::{Caller, Engine};

/// One kind of action.
#[derive(Debug)]
pub struct ActionType {
    /// `aws:ec2:stop-instances`
    pub id: &'static str,
    pub description: &'static str,
    pub parameters: &'static [Parameter],
    pub target: Option<TargetSlot>,
}

/// What an action needs a target for.
#[derive(Debug)]
pub struct TargetSlot {
    /// `Instances`
    pub key: &'static str,
    /// `aws:ec2:instance`
    pub resource_type: &'static str,
    /// Resources that one action may have as its target; `None`: no quota is known.
    pub quota: Option<usize>,
}

/// A parameter of an action or of a target.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub required: bool,
    pub description: &'static str,
}

/// What can be a target.
#[derive(Debug)]
pub struct ResourceType {
    /// `aws:ec2:instance`
    pub id: &'static str,
    pub description: &'static str,
    pub parameters: &'static [Parameter],
    /// Whether tags, filters and parameters can select it, not only ARNs.
    pub by_attributes: bool,
}

const fn parameter(name: &'static str, required: bool, description: &'static str) -> Parameter {
    Parameter { name, required, description }
}

const fn slot(key: &'static str, resource_type: &'static str, quota: usize) -> Option<TargetSlot> {
    Some(TargetSlot { key, resource_type, quota: Some(quota) })
}

const DURATION: Parameter =
    parameter("duration", true, "The length of the fault, from one minute to 12 hours (ISO 8601).");
const ZONES: Parameter = parameter(
    "availabilityZoneIdentifiers",
    true,
    "The Availability Zones without capacity: names or ids, with commas between.",
);

/// Sorted by id. Actions of AWS that are not listed are refused by name.
pub(super) static ACTIONS: &[ActionType] = &[
    ActionType {
        id: "aws:cloudwatch:assert-alarm-state",
        description: "Asserts that CloudWatch alarms are in an expected state.",
        parameters: &[
            parameter("alarmArns", true, "The ARNs of up to five alarms, with commas between."),
            parameter(
                "alarmStates",
                true,
                "The expected states, with commas between: OK, ALARM, INSUFFICIENT_DATA.",
            ),
        ],
        target: None,
    },
    ActionType {
        id: "aws:ec2:api-insufficient-instance-capacity-error",
        description: "Answers launches by the target roles with InsufficientInstanceCapacity.",
        parameters: &[
            ZONES,
            DURATION,
            parameter("percentage", true, "The share of the requests that fail, from 1 to 100."),
        ],
        target: Some(TargetSlot { key: "Roles", resource_type: "aws:iam:role", quota: None }),
    },
    ActionType {
        id: "aws:ec2:asg-insufficient-instance-capacity-error",
        description: "Answers launches of the target groups with InsufficientInstanceCapacity.",
        parameters: &[
            ZONES,
            DURATION,
            parameter(
                "percentage",
                false,
                "The share of the launches that fail, from 1 to 100; 100 if not set.",
            ),
        ],
        target: slot("AutoScalingGroups", "aws:ec2:autoscaling-group", 500),
    },
    ActionType {
        id: "aws:ec2:reboot-instances",
        description: "Reboots instances.",
        parameters: &[],
        target: slot("Instances", "aws:ec2:instance", 500),
    },
    ActionType {
        id: "aws:ec2:send-spot-instance-interruptions",
        description: "Interrupts Spot Instances, with a rebalance recommendation and the notice two minutes before.",
        parameters: &[parameter(
            "durationBeforeInterruption",
            true,
            "The time until the instances are interrupted, from 2 to 15 minutes (ISO 8601).",
        )],
        target: slot("SpotInstances", "aws:ec2:spot-instance", super::SPOT_TARGETS),
    },
    ActionType {
        id: "aws:ec2:stop-instances",
        description: "Stops instances, and starts them again if a duration is given.",
        parameters: &[
            parameter(
                "completeIfInstancesTerminated",
                false,
                "Whether instances that were terminated meanwhile are no failure (true or false).",
            ),
            parameter(
                "startInstancesAfterDuration",
                false,
                "The time until the instances are started again, from one minute to 12 hours (ISO 8601).",
            ),
        ],
        target: slot("Instances", "aws:ec2:instance", 400),
    },
    ActionType {
        id: "aws:ec2:terminate-instances",
        description: "Terminates instances.",
        parameters: &[],
        target: slot("Instances", "aws:ec2:instance", 300),
    },
    ActionType {
        id: "aws:ecs:drain-container-instances",
        description: "Drains a share of the container instances of the target clusters.",
        parameters: &[
            parameter("drainagePercentage", true, "The share of the container instances, from 1 to 100."),
            DURATION,
        ],
        target: slot("Clusters", "aws:ecs:cluster", 100),
    },
    ActionType {
        id: "aws:ecs:stop-task",
        description: "Stops tasks.",
        parameters: &[],
        target: slot("Tasks", "aws:ecs:task", 500),
    },
    ActionType { id: "aws:fis:wait", description: "Waits.", parameters: &[DURATION], target: None },
    ActionType {
        id: "aws:network:disrupt-connectivity",
        description: "Denies traffic of the target subnets. Capstan has no network between subnets: the action takes its \
                      time, says so, and blocks nothing.",
        parameters: &[
            DURATION,
            parameter(
                "scope",
                true,
                "What is denied: all, availability-zone, dynamodb, prefix-list, s3, s3express or vpc.",
            ),
            parameter("prefixListIdentifier", false, "The prefix list, for the scope prefix-list."),
        ],
        target: Some(TargetSlot { key: "Subnets", resource_type: "aws:ec2:subnet", quota: Some(100) }),
    },
];

/// Sorted by id.
pub(super) static RESOURCE_TYPES: &[ResourceType] = &[
    ResourceType {
        id: "aws:ec2:autoscaling-group",
        description: "An Auto Scaling group.",
        parameters: &[],
        by_attributes: true,
    },
    ResourceType {
        id: "aws:ec2:instance",
        description: "An EC2 instance.",
        parameters: &[],
        by_attributes: true,
    },
    ResourceType {
        id: "aws:ec2:spot-instance",
        description: "An EC2 Spot Instance.",
        parameters: &[],
        by_attributes: true,
    },
    ResourceType {
        id: "aws:ec2:subnet",
        description: "A subnet of a VPC.",
        parameters: &[
            parameter(
                "availabilityZoneIdentifier",
                false,
                "The name or id of the subnets' Availability Zone.",
            ),
            parameter("vpc", false, "The id of the subnets' VPC."),
        ],
        by_attributes: true,
    },
    ResourceType {
        id: "aws:ecs:cluster",
        description: "An ECS cluster.",
        parameters: &[],
        by_attributes: true,
    },
    ResourceType {
        id: "aws:ecs:task",
        description: "An ECS task.",
        parameters: &[
            parameter("cluster", false, "The name or ARN of the tasks' cluster."),
            parameter("service", false, "The name of the tasks' service."),
        ],
        by_attributes: true,
    },
    ResourceType { id: "aws:iam:role", description: "An IAM role.", parameters: &[], by_attributes: false },
];

pub(super) fn action(id: &str) -> Option<&'static ActionType> {
    ACTIONS.iter().find(|each| each.id == id)
}

pub(super) fn resource_type(id: &str) -> Option<&'static ResourceType> {
    RESOURCE_TYPES.iter().find(|each| each.id == id)
}

fn targets(kind: &ActionType) -> std::collections::BTreeMap<String, ActionTarget> {
    let target = |slot: &TargetSlot| {
        (slot.key.to_owned(), ActionTarget { resource_type: Some(slot.resource_type.to_owned()) })
    };
    kind.target.iter().map(target).collect()
}

fn action_arn(cx: &Engine, kind: &ActionType) -> String {
    cx.arn("fis", format_args!("action/{}", kind.id))
}

pub(super) fn get_action(
    cx: &mut Engine,
    _: &Caller,
    request: GetActionRequest,
) -> Result<GetActionResponse, Refusal> {
    let kind = action(&request.id).ok_or_else(|| not_found("action", &request.id))?;
    let shown = |parameter: &Parameter| {
        let described = ActionParameter {
            description: Some(parameter.description.to_owned()),
            required: Some(parameter.required),
        };
        (parameter.name.to_owned(), described)
    };
    let action = Action {
        id: Some(kind.id.to_owned()),
        arn: Some(action_arn(cx, kind)),
        description: Some(kind.description.to_owned()),
        parameters: Some(kind.parameters.iter().map(shown).collect()),
        targets: Some(targets(kind)),
        tags: Some(Default::default()),
    };
    Ok(GetActionResponse { action: Some(action) })
}

pub(super) fn list_actions(
    cx: &mut Engine,
    _: &Caller,
    request: ListActionsRequest,
) -> Result<ListActionsResponse, Refusal> {
    let page = paged(ACTIONS, |kind| kind.id.to_owned(), request.next_token, request.max_results)?;
    let shown = |kind: &&'static ActionType| ActionSummary {
        id: Some(kind.id.to_owned()),
        arn: Some(action_arn(cx, kind)),
        description: Some(kind.description.to_owned()),
        targets: Some(targets(kind)),
        tags: Some(Default::default()),
    };
    Ok(ListActionsResponse { actions: Some(page.items.iter().map(shown).collect()), next_token: page.next })
}

pub(super) fn get_resource_type(
    _: &mut Engine,
    _: &Caller,
    request: GetTargetResourceTypeRequest,
) -> Result<GetTargetResourceTypeResponse, Refusal> {
    let id = &request.resource_type;
    let kind = resource_type(id).ok_or_else(|| not_found("target resource type", id))?;
    let shown = |parameter: &Parameter| {
        let described = TargetResourceTypeParameter {
            description: Some(parameter.description.to_owned()),
            required: Some(parameter.required),
        };
        (parameter.name.to_owned(), described)
    };
    let target_resource_type = TargetResourceType {
        resource_type: Some(kind.id.to_owned()),
        description: Some(kind.description.to_owned()),
        parameters: Some(kind.parameters.iter().map(shown).collect()),
    };
    Ok(GetTargetResourceTypeResponse { target_resource_type: Some(target_resource_type) })
}

pub(super) fn list_resource_types(
    _: &mut Engine,
    _: &Caller,
    request: ListTargetResourceTypesRequest,
) -> Result<ListTargetResourceTypesResponse, Refusal> {
    let page = paged(RESOURCE_TYPES, |kind| kind.id.to_owned(), request.next_token, request.max_results)?;
    let shown = |kind: &&'static ResourceType| TargetResourceTypeSummary {
        resource_type: Some(kind.id.to_owned()),
        description: Some(kind.description.to_owned()),
    };
    let target_resource_types = Some(page.items.iter().map(shown).collect());
    Ok(ListTargetResourceTypesResponse { target_resource_types, next_token: page.next })
}
