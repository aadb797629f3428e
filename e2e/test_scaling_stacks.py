"""Launch configurations, scheduled actions, scalable targets and policies of services as parts of a stack."""

import copy
import json

import pytest

REF = "Ref"
IMAGE = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
RESOURCE = {"Fn::Sub": "service/${Cluster}/${Service.Name}"}
SCALED = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
NIGHT = {"ScheduledActionName": "night", "Schedule": "cron(0 1 * * ? *)", "Timezone": "Europe/Berlin", "ScalableTargetAction": {"MaxCapacity": 1}}

TEMPLATE = {
    "Parameters": {"Image": {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": IMAGE}},
    "Resources": {
        "Configuration": {"Type": "AWS::AutoScaling::LaunchConfiguration", "Properties": {
            "ImageId": {REF: "Image"}, "InstanceType": "t3.small", "InstanceMonitoring": False,
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": "30"}}]}},
        "Group": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {
            "LaunchConfigurationName": {REF: "Configuration"}, "MinSize": "0", "MaxSize": "4", "DesiredCapacity": "1",
            "AvailabilityZones": {"Fn::GetAZs": ""}}},
        "Hourly": {"Type": "AWS::AutoScaling::ScheduledAction", "Properties": {
            "AutoScalingGroupName": {REF: "Group"}, "Recurrence": "0 * * * *", "MinSize": 2}},
        "Cluster": {"Type": "AWS::ECS::Cluster"},
        "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"ContainerDefinitions": [{"Name": "a", "Image": "b", "Memory": 64}]}},
        "Service": {"Type": "AWS::ECS::Service", "Properties": {"Cluster": {REF: "Cluster"}, "TaskDefinition": {REF: "Task"}, "DesiredCount": 0}},
        "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": {
            **SCALED, "ResourceId": RESOURCE, "MinCapacity": 0, "MaxCapacity": 5, "ScheduledActions": [NIGHT],
            "SuspendedState": {"DynamicScalingInSuspended": True}}},
        "Steps": {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": {
            **SCALED, "ResourceId": RESOURCE, "PolicyName": "steps", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
                "AdjustmentType": "ChangeInCapacity", "Cooldown": 60, "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]}},
            "DependsOn": "Target"},
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {
            "EvaluationPeriods": 1, "Threshold": 100, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": [{REF: "Steps"}],
            "Metrics": [
                {"Id": "m1", "ReturnData": False, "MetricStat": {"Stat": "Sum", "Period": 60, "Metric": {"Namespace": "App", "MetricName": "Jobs"}}},
                {"Id": "e1", "Expression": "m1 * 2"}]}},
    },
    "Outputs": {name: {"Value": {REF: name}} for name in ("Configuration", "Group", "Hourly", "Target", "Steps", "Alarm")},
}  # fmt: skip


class Story:
    def __init__(self, server):
        self.server, self.boto = server, server.boto
        self.cloudformation = server.boto("cloudformation")

    def settle(self, wanted):
        def status():
            now = self.cloudformation.describe_stacks(StackName=self.id)["Stacks"][0]["StackStatus"]
            assert "ROLLBACK" not in now and "FAILED" not in now, self.failures()
            return now == wanted

        self.server.until(status, within_minutes=30, step_seconds=10)

    def failures(self):
        events = self.cloudformation.describe_stack_events(StackName=self.id)["StackEvents"]
        return [(event["LogicalResourceId"], event.get("ResourceStatusReason")) for event in events if "FAILED" in event["ResourceStatus"]]

    def outputs(self):
        outputs = self.cloudformation.describe_stacks(StackName=self.id)["Stacks"][0]["Outputs"]
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}


@pytest.fixture(scope="module")
def story(server):
    return Story(server)


def test_the_stack_is_made_and_acts(story):
    before = story.server.page("/_capstan/state")
    story.id = story.cloudformation.create_stack(StackName="scaling", TemplateBody=json.dumps(TEMPLATE))["StackId"]
    story.settle("CREATE_COMPLETE")
    made = story.outputs()
    autoscaling, scaling = story.boto("autoscaling"), story.boto("application-autoscaling")
    configuration = autoscaling.describe_launch_configurations()["LaunchConfigurations"][0]
    assert (configuration["LaunchConfigurationName"], configuration["InstanceMonitoring"]) == (made["Configuration"], {"Enabled": False})
    group = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert [instance["LaunchConfigurationName"] for instance in group["Instances"]] == [made["Configuration"]]
    target = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0]
    assert made["Target"] == f"{target['ResourceId']}|ecs:service:DesiredCount|ecs"
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is True
    actions = scaling.describe_scheduled_actions(ServiceNamespace="ecs")["ScheduledActions"]
    assert [(action["ScheduledActionName"], action["Timezone"]) for action in actions] == [("night", "Europe/Berlin")]
    policy = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"][0]
    assert (policy["PolicyARN"], [alarm["AlarmName"] for alarm in policy["Alarms"]]) == (made["Steps"], [made["Alarm"]])
    # The alarm on an expression runs the policy; the schedule resizes the group.
    story.boto("cloudwatch").put_metric_data(Namespace="App", MetricData=[{"MetricName": "Jobs", "Value": 60}])
    story.server.advance(minutes=2)
    activities = scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
    assert activities[-1]["Description"] == "Setting desired count to 1."
    assert activities[-1]["Cause"] == f"monitor alarm {made['Alarm']} in state ALARM triggered policy steps"
    story.server.advance(minutes=70)
    assert autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["MinSize"] == 2

    # A launch configuration never changes: another one takes its place. The rest is updated where it stands.
    template = copy.deepcopy(TEMPLATE)
    resources = template["Resources"]
    resources["Configuration"]["Properties"]["InstanceType"] = "t3.medium"
    resources["Hourly"]["Properties"]["MinSize"] = 1
    resources["Target"]["Properties"] |= {"MaxCapacity": 2, "ScheduledActions": []}
    del resources["Target"]["Properties"]["SuspendedState"]
    resources["Steps"]["Properties"]["StepScalingPolicyConfiguration"]["Cooldown"] = 30
    story.cloudformation.update_stack(StackName="scaling", TemplateBody=json.dumps(template))
    story.settle("UPDATE_COMPLETE")
    now = story.outputs()
    assert now["Configuration"] != made["Configuration"] and now["Steps"] == made["Steps"]
    assert [each["InstanceType"] for each in autoscaling.describe_launch_configurations()["LaunchConfigurations"]] == ["t3.medium"]
    assert scaling.describe_scheduled_actions(ServiceNamespace="ecs")["ScheduledActions"] == []
    target = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"][0]
    assert (target["MaxCapacity"], target["SuspendedState"]["DynamicScalingInSuspended"]) == (2, False)
    assert autoscaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"][0]["MinSize"] == 1

    story.cloudformation.delete_stack(StackName="scaling")
    story.settle("DELETE_COMPLETE")
    left = {table: [row for row in rows if row not in before.get(table, [])] for table, rows in story.server.page("/_capstan/state").items()}
    assert {table: rows for table, rows in left.items() if rows} == {}
