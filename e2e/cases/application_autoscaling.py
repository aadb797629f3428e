"""Application Auto Scaling, on the service `idle` that the cases of ECS have made."""

from support.steps import Step

SERVICE = "application-autoscaling"
TARGET = {"ServiceNamespace": "ecs", "ResourceId": "service/serving/idle", "ScalableDimension": "ecs:service:DesiredCount"}
OTHER = {**TARGET, "ResourceId": "service/serving/none"}
ARN = "arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/0ec500000000000000000000000000000000"
CPU = {"TargetValue": 50.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
LABEL = "app/conformance/0000000000000000/targetgroup/conformance/0000000000000000"
BACKLOG = {
    "TargetValue": 100.0, "ScaleInCooldown": 60, "ScaleOutCooldown": 60,
    "CustomizedMetricSpecification": {
        "Metrics": [
            {"Id": "m1", "ReturnData": False, "MetricStat": {"Stat": "Sum", "Metric": {
                "Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Dimensions": [{"Name": "QueueName", "Value": "jobs"}]}}},
            {"Id": "m2", "ReturnData": False, "MetricStat": {"Stat": "Average", "Metric": {
                "Namespace": "ECS/ContainerInsights", "MetricName": "RunningTaskCount",
                "Dimensions": [{"Name": "ClusterName", "Value": "serving"}, {"Name": "ServiceName", "Value": "idle"}]}}},
            {"Id": "e1", "Expression": "m1 / m2", "Label": "backlog", "ReturnData": True},
        ]
    },
}  # fmt: skip
STEPS = {
    "AdjustmentType": "PercentChangeInCapacity", "MinAdjustmentMagnitude": 1, "Cooldown": 60, "MetricAggregationType": "Maximum",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 50}],
}  # fmt: skip
NIGHT = {"ScheduledActionName": "night", "Schedule": "cron(0 1 * * ? *)", "Timezone": "Etc/GMT+5", "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 1}}


def step(operation, arguments, **more):
    return Step(SERVICE, operation, {**TARGET, **arguments}, **more)


BUILD = [
    step("RegisterScalableTarget", {"MinCapacity": 0, "MaxCapacity": 3, "Tags": {"a": "b"}}, keep={"target_arn": "ScalableTargetARN"}),
    step("RegisterScalableTarget", {"SuspendedState": {"ScheduledScalingSuspended": True}}, expect={"ScalableTargetARN": "$target_arn"}),
    Step(
        SERVICE, "DescribeScalableTargets", {"ServiceNamespace": "ecs"},
        expect={
            "ScalableTargets[].[ResourceId, MinCapacity, MaxCapacity, SuspendedState.ScheduledScalingSuspended]": [["service/serving/idle", 0, 3, True]],
            "ScalableTargets[].RoleARN": ["arn:aws:iam::000000000000:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"],
        },
    ),
    step("PutScalingPolicy", {"PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": CPU},
         expect={"length(Alarms)": 2}, keep={"high": "Alarms[0].AlarmName", "cpu_policy": "PolicyARN"}),
    Step(
        "cloudwatch", "DescribeAlarms", {"AlarmNames": ["$high"]},
        expect={
            "MetricAlarms[].[Namespace, MetricName, Threshold, EvaluationPeriods, Period, Unit]": [["AWS/ECS", "CPUUtilization", 50.0, 3, 60, "Percent"]],
            "MetricAlarms[].AlarmActions[]": ["$cpu_policy"],
        },
    ),
    step("PutScalingPolicy", {"PolicyName": "requests", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 1000.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": LABEL}}}),
    step("PutScalingPolicy", {"PolicyName": "backlog", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": BACKLOG}),
    step("PutScalingPolicy", {"PolicyName": "steps", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": STEPS}, keep={"steps_policy": "PolicyARN"}, expect={"Alarms": []}),
    Step(
        "cloudwatch", "PutMetricAlarm",
        {"AlarmName": "idle-load", "Namespace": "idle", "MetricName": "load", "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
         "ComparisonOperator": "GreaterThanOrEqualToThreshold", "AlarmActions": ["$steps_policy"]},
    ),
    step(
        "DescribeScalingPolicies", {"PolicyNames": ["steps", "backlog"]},
        expect={
            "ScalingPolicies[].PolicyType": ["TargetTrackingScaling", "StepScaling"],
            "ScalingPolicies[0].TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Metrics[2].Expression": "m1 / m2",
            "ScalingPolicies[1].StepScalingPolicyConfiguration.StepAdjustments[0].ScalingAdjustment": 50,
            "ScalingPolicies[1].Alarms[].AlarmName": ["idle-load"],
        },
    ),
    step("PutScheduledAction", NIGHT),
    step("PutScheduledAction", {"ScheduledActionName": "night", "ScalableTargetAction": {"MaxCapacity": 2}}),
    step(
        "DescribeScheduledActions", {},
        expect={"ScheduledActions[].[ScheduledActionName, Schedule, Timezone, ScalableTargetAction.MaxCapacity]": [["night", "cron(0 1 * * ? *)", "Etc/GMT+5", 2]]},
    ),
    Step(SERVICE, "TagResource", {"ResourceARN": "$target_arn", "Tags": {"c": "d"}}),
    Step(SERVICE, "UntagResource", {"ResourceARN": "$target_arn", "TagKeys": ["a"]}),
    Step(SERVICE, "ListTagsForResource", {"ResourceARN": "$target_arn"}, expect={"Tags": {"c": "d"}}),
    # A minimum above the count scales out at once.
    step("RegisterScalableTarget", {"MinCapacity": 1, "SuspendedState": {"ScheduledScalingSuspended": False}}),
    step(
        "DescribeScalingActivities", {},
        expect={"ScalingActivities[].[Description, Cause, StatusCode]": [["Setting desired count to 1.", "minimum capacity was set to 1", "InProgress"]]},
    ),
    step("RegisterScalableTarget", {"MinCapacity": 0, "MaxCapacity": 0}),
    step(
        "DescribeScalingActivities", {"IncludeNotScaledActivities": True},
        expect={"ScalingActivities[].Cause": ["maximum capacity was set to 0", "minimum capacity was set to 1"], "ScalingActivities[1].StatusCode": "Overridden"},
    ),
    step("RegisterScalableTarget", {"MaxCapacity": 3}),
    step("DeleteScalingPolicy", {"PolicyName": "requests"}),
]

TRACK = {**TARGET, "PolicyName": "p", "PolicyType": "TargetTrackingScaling"}


def tracking(**configuration):
    return {**TRACK, "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 5.0, **configuration}}


ERRORS = {
    SERVICE: [
        ("RegisterScalableTarget", {**OTHER, "MinCapacity": 0, "MaxCapacity": 1}, "ValidationException"),
        ("RegisterScalableTarget", {**TARGET, "MinCapacity": 9}, "ValidationException"),
        ("RegisterScalableTarget", {**TARGET, "ServiceNamespace": "dynamodb"}, "ValidationException"),
        ("RegisterScalableTarget", {**TARGET, "ScalableDimension": "rds:cluster:ReadReplicaCount"}, "ValidationException"),
        ("RegisterScalableTarget", {"ServiceNamespace": "ecs"}, "ValidationException"),
        ("DeregisterScalableTarget", OTHER, "ObjectNotFoundException"),
        ("DescribeScalableTargets", {"ServiceNamespace": "lambda"}, "ValidationException"),
        ("DescribeScalableTargets", {"ServiceNamespace": "ecs", "NextToken": "not ours"}, "InvalidNextTokenException"),
        ("PutScalingPolicy", {**TRACK, **OTHER, "TargetTrackingScalingPolicyConfiguration": CPU}, "ObjectNotFoundException"),
        ("PutScalingPolicy", TRACK, "ValidationException"),
        ("PutScalingPolicy", tracking(), "ValidationException"),
        ("PutScalingPolicy", tracking(PredefinedMetricSpecification={"PredefinedMetricType": "ALBRequestCountPerTarget"}), "ValidationException"),
        ("PutScalingPolicy", tracking(PredefinedMetricSpecification={"PredefinedMetricType": "KafkaBrokerStorageUtilization"}), "ValidationException"),
        ("PutScalingPolicy", tracking(CustomizedMetricSpecification={"Metrics": [{"Id": "e1", "Expression": "m1 +"}]}), "ValidationException"),
        ("PutScalingPolicy", {**tracking(**CPU), "TargetTrackingScalingPolicyConfiguration": {**CPU, "TargetValue": -1.0}}, "ValidationException"),
        ("PutScalingPolicy", {**TRACK, "PolicyType": "PredictiveScaling"}, "ValidationException"),
        ("PutScalingPolicy", {**TARGET, "PolicyName": "p", "StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity"}}, "ValidationException"),
        ("DeleteScalingPolicy", {**TARGET, "PolicyName": "none"}, "ObjectNotFoundException"),
        ("DescribeScalingPolicies", {**TARGET, "NextToken": "not ours"}, "InvalidNextTokenException"),
        ("PutScheduledAction", {**OTHER, **NIGHT}, "ObjectNotFoundException"),
        ("PutScheduledAction", {**TARGET, **NIGHT, "Schedule": "sometimes"}, "ValidationException"),
        ("PutScheduledAction", {**TARGET, **NIGHT, "Timezone": "Mars/Base"}, "ValidationException"),
        ("PutScheduledAction", {**TARGET, "ScheduledActionName": "new", "Schedule": "rate(1 hour)"}, "ValidationException"),
        ("DeleteScheduledAction", {**TARGET, "ScheduledActionName": "none"}, "ObjectNotFoundException"),
        ("DescribeScheduledActions", {**TARGET, "NextToken": "not ours"}, "InvalidNextTokenException"),
        ("DescribeScalingActivities", {**TARGET, "NextToken": "not ours"}, "InvalidNextTokenException"),
        ("TagResource", {"ResourceARN": ARN, "Tags": {"a": "b"}}, "ResourceNotFoundException"),
        ("TagResource", {"ResourceARN": "$target_arn", "Tags": {f"k{n}": "v" for n in range(51)}}, "TooManyTagsException"),
        ("TagResource", {"ResourceARN": "$target_arn", "Tags": {"aws:a": "b"}}, "ValidationException"),
        ("UntagResource", {"ResourceARN": ARN, "TagKeys": ["a"]}, "ResourceNotFoundException"),
        ("ListTagsForResource", {"ResourceARN": ARN}, "ResourceNotFoundException"),
    ],
}

UNCAUSED = {
    SERVICE: {
        "ConcurrentUpdateException": "requests come one after the other",
        "FailedResourceAccessException": "alarms and services are always at hand",
        "InternalServiceException": "there is no such failure",
    }
}

CLEAN = [
    step("DeleteScheduledAction", {"ScheduledActionName": "night"}),
    step("DeregisterScalableTarget", {}),
    Step("cloudwatch", "DeleteAlarms", {"AlarmNames": ["idle-load"]}),
    Step("cloudwatch", "DescribeAlarms", {"AlarmNamePrefix": "TargetTracking-service/"}, expect={"MetricAlarms": []}),
    Step(SERVICE, "DescribeScalingPolicies", {"ServiceNamespace": "ecs"}, expect={"ScalingPolicies": []}),
]
