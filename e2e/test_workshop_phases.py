"""The workshop's figures do not depend on when in a minute the calls come: the story again, through boto3."""

import base64
from collections import Counter

import pytest

from support.server import Server
from support.workshop import OD_PROVIDER, SERVICE, SPOT_PROVIDER, SPOT_TYPES, USER_DATA

CLUSTER = {"cluster": "container-demo"}
STRATEGY = [
    {"capacityProvider": OD_PROVIDER, "weight": 1, "base": 1},
    {"capacityProvider": SPOT_PROVIDER, "weight": 1, "base": 0},
]


def build(server):
    """Both groups and providers at target 80, and a service of one task behind a load balancer."""
    ec2, autoscaling, ecs = server.boto("ec2"), server.boto("autoscaling"), server.boto("ecs")
    elb, ssm = server.boto("elbv2"), server.boto("ssm")
    subnets = ec2.describe_subnets()["Subnets"]
    ids = [subnet["SubnetId"] for subnet in subnets]
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
    ec2.create_launch_template(
        LaunchTemplateName="workshop",
        LaunchTemplateData={
            "InstanceType": "m5.large",
            "ImageId": ssm.get_parameter(Name=name)["Parameter"]["Value"],
            "UserData": base64.b64encode(USER_DATA.encode()).decode(),
        },
    )
    ecs.create_cluster(clusterName="container-demo")
    template = {"LaunchTemplateName": "workshop", "Version": "1"}
    size = {"MinSize": 0, "MaxSize": 10, "VPCZoneIdentifier": ",".join(ids)}
    autoscaling.create_auto_scaling_group(AutoScalingGroupName="on-demand", LaunchTemplate=template, **size)
    mixed = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": template,
            "Overrides": [{"InstanceType": spot_type} for spot_type in SPOT_TYPES],
        },
        "InstancesDistribution": {
            "OnDemandPercentageAboveBaseCapacity": 0,
            "SpotAllocationStrategy": "capacity-optimized",
        },
    }
    autoscaling.create_auto_scaling_group(AutoScalingGroupName="spot", MixedInstancesPolicy=mixed, **size)
    for provider, group in ((OD_PROVIDER, "on-demand"), (SPOT_PROVIDER, "spot")):
        found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
        ecs.create_capacity_provider(
            name=provider,
            autoScalingGroupProvider={
                "autoScalingGroupArn": found["AutoScalingGroupARN"],
                "managedScaling": {"status": "ENABLED", "targetCapacity": 80},
                "managedTerminationProtection": "DISABLED",
            },
        )
    ecs.put_cluster_capacity_providers(
        **CLUSTER, capacityProviders=[OD_PROVIDER, SPOT_PROVIDER], defaultCapacityProviderStrategy=STRATEGY
    )
    balancer = elb.create_load_balancer(Name="workshop", Subnets=ids)["LoadBalancers"][0]["LoadBalancerArn"]
    targets = elb.create_target_group(
        Name="workshop", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"], HealthyThresholdCount=2
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.modify_target_group_attributes(
        TargetGroupArn=targets, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "90"}]
    )
    elb.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}]
    )
    ecs.register_task_definition(
        family="ecsdemo",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "web", "image": "web", "portMappings": [{"containerPort": 3000, "hostPort": 0}]}],
    )
    ecs.create_service(
        **CLUSTER,
        serviceName=SERVICE,
        taskDefinition="ecsdemo",
        desiredCount=1,
        healthCheckGracePeriodSeconds=60,
        deploymentConfiguration={"maximumPercent": 200, "minimumHealthyPercent": 50},
        loadBalancers=[{"targetGroupArn": targets, "containerName": "web", "containerPort": 3000}],
    )


def instances(ecs):
    arns = ecs.list_container_instances(**CLUSTER)["containerInstanceArns"]
    return ecs.describe_container_instances(**CLUSTER, containerInstances=arns)["containerInstances"]


@pytest.mark.parametrize("second", [0, 7, 29, 31, 59])
def test_four_instances_then_twenty_tasks(tmp_path, second):
    with Server(tmp_path, region="eu-west-1", account="012345678910") as server:
        now = server.page("/_capstan/clock")["now"]
        server.advance(seconds=(second - float(now[17:23])) % 60)
        build(server)
        ecs = server.boto("ecs")
        server.advance(minutes=10)
        up = instances(ecs)
        assert Counter(row["capacityProviderName"] for row in up) == {OD_PROVIDER: 2, SPOT_PROVIDER: 2}
        assert sorted(row["runningTasksCount"] for row in up) == [0, 0, 0, 1]

        ecs.update_service(
            **CLUSTER, service=SERVICE, capacityProviderStrategy=STRATEGY, forceNewDeployment=True, desiredCount=20
        )
        server.advance(minutes=15)
        arns = ecs.list_tasks(**CLUSTER)["taskArns"]
        tasks = ecs.describe_tasks(**CLUSTER, tasks=arns)["tasks"]
        assert Counter(task["lastStatus"] for task in tasks) == {"RUNNING": 20}
        assert Counter(task["capacityProviderName"] for task in tasks) == {OD_PROVIDER: 11, SPOT_PROVIDER: 9}
        assert {task["availabilityZone"] for task in tasks} == {"eu-west-1a", "eu-west-1b", "eu-west-1c"}

        ecs.update_service(**CLUSTER, service=SERVICE, desiredCount=1)
        server.advance(minutes=45)
        assert Counter(row["capacityProviderName"] for row in instances(ecs)) == {OD_PROVIDER: 2, SPOT_PROVIDER: 2}


def test_the_same_seed_gives_the_same_ids(tmp_path):
    """Ids do not come from the clock, nor from the order in which threads run."""
    seen = []
    for run in ("first", "second"):
        directory = tmp_path / run
        directory.mkdir()
        with Server(directory, seed=7) as server:
            build(server)
            server.advance(minutes=10)
            seen.append(sorted((row["ec2InstanceId"], row["containerInstanceArn"]) for row in instances(server.boto("ecs"))))
    assert seen[0] == seen[1]
