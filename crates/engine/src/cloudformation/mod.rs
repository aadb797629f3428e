//! CloudFormation: templates become calls to the other rooms.
//!
//! A stack is brought from one definition to another by an operation (`operation.rs`): resources are created and updated
//! dependencies first (`deploy.rs`), what is left over is deleted dependents first (`cleanup.rs`), and what fails is
//! brought back (`rollback.rs`). Which calls a resource needs is for its type's handler (`types/`).

mod capability;
mod change_set;
mod cleanup;
mod definition;
mod delete;
mod deploy;
mod describe;
mod difference;
mod event;
mod export;
mod failure;
mod operation;
mod output;
mod policy;
mod property;
pub(crate) mod resource;
mod rollback;
mod rolling_update;
mod rows;
mod signal;
mod source;
mod stack;
mod template;
#[cfg(test)]
mod tests;
mod types;
mod world;

use capstan_model::Time;
use capstan_shapes::{Refusal, cloudformation};

use crate::kernel::{Table, dispatch, tables};
use crate::{Caller, Engine};

pub(crate) use signal::{on_event, receive};

pub use rows::{ChangeSet, Signal, Stack, StackEvent, StackId, StackIndex, StackResource};

/// Settings that are taken and do nothing, and why.
pub const INERT: &[(&str, &str)] = &[
    (
        "CreateChangeSet.ImportExistingResources",
        "resources of the same name that exist already are not imported: their creation fails",
    ),
    ("CreateChangeSet.IncludeNestedStacks", "kept and shown; there are no nested stacks"),
    ("CreateChangeSet.ResourceTypes", "permissions are not enforced"),
    ("CreateStack.NotificationARNs", "kept and shown; nothing is published"),
    ("CreateStack.ResourceTypes", "permissions are not enforced"),
    ("CreateStack.RoleARN", "kept and shown; permissions are not enforced"),
    ("CreateStack.RollbackConfiguration", "kept and shown; alarms do not stop an operation"),
    (
        "AWS::AutoScaling::AutoScalingGroup.MixedInstancesPolicy.InstancesDistribution.DistributionSegments",
        "the API of groups does not have it",
    ),
    (
        "AWS::CloudWatch::Alarm.ActionConfiguration",
        "the API of alarms does not have it; so with EvaluationWindow, WarmUpConfiguration and composite alarms' ActionConfiguration",
    ),
    (
        "AWS::ECS::Service.DeploymentConfiguration.EarlySuccessCriteria",
        "the API of services does not have it; so with DeploymentCircuitBreaker.ThresholdConfiguration and .ResetOnHealthyTask",
    ),
    (
        "AWS::ECS::Service.GatewayConnectors",
        "the API of services does not have it; so with Monitoring and VpcLatticeConfigurations.AdvancedConfiguration",
    ),
    (
        "AWS::ElasticLoadBalancingV2::Listener.ListenerAttributes",
        "not set: no attribute of a listener has an effect",
    ),
    (
        "AWS::ElasticLoadBalancingV2::ListenerRule.Conditions.SourceIpConfig.IpAddressType",
        "the API of rules does not have it",
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer.MinimumLoadBalancerCapacity",
        "there is no capacity to reserve; so with EnableCapacityReservationProvisionStabilize, Ipv4IpamPoolId and EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
    ),
    (
        "AWS::Logs::LogGroup.DataProtectionPolicy",
        "log events are not masked; so with FieldIndexPolicies, BearerTokenAuthenticationEnabled and ResourcePolicyDocument",
    ),
    ("ExecuteChangeSet.RetainExceptOnCreate", "the DeletionPolicy of the template decides"),
    (
        "AWS::KMS::Key.KeySpec",
        "taken when the key is made; a change is refused, as are those of KeyUsage, Origin and MultiRegion",
    ),
    (
        "AWS::Lambda::Function.CodeSigningConfigArn",
        "the API of functions does not have it; so with RecursiveLoop, RuntimeManagementConfig, FunctionScalingConfig and PublishToLatestPublished",
    ),
    (
        "AWS::Logs::LogGroup.KmsKeyId",
        "taken when the group is made; an update changes neither it nor LogGroupClass nor DeletionProtectionEnabled",
    ),
    ("AWS::SNS::Topic.DataProtectionPolicy", "taken when the topic is made; a change has no effect"),
    ("AWS::ServiceDiscovery::Service.ServiceAttributes", "the API of services does not have it"),
];

/// The resource types that templates may use, sorted by name, each with the reason why nothing acts behind it if nothing does.
pub fn resource_types() -> std::collections::BTreeMap<&'static str, Option<&'static str>> {
    types::all().collect()
}

/// The tables of CloudFormation.
#[derive(Clone, Debug, Default)]
pub struct CloudFormation {
    change_sets: Table<ChangeSet>,
    stacks: Table<Stack>,
    resources: Table<StackResource>,
    events: Table<StackEvent>,
    rolling_updates: Table<rolling_update::RollingUpdate>,
    signals: Table<Signal>,
}

impl CloudFormation {
    pub fn change_sets(&self) -> &Table<ChangeSet> {
        &self.change_sets
    }

    pub fn stacks(&self) -> &Table<Stack> {
        &self.stacks
    }

    pub fn resources(&self) -> &Table<StackResource> {
        &self.resources
    }

    pub fn events(&self) -> &Table<StackEvent> {
        &self.events
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.stacks.next_due()
    }
}

tables!(CloudFormation { change_sets, stacks, resources, events, rolling_updates, signals });

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: cloudformation::Request,
) -> Result<cloudformation::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, cloudformation {
        CancelUpdateStack => rollback::cancel,
        ContinueUpdateRollback => rollback::continue_rollback,
        CreateChangeSet => change_set::create,
        CreateStack => stack::create,
        DeleteChangeSet => change_set::delete,
        DeleteStack => delete::delete,
        DescribeChangeSet => change_set::describe,
        DescribeStackEvents => describe::events,
        DescribeStackResource => describe::resource,
        DescribeStackResources => describe::resources,
        DescribeStacks => describe::stacks,
        ExecuteChangeSet => change_set::execute,
        GetStackPolicy => policy::get,
        GetTemplate => template::get,
        GetTemplateSummary => template::summary,
        ListChangeSets => change_set::list,
        ListExports => export::list,
        ListImports => export::list_imports,
        ListStackResources => describe::list_resources,
        ListStacks => describe::list_stacks,
        RollbackStack => rollback::rollback,
        SetStackPolicy => policy::set,
        SignalResource => signal::signal,
        UpdateStack => stack::update,
        UpdateTerminationProtection => stack::protect,
        ValidateTemplate => template::validate,
    }))
}

pub(crate) fn on_due(cx: &mut Engine) {
    let Some((time, id)) = cx.cloudformation.stacks.first_due() else { return };
    if time > cx.now {
        return;
    }
    if cx.cloudformation.stacks.get(&id).is_some_and(|stack| stack.operation.is_some()) {
        operation::advance(cx, &id);
    } else {
        stack::forget(cx, &id);
    }
}
