"""Calls that succeed so many times, and then are one too many: (service, operation, arguments of the n-th, quota, code)."""

from cases.fis import WAITING
from support.steps import Step

FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
TEMPLATE = {"LaunchTemplateName": "quotas", "Version": "1"}
ALARM = {
    "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip

SCALED = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount", "ResourceId": "service/default/scaled"}
TASK = [{"name": "a", "image": "b", "memory": 16}]

BUILD = [
    Step("ecs", "CreateCluster", {}),
    Step("ecs", "RegisterTaskDefinition", {"family": "scaled", "containerDefinitions": TASK}),
    Step("ecs", "CreateService", {"serviceName": "scaled", "taskDefinition": "scaled", "desiredCount": 0}),
    Step("application-autoscaling", "RegisterScalableTarget", {**SCALED, "MinCapacity": 0, "MaxCapacity": 1}),
    Step("ec2", "DescribeSubnets", keep={"subnets": "Subnets[:2].SubnetId", "subnet": "Subnets[0].SubnetId", "vpc": "Subnets[0].VpcId"}),
    Step("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "quotas", "LaunchTemplateData": {"InstanceType": "m5.large"}}),
    Step("autoscaling", "CreateAutoScalingGroup", {"AutoScalingGroupName": "first", "MinSize": 0, "MaxSize": 1, "LaunchTemplate": TEMPLATE, "VPCZoneIdentifier": "$subnet"}),
    Step("elbv2", "CreateLoadBalancer", {"Name": "first", "Subnets": "$subnets"}, keep={"lb": "LoadBalancers[0].LoadBalancerArn"}),
    Step("elbv2", "CreateLoadBalancer", {"Name": "second", "Subnets": "$subnets"}, keep={"lb2": "LoadBalancers[0].LoadBalancerArn"}),
    Step("elbv2", "CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 80, "DefaultActions": FIXED}, keep={"listener": "Listeners[0].ListenerArn"}),
    Step("elbv2", "CreateTargetGroup", {"Name": "ips", "Protocol": "HTTP", "Port": 80, "VpcId": "$vpc", "TargetType": "ip"}, keep={"tg": "TargetGroups[0].TargetGroupArn"}),
    Step("fis", "CreateExperimentTemplate", WAITING, keep={"waiting": "experimentTemplate.id"}),
]

QUOTAS = [
    (
        "application-autoscaling", "PutScalingPolicy",
        lambda n: {**SCALED, "PolicyName": f"p{n}", "StepScalingPolicyConfiguration": {"AdjustmentType": "ExactCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]}},
        50, "LimitExceededException",
    ),
    (
        "application-autoscaling", "PutScheduledAction",
        lambda n: {**SCALED, "ScheduledActionName": f"a{n}", "Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 0}},
        200, "LimitExceededException",
    ),
    ("autoscaling", "CreateLaunchConfiguration", lambda n: {"LaunchConfigurationName": f"lc{n}", "ImageId": "ami-00000000", "InstanceType": "m5.large"}, 200, "LimitExceeded"),
    (
        "autoscaling", "PutScheduledUpdateGroupAction",
        lambda n: {"AutoScalingGroupName": "first", "ScheduledActionName": f"a{n}", "Recurrence": "0 1 * * *", "MinSize": 0},
        125, "LimitExceeded",
    ),
    (
        "autoscaling", "PutLifecycleHook",
        lambda n: {"AutoScalingGroupName": "first", "LifecycleHookName": f"h{n}", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"},
        50, "LimitExceeded",
    ),
    (
        "autoscaling", "PutScalingPolicy",
        lambda n: {"AutoScalingGroupName": "first", "PolicyName": f"p{n}", "AdjustmentType": "ExactCapacity", "ScalingAdjustment": 1},
        50, "LimitExceeded",
    ),
    (
        "autoscaling", "CreateAutoScalingGroup",
        lambda n: {"AutoScalingGroupName": f"g{n}", "MinSize": 0, "MaxSize": 1, "LaunchTemplate": TEMPLATE, "VPCZoneIdentifier": "$subnet"},
        499, "LimitExceeded",
    ),
    ("elbv2", "CreateLoadBalancer", lambda n: {"Name": f"lb{n}", "Subnets": "$subnets"}, 48, "TooManyLoadBalancers"),
    ("elbv2", "CreateListener", lambda n: {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 8000 + n, "DefaultActions": FIXED}, 49, "TooManyListeners"),
    # Targets come a hundred at a time.
    (
        "elbv2", "RegisterTargets",
        lambda n: {"TargetGroupArn": "$tg", "Targets": [{"Id": f"172.31.{n}.{k}"} for k in range(4, 104)]},
        10, "TooManyTargets",
    ),
    (
        "elbv2", "CreateRule",
        lambda n: {"ListenerArn": "$listener", "Priority": n + 1, "Actions": FIXED, "Conditions": [{"Field": "path-pattern", "Values": [f"/{n}"]}]},
        100, "TooManyRules",
    ),
    ("elbv2", "CreateTargetGroup", lambda n: {"Name": f"t{n}", "Protocol": "HTTP", "Port": 80, "VpcId": "$vpc"}, 2999, "TooManyTargetGroups"),
    ("fis", "StartExperiment", lambda n: {"clientToken": str(n), "experimentTemplateId": "$waiting"}, 5, "ServiceQuotaExceededException"),
    ("cloudwatch", "PutMetricAlarm", lambda n: {"AlarmName": f"a{n}", **ALARM}, 5000, "LimitExceeded"),
]  # fmt: skip
