//! The resources that a call is about, as far as its request and its answer name them.

use capstan_shapes::cloudtrail::Resource;
use capstan_shapes::{Kind, Member, Schema, Value};

use super::{Record, What};

/// A record shows so many.
const RESOURCES_MAX: usize = 50;

pub(super) fn resources(record: &Record) -> Vec<Resource> {
    let mut found = Vec::new();
    match &record.what {
        What::Call { request, response, .. } => {
            let service = request.service().name;
            let mut walk = Walk { service, found: &mut found };
            walk.value(request.operation().input, &(**request).clone().write());
            if let Some(response) = response {
                walk.value(response.operation().output, &(**response).clone().write());
            }
        }
        What::Service { details, .. } => {
            let ids = details.get("instanceIdSet").and_then(|ids| ids.as_array());
            for id in ids.into_iter().flatten().filter_map(|id| id.as_str()) {
                add(&mut found, "AWS::EC2::Instance", id);
            }
        }
    }
    found
}

fn add(found: &mut Vec<Resource>, kind: &str, name: &str) {
    let resource = Resource { resource_type: Some(kind.to_owned()), resource_name: Some(name.to_owned()) };
    if found.len() < RESOURCES_MAX && !name.is_empty() && !found.contains(&resource) {
        found.push(resource);
    }
}

struct Walk<'a> {
    service: &'static str,
    found: &'a mut Vec<Resource>,
}

impl Walk<'_> {
    fn value(&mut self, schema: &'static Schema, value: &Value) {
        match (&schema.kind, value) {
            (Kind::Record { members }, Value::Record(values)) => {
                for (member, value) in members.iter().zip(values) {
                    let Some(value) = value else { continue };
                    match kind(self.service, schema, member) {
                        Some(kind) => self.names(kind, value),
                        None => self.value(member.schema, value),
                    }
                }
            }
            (Kind::List { member, .. }, Value::List(items)) => {
                items.iter().for_each(|item| self.value(member, item));
            }
            _ => {}
        }
    }

    fn names(&mut self, kind: &str, value: &Value) {
        match value {
            Value::Text(name) => add(self.found, kind, name),
            Value::List(items) => items.iter().for_each(|item| self.names(kind, item)),
            _ => {}
        }
    }
}

/// The CloudFormation type of what a member names.
fn kind(service: &str, of: &Schema, member: &Member) -> Option<&'static str> {
    let kind = match (service, member.name) {
        (_, "InstanceId" | "InstanceIds" | "instanceId" | "ec2InstanceId") => "AWS::EC2::Instance",
        ("elbv2", "Id") if of.name == "TargetDescription" => "AWS::EC2::Instance",
        (_, "ImageId" | "ImageIds") => "AWS::EC2::Ami",
        (_, "SubnetId" | "SubnetIds" | "Subnets") => "AWS::EC2::Subnet",
        (_, "VpcId" | "VpcIds") => "AWS::EC2::VPC",
        (_, "GroupId" | "GroupIds" | "SecurityGroupIds" | "SecurityGroups") => "AWS::EC2::SecurityGroup",
        (_, "LaunchTemplateId" | "LaunchTemplateName") => "AWS::EC2::LaunchTemplate",
        ("ec2", "SpotInstanceRequestId" | "SpotInstanceRequestIds") => "AWS::EC2::SpotInstanceRequest",
        (_, "AutoScalingGroupName" | "AutoScalingGroupNames" | "AutoScalingGroupARN") => {
            "AWS::AutoScaling::AutoScalingGroup"
        }
        ("autoscaling", "PolicyName" | "PolicyNames" | "PolicyARN") => "AWS::AutoScaling::ScalingPolicy",
        ("autoscaling", "LifecycleHookName" | "LifecycleHookNames") => "AWS::AutoScaling::LifecycleHook",
        (_, "TargetGroupArn" | "TargetGroupArns" | "TargetGroupARNs" | "targetGroupArn") => {
            "AWS::ElasticLoadBalancingV2::TargetGroup"
        }
        ("elbv2", "LoadBalancerArn" | "LoadBalancerArns") => "AWS::ElasticLoadBalancingV2::LoadBalancer",
        ("elbv2", "ListenerArn" | "ListenerArns") => "AWS::ElasticLoadBalancingV2::Listener",
        ("elbv2", "RuleArn" | "RuleArns") => "AWS::ElasticLoadBalancingV2::ListenerRule",
        ("ecs", "cluster" | "clusters" | "clusterName" | "clusterArn") => "AWS::ECS::Cluster",
        ("ecs", "service" | "services" | "serviceName" | "serviceArn") => "AWS::ECS::Service",
        ("ecs", "task" | "tasks" | "taskArn") => "AWS::ECS::Task",
        ("ecs", "taskDefinition" | "taskDefinitions" | "taskDefinitionArn" | "family") => {
            "AWS::ECS::TaskDefinition"
        }
        ("ecs", "capacityProvider" | "capacityProviders" | "capacityProviderArn") => {
            "AWS::ECS::CapacityProvider"
        }
        ("ecs", "containerInstance" | "containerInstances" | "containerInstanceArn") => {
            "AWS::ECS::ContainerInstance"
        }
        ("cloudwatch", "AlarmName" | "AlarmNames") => "AWS::CloudWatch::Alarm",
        ("cloudwatch", "DashboardName" | "DashboardNames") => "AWS::CloudWatch::Dashboard",
        ("logs", "logGroupName" | "logGroupIdentifier") => "AWS::Logs::LogGroup",
        ("logs", "logStreamName") => "AWS::Logs::LogStream",
        ("sqs", "QueueUrl" | "QueueName") => "AWS::SQS::Queue",
        ("events", "Rule" | "RuleArn" | "RuleName") => "AWS::Events::Rule",
        ("events", "EventBusName") => "AWS::Events::EventBus",
        ("events", "Name") if of.name.ends_with("RuleRequest") => "AWS::Events::Rule",
        ("fis", "experimentTemplateId") => "AWS::FIS::ExperimentTemplate",
        _ => return None,
    };
    // `tasks` and the like are also what answers hold: those are records, and what stands in them counts.
    let is_names = match &member.schema.kind {
        Kind::Text { .. } => true,
        Kind::List { member, .. } => matches!(member.kind, Kind::Text { .. }),
        _ => false,
    };
    is_names.then_some(kind)
}
