"""EC2 Auto Scaling."""

from support.steps import Step

GROUP = {"AutoScalingGroupName": "conformance"}
HOOK = {"AutoScalingGroupName": "conformance", "LifecycleHookName": "hold"}
NONE = {"AutoScalingGroupName": "none"}
TEMPLATE = {"LaunchTemplateId": "$template", "Version": "1"}

BUILD = [
    Step(
        "autoscaling", "CreateAutoScalingGroup",
        {
            **GROUP, "LaunchTemplate": TEMPLATE, "MinSize": 0, "MaxSize": 6, "DesiredCapacity": 2,
            "VPCZoneIdentifier": "$subnet,$subnet2,$subnet3", "HealthCheckGracePeriod": 60,
            "TerminationPolicies": ["OldestInstance"], "NewInstancesProtectedFromScaleIn": False,
            "Tags": [{"Key": "team", "Value": "a", "PropagateAtLaunch": True}],
        },
    ),
    Step(
        "autoscaling", "CreateAutoScalingGroup",
        {
            "AutoScalingGroupName": "mixed", "MinSize": 0, "MaxSize": 4, "VPCZoneIdentifier": "$subnet,$subnet2",
            "MixedInstancesPolicy": {
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": {"LaunchTemplateName": "conformance", "Version": "$$Latest"},
                    "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "c5.large"}],
                },
                "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 50, "SpotAllocationStrategy": "capacity-optimized"},
            },
        },
    ),
    Step(
        "autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["conformance"]}, after=300,
        keep={"member": "AutoScalingGroups[0].Instances[0].InstanceId", "member2": "AutoScalingGroups[0].Instances[1].InstanceId",
              "group_arn": "AutoScalingGroups[0].AutoScalingGroupARN"},
        expect={
            "AutoScalingGroups[0].[MinSize, MaxSize, DesiredCapacity, DefaultCooldown, HealthCheckType]": [0, 6, 2, 300, "EC2"],
            "AutoScalingGroups[0].Instances[].[LifecycleState, HealthStatus, InstanceType]": [["InService", "Healthy", "m5.large"]] * 2,
            "AutoScalingGroups[0].TerminationPolicies": ["OldestInstance"],
        },
    ),
    Step(
        "autoscaling", "DescribeAutoScalingGroups", {"Filters": [{"Name": "tag:team", "Values": ["a"]}]},
        expect={"AutoScalingGroups[].AutoScalingGroupName": ["conformance"]},
    ),
    Step(
        "autoscaling", "DescribeAutoScalingInstances", {"InstanceIds": ["$member"]},
        expect={"AutoScalingInstances[].[AutoScalingGroupName, LifecycleState, ProtectedFromScaleIn]": [["conformance", "InService", False]]},
    ),
    Step("autoscaling", "UpdateAutoScalingGroup", {**GROUP, "MaxSize": 8, "DefaultCooldown": 10}),
    Step("autoscaling", "SetDesiredCapacity", {**GROUP, "DesiredCapacity": 3}),
    Step(
        "autoscaling", "DescribeScalingActivities", GROUP, after=300,
        expect={"Activities[].StatusCode": ["Successful"] * 3, "Activities[0].Progress": 100},
    ),
    Step("autoscaling", "SetInstanceProtection", {**GROUP, "InstanceIds": ["$member"], "ProtectedFromScaleIn": True}),
    Step("autoscaling", "DescribeAutoScalingInstances", {"InstanceIds": ["$member"]}, expect={"AutoScalingInstances[].ProtectedFromScaleIn": [True]}),
    Step("autoscaling", "EnterStandby", {**GROUP, "InstanceIds": ["$member2"], "ShouldDecrementDesiredCapacity": True}, expect={"length(Activities)": 1}),
    Step("autoscaling", "ExitStandby", {**GROUP, "InstanceIds": ["$member2"]}, after=60, expect={"length(Activities)": 1}),
    Step("autoscaling", "DetachInstances", {**GROUP, "InstanceIds": ["$member2"], "ShouldDecrementDesiredCapacity": True}, after=120, expect={"length(Activities)": 1}),
    Step("autoscaling", "AttachInstances", {**GROUP, "InstanceIds": ["$member2"]}, after=60),
    Step("autoscaling", "DescribeAutoScalingInstances", {"InstanceIds": ["$member2"]}, after=120, expect={"AutoScalingInstances[].LifecycleState": ["InService"]}),
    Step("autoscaling", "SetInstanceHealth", {"InstanceId": "$member2", "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}),
    Step(
        "autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["conformance"]}, after=600,
        expect={"AutoScalingGroups[0].Instances[?InstanceId=='$member2']": [], "length(AutoScalingGroups[0].Instances)": 3},
    ),
    Step(
        "autoscaling", "PutScalingPolicy",
        {**GROUP, "PolicyName": "simple", "PolicyType": "SimpleScaling", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1},
        keep={"simple_policy": "PolicyARN"},
    ),
    Step(
        "autoscaling", "PutScalingPolicy",
        {
            **GROUP, "PolicyName": "step", "PolicyType": "StepScaling", "AdjustmentType": "PercentChangeInCapacity",
            "MinAdjustmentMagnitude": 1, "StepAdjustments": [
                {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 10},
                {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 30},
            ],
        },
    ),
    Step(
        "autoscaling", "PutScalingPolicy",
        {
            **GROUP, "PolicyName": "target", "PolicyType": "TargetTrackingScaling",
            "TargetTrackingConfiguration": {
                "TargetValue": 50.0, "DisableScaleIn": True,
                "CustomizedMetricSpecification": {
                    "MetricName": "load", "Namespace": "tests", "Statistic": "Average",
                    "Dimensions": [{"Name": "group", "Value": "conformance"}],
                },
            },
        },
        expect={"length(Alarms)": 2},
    ),
    Step(
        "autoscaling", "DescribePolicies", GROUP,
        expect={"sort_by(ScalingPolicies, &PolicyName)[].PolicyType": ["SimpleScaling", "StepScaling", "TargetTrackingScaling"]},
    ),
    Step("autoscaling", "ExecutePolicy", {**GROUP, "PolicyName": "simple", "HonorCooldown": False}),
    Step("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["conformance"]}, expect={"AutoScalingGroups[0].DesiredCapacity": 4}),
    Step("autoscaling", "DeletePolicy", {**GROUP, "PolicyName": "target"}),
    Step(
        "autoscaling", "PutLifecycleHook",
        {**HOOK, "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "HeartbeatTimeout": 600, "DefaultResult": "ABANDON", "NotificationMetadata": "x"},
        after=300,
    ),
    Step(
        "autoscaling", "DescribeLifecycleHooks", GROUP,
        expect={"LifecycleHooks[].[LifecycleHookName, HeartbeatTimeout, GlobalTimeout, DefaultResult]": [["hold", 600, 60000, "ABANDON"]]},
    ),
    Step("autoscaling", "SetDesiredCapacity", {**GROUP, "DesiredCapacity": 5}),
    Step(
        "autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["conformance"]}, after=120,
        keep={"held": "AutoScalingGroups[0].Instances[?LifecycleState=='Pending:Wait'].InstanceId | [0]"},
    ),
    Step("autoscaling", "RecordLifecycleActionHeartbeat", {**HOOK, "InstanceId": "$held"}),
    Step("autoscaling", "CompleteLifecycleAction", {**HOOK, "InstanceId": "$held", "LifecycleActionResult": "CONTINUE"}),
    Step("autoscaling", "DescribeAutoScalingInstances", {"InstanceIds": ["$held"]}, after=60, expect={"AutoScalingInstances[].LifecycleState": ["InService"]}),
    Step("autoscaling", "PutWarmPool", {**GROUP, "MinSize": 1, "PoolState": "Stopped", "InstanceReusePolicy": {"ReuseOnScaleIn": True}}),
    Step(
        "autoscaling", "DescribeWarmPool", GROUP,
        expect={"WarmPoolConfiguration": {"MinSize": 1, "PoolState": "Stopped", "InstanceReusePolicy": {"ReuseOnScaleIn": True}}, "Instances": []},
    ),
    Step("autoscaling", "DeleteWarmPool", {**GROUP, "ForceDelete": True}),
    Step("autoscaling", "SuspendProcesses", {**GROUP, "ScalingProcesses": ["Terminate", "AZRebalance"]}),
    Step(
        "autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["conformance"]},
        expect={"sort(AutoScalingGroups[0].SuspendedProcesses[].ProcessName)": ["AZRebalance", "Terminate"]},
    ),
    Step("autoscaling", "ResumeProcesses", GROUP),
    Step("autoscaling", "AttachLoadBalancerTargetGroups", {**GROUP, "TargetGroupARNs": ["$tg"]}),
    Step(
        "autoscaling", "DescribeLoadBalancerTargetGroups", GROUP, after=60,
        expect={"LoadBalancerTargetGroups[].LoadBalancerTargetGroupARN": ["$tg"]},
    ),
    Step("autoscaling", "DetachLoadBalancerTargetGroups", {**GROUP, "TargetGroupARNs": ["$tg"]}),
    Step(
        "autoscaling", "CreateOrUpdateTags",
        {"Tags": [{"ResourceId": "conformance", "ResourceType": "auto-scaling-group", "Key": "env", "Value": "x", "PropagateAtLaunch": False}]},
    ),
    Step(
        "autoscaling", "DescribeTags", {"Filters": [{"Name": "auto-scaling-group", "Values": ["conformance"]}]},
        expect={"sort_by(Tags, &Key)[].[Key, Value, PropagateAtLaunch]": [["env", "x", False], ["team", "a", True]]},
    ),
    Step("autoscaling", "DeleteTags", {"Tags": [{"ResourceId": "conformance", "ResourceType": "auto-scaling-group", "Key": "env"}]}),
    Step("autoscaling", "EnableMetricsCollection", {**GROUP, "Granularity": "1Minute", "Metrics": ["GroupDesiredCapacity"]}),
    Step(
        "autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["conformance"]},
        expect={"AutoScalingGroups[0].EnabledMetrics": [{"Metric": "GroupDesiredCapacity", "Granularity": "1Minute"}]},
    ),
    Step("autoscaling", "DisableMetricsCollection", GROUP),
    Step("autoscaling", "DescribeScalingProcessTypes", expect={"length(Processes)": 9}),
    Step("autoscaling", "DescribeTerminationPolicyTypes", expect={"contains(TerminationPolicyTypes, 'OldestInstance')": True}),
    Step("autoscaling", "DescribeAdjustmentTypes", expect={"length(AdjustmentTypes)": 3}),
    Step("autoscaling", "DescribeLifecycleHookTypes", expect={"length(LifecycleHookTypes)": 2}),
    Step("autoscaling", "DescribeAccountLimits", expect={"NumberOfAutoScalingGroups": 2}),
    Step("autoscaling", "TerminateInstanceInAutoScalingGroup", {"InstanceId": "$held", "ShouldDecrementDesiredCapacity": True}, expect={"Activity.StatusCode": "InProgress"}),
]

TOPIC = {**GROUP, "TopicARN": "arn:aws:sns:us-east-1:000000000000:topic"}

# Launch configurations, scheduled actions, notifications.
BUILD += [
    Step(
        "autoscaling", "CreateLaunchConfiguration",
        {
            "LaunchConfigurationName": "old", "ImageId": "$ami", "InstanceType": "t3.small", "KeyName": "key", "SpotPrice": "0.05",
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}}],
            "MetadataOptions": {"HttpTokens": "required"}, "IamInstanceProfile": "profile", "UserData": "IyEvYmluL2Jhc2gK",
        },
    ),
    Step(
        "autoscaling", "DescribeLaunchConfigurations", {"LaunchConfigurationNames": ["old"]},
        expect={"LaunchConfigurations[].[LaunchConfigurationName, InstanceType, SpotPrice, InstanceMonitoring.Enabled]": [["old", "t3.small", "0.05", True]]},
    ),
    Step("autoscaling", "CreateAutoScalingGroup", {"AutoScalingGroupName": "old", "LaunchConfigurationName": "old", "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": "$subnet"}),
    Step(
        "autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["old"]},
        expect={"AutoScalingGroups[].[LaunchConfigurationName, LaunchTemplate]": [["old", None]]},
    ),
    Step("autoscaling", "PutScheduledUpdateGroupAction", {**GROUP, "ScheduledActionName": "daily", "Recurrence": "0 9 * * 1-5", "TimeZone": "Etc/UTC", "MinSize": 1}),
    Step(
        "autoscaling", "BatchPutScheduledUpdateGroupAction",
        {**GROUP, "ScheduledUpdateGroupActions": [{"ScheduledActionName": "nightly", "Recurrence": "0 1 * * *", "DesiredCapacity": 1}, {"ScheduledActionName": "never"}]},
        expect={"FailedScheduledUpdateGroupActions[].[ScheduledActionName, ErrorCode]": [["never", "ValidationError"]]},
    ),
    Step(
        "autoscaling", "DescribeScheduledActions", GROUP,
        expect={"ScheduledUpdateGroupActions[].[ScheduledActionName, Recurrence, MinSize, DesiredCapacity]": [["daily", "0 9 * * 1-5", 1, None], ["nightly", "0 1 * * *", None, 1]]},
    ),
    Step("autoscaling", "DeleteScheduledAction", {**GROUP, "ScheduledActionName": "daily"}),
    Step("autoscaling", "BatchDeleteScheduledAction", {**GROUP, "ScheduledActionNames": ["nightly", "never"]}, expect={"FailedScheduledActions[].ScheduledActionName": ["never"]}),
    Step("autoscaling", "PutNotificationConfiguration", {**TOPIC, "NotificationTypes": ["autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE"]}),
    Step("autoscaling", "DescribeNotificationConfigurations", {"AutoScalingGroupNames": ["conformance"]}, expect={"length(NotificationConfigurations)": 2}),
    Step("autoscaling", "DeleteNotificationConfiguration", TOPIC),
    Step("autoscaling", "DescribeAutoScalingNotificationTypes", expect={"length(AutoScalingNotificationTypes)": 5}),
]

# The cooldown of the group runs when the errors are caused.
BUILD += [
    Step("autoscaling", "UpdateAutoScalingGroup", {**GROUP, "DefaultCooldown": 86400}),
    Step("autoscaling", "ExecutePolicy", {**GROUP, "PolicyName": "simple", "HonorCooldown": False}, after=600),
]

NEW = {"AutoScalingGroupName": "x", "LaunchTemplate": TEMPLATE, "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": "$subnet"}

ERRORS = {
    "autoscaling": [
        ("CreateAutoScalingGroup", {**NEW, "AutoScalingGroupName": "conformance"}, "AlreadyExists"),
        ("CreateAutoScalingGroup", {**NEW, "MinSize": 3}, "ValidationError"),
        ("CreateAutoScalingGroup", {**NEW, "MinSize": -1}, "ValidationError"),
        ("CreateAutoScalingGroup", {**NEW, "DesiredCapacity": 2}, "ValidationError"),
        ("CreateAutoScalingGroup", {**NEW, "LaunchTemplate": {"LaunchTemplateName": "none"}}, "ValidationError"),
        ("CreateAutoScalingGroup", {"AutoScalingGroupName": "x", "MinSize": 0, "MaxSize": 1}, "ValidationError"),
        ("CreateAutoScalingGroup", {**NEW, "TerminationPolicies": ["Whim"]}, "ValidationError"),
        ("CreateAutoScalingGroup", {"MinSize": 0, "MaxSize": 1}, "ValidationError"),
        ("CreateAutoScalingGroup", {"AutoScalingGroupName": "x", "MinSize": 0, "MaxSize": 1, "LaunchConfigurationName": "none"}, "ValidationError"),
        ("CreateLaunchConfiguration", {"LaunchConfigurationName": "old", "ImageId": "$ami", "InstanceType": "t3.small"}, "AlreadyExists"),
        ("CreateLaunchConfiguration", {"LaunchConfigurationName": "new", "InstanceType": "t3.small"}, "ValidationError"),
        ("CreateLaunchConfiguration", {"LaunchConfigurationName": "new", "InstanceId": "$member"}, "ValidationError"),
        ("DeleteLaunchConfiguration", {"LaunchConfigurationName": "old"}, "ResourceInUse"),
        ("DeleteLaunchConfiguration", {"LaunchConfigurationName": "none"}, "ValidationError"),
        ("DescribeLaunchConfigurations", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("PutScheduledUpdateGroupAction", {**NONE, "ScheduledActionName": "a", "Recurrence": "0 1 * * *", "MinSize": 1}, "ValidationError"),
        ("PutScheduledUpdateGroupAction", {**GROUP, "ScheduledActionName": "a", "Recurrence": "daily", "MinSize": 1}, "ValidationError"),
        ("PutScheduledUpdateGroupAction", {**GROUP, "ScheduledActionName": "a", "StartTime": "2020-01-01T00:00:00Z", "MinSize": 1}, "ValidationError"),
        ("BatchPutScheduledUpdateGroupAction", {**NONE, "ScheduledUpdateGroupActions": []}, "ValidationError"),
        ("DescribeScheduledActions", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DeleteScheduledAction", {**GROUP, "ScheduledActionName": "none"}, "ValidationError"),
        ("BatchDeleteScheduledAction", {**NONE, "ScheduledActionNames": ["a"]}, "ValidationError"),
        ("PutNotificationConfiguration", {**TOPIC, "NotificationTypes": ["autoscaling:NEVER"]}, "ValidationError"),
        ("PutNotificationConfiguration", {**TOPIC, "TopicARN": "topic", "NotificationTypes": ["autoscaling:TEST_NOTIFICATION"]}, "ValidationError"),
        ("DescribeNotificationConfigurations", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DeleteNotificationConfiguration", TOPIC, "ValidationError"),
        ("UpdateAutoScalingGroup", {**NONE, "MaxSize": 1}, "ValidationError"),
        ("DeleteAutoScalingGroup", NONE, "ValidationError"),
        ("DeleteAutoScalingGroup", GROUP, "ResourceInUse"),
        ("SetDesiredCapacity", {**NONE, "DesiredCapacity": 1}, "ValidationError"),
        ("SetDesiredCapacity", {**GROUP, "DesiredCapacity": 99}, "ValidationError"),
        ("SetDesiredCapacity", {**GROUP, "DesiredCapacity": -1}, "ValidationError"),
        ("SetDesiredCapacity", {**GROUP, "DesiredCapacity": 1, "HonorCooldown": True}, "ScalingActivityInProgress"),
        ("ExecutePolicy", {**GROUP, "PolicyName": "simple", "HonorCooldown": True}, "ScalingActivityInProgress"),
        ("TerminateInstanceInAutoScalingGroup", {"InstanceId": "i-0123456789abcdef0", "ShouldDecrementDesiredCapacity": False}, "ValidationError"),
        ("SetInstanceHealth", {"InstanceId": "i-0123456789abcdef0", "HealthStatus": "Unhealthy"}, "ValidationError"),
        ("SetInstanceHealth", {"InstanceId": "$member", "HealthStatus": "Unwell"}, "ValidationError"),
        ("SetInstanceProtection", {**GROUP, "InstanceIds": ["i-0123456789abcdef0"], "ProtectedFromScaleIn": True}, "ValidationError"),
        ("AttachInstances", {**GROUP, "InstanceIds": ["i-0123456789abcdef0"]}, "ValidationError"),
        ("AttachInstances", {**GROUP, "InstanceIds": ["$member"]}, "ValidationError"),
        ("DetachInstances", {**GROUP, "InstanceIds": ["i-0123456789abcdef0"], "ShouldDecrementDesiredCapacity": True}, "ValidationError"),
        ("EnterStandby", {**GROUP, "InstanceIds": ["i-0123456789abcdef0"], "ShouldDecrementDesiredCapacity": True}, "ValidationError"),
        ("ExitStandby", {**GROUP, "InstanceIds": ["$member"]}, "ValidationError"),
        ("PutScalingPolicy", {**NONE, "PolicyName": "p", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1}, "ValidationError"),
        ("PutScalingPolicy", {**GROUP, "PolicyName": "p", "PolicyType": "SimpleScaling", "AdjustmentType": "Guess", "ScalingAdjustment": 1}, "ValidationError"),
        ("PutScalingPolicy", {**GROUP, "PolicyName": "p", "PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity"}, "ValidationError"),
        ("DeletePolicy", {**GROUP, "PolicyName": "none"}, "ValidationError"),
        ("ExecutePolicy", {**GROUP, "PolicyName": "none"}, "ValidationError"),
        ("ExecutePolicy", {**GROUP, "PolicyName": "step"}, "ValidationError"),
        ("PutLifecycleHook", {**NONE, "LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}, "ValidationError"),
        ("PutLifecycleHook", {**GROUP, "LifecycleHookName": "h", "LifecycleTransition": "autoscaling:NEVER"}, "ValidationError"),
        ("PutLifecycleHook", {**GROUP, "LifecycleHookName": "h"}, "ValidationError"),
        ("DescribeLifecycleHooks", NONE, "ValidationError"),
        ("DeleteLifecycleHook", {**GROUP, "LifecycleHookName": "none"}, "ValidationError"),
        ("CompleteLifecycleAction", {**HOOK, "InstanceId": "$member", "LifecycleActionResult": "CONTINUE"}, "ValidationError"),
        ("RecordLifecycleActionHeartbeat", {**HOOK, "InstanceId": "$member"}, "ValidationError"),
        ("SuspendProcesses", {**GROUP, "ScalingProcesses": ["Dance"]}, "ValidationError"),
        ("DescribeWarmPool", {**GROUP, "NextToken": "not ours"}, "InvalidNextToken"),
        ("DeleteWarmPool", GROUP, "ValidationError"),
        ("ResumeProcesses", NONE, "ValidationError"),
        ("AttachLoadBalancerTargetGroups", {**GROUP, "TargetGroupARNs": ["arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/none/0000000000000000"]}, "ValidationError"),
        ("DetachLoadBalancerTargetGroups", {**GROUP, "TargetGroupARNs": ["$tg2"]}, "ValidationError"),
        ("DescribeLoadBalancerTargetGroups", NONE, "ValidationError"),
        ("CreateOrUpdateTags", {"Tags": [{"ResourceId": "none", "ResourceType": "auto-scaling-group", "Key": "k", "Value": "v"}]}, "ValidationError"),
        ("CreateOrUpdateTags", {"Tags": [{"ResourceId": "conformance", "ResourceType": "auto-scaling-group", "Key": f"k{n}", "Value": "v"} for n in range(51)]}, "LimitExceeded"),
        ("EnableMetricsCollection", {**GROUP, "Granularity": "1Minute", "Metrics": ["None"]}, "ValidationError"),
        ("DisableMetricsCollection", NONE, "ValidationError"),
        ("DescribeAutoScalingGroups", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DescribeAutoScalingInstances", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DescribeScalingActivities", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DescribePolicies", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DescribeTags", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DescribeLoadBalancerTargetGroups", {**GROUP, "NextToken": "not ours"}, "InvalidNextToken"),
    ],
}

UNCAUSED = {
    "autoscaling": {
        "ResourceContention": "requests come one after the other",
        "ServiceLinkedRoleFailure": "roles are not checked",
        "InstanceRefreshInProgress": "there are no instance refreshes",
    }
}

CLEAN = [
    Step("autoscaling", "DeleteLifecycleHook", HOOK),
    Step("autoscaling", "DeleteAutoScalingGroup", {**GROUP, "ForceDelete": True}),
    Step("autoscaling", "DeleteAutoScalingGroup", {"AutoScalingGroupName": "mixed"}),
    Step("autoscaling", "DeleteAutoScalingGroup", {"AutoScalingGroupName": "old"}),
    Step("autoscaling", "DeleteLaunchConfiguration", {"LaunchConfigurationName": "old"}),
    Step("autoscaling", "DescribeAutoScalingGroups", after=600, expect={"AutoScalingGroups": []}),
]
