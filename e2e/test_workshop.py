"""The ECS workshop's Spot chapter, typed with the stock AWS CLI.

The commands are the page's own where the page gives commands. Where it uses CDK, a template of ours is deployed;
where it uses the console, the calls behind it stand here. The tests are steps of one story on one server and run in this order.
"""

import json
from collections import Counter
from datetime import datetime

import pytest

from support.server import ROOT
from support.shell import Shell
from support.workshop import OD_PROVIDER, SERVICE, SPOT_PROVIDER, SPOT_TYPES

TEMPLATE = ROOT / "e2e/support/ecsworkshop-base.yaml"


class Story:
    """The server, the shell and the page's queries."""

    def __init__(self, server):
        self.server = server
        self.shell = Shell(server)
        self.run, self.json, self.refused = self.shell.run, self.shell.json, self.shell.refused

    def instances(self):
        """The page's query, as JSON."""
        return self.json(
            """
            aws ecs describe-container-instances --cluster container-demo  \\
                --container-instances $(aws ecs list-container-instances \\
                                        --cluster container-demo \\
                                        --query 'containerInstanceArns[]' \\
                                        --output text) \\
                --query 'containerInstances[].{InstanceId: ec2InstanceId,
                                                CapacityProvider: capacityProviderName,
                                                RunningTasks: runningTasksCount}'
            """
        )

    def tasks(self):
        """The page's query, as JSON."""
        return self.json(
            """
            aws ecs describe-tasks --cluster container-demo \\
                       --tasks \\
                         $(aws ecs list-tasks --cluster container-demo --query 'taskArns[]' --output text) \\
                       --query 'sort_by(tasks,&capacityProviderName)[].{
                                          Id: taskArn,
                                          AZ: availabilityZone,
                                          CapacityProvider: capacityProviderName,
                                          LastStatus: lastStatus,
                                          DesiredStatus: desiredStatus}'
            """
        )

    def service(self, query):
        return self.json(
            f"aws ecs describe-services --cluster container-demo --services {SERVICE} --query 'services[0].{query}'"
        )

    def now(self):
        """The server's time, in seconds since 1970: the CLI prints JSON services' times so."""
        return datetime.fromisoformat(self.server.page("/_capstan/clock")["now"].replace("Z", "+00:00")).timestamp()

    def counted(self):
        """Container instances by provider, through boto3: for the waits."""
        ecs = self.server.boto("ecs")
        arns = ecs.list_container_instances(cluster="container-demo")["containerInstanceArns"]
        if not arns:
            return Counter()
        described = ecs.describe_container_instances(cluster="container-demo", containerInstances=arns)
        return Counter(instance["capacityProviderName"] for instance in described["containerInstances"])

    def stable(self):
        """What the waiter `services-stable` looks at."""
        service = self.server.boto("ecs").describe_services(cluster="container-demo", services=[SERVICE])["services"][0]
        return len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]


@pytest.fixture(scope="module")
def story(irish):
    return Story(irish)


@pytest.fixture(autouse=True)
def in_order(request):
    """A step has nothing to stand on when one that changes the world failed before it; looking changes nothing."""
    module = request.node.parent
    if getattr(module, "broken", None):
        pytest.skip(f"{module.broken} failed")
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before and not request.node.get_closest_marker("looks"):
        module.broken = request.node.name


def test_the_platform(story):
    """What the page's CDK stack makes, from a template: cluster, launch template, both groups."""
    who = story.json("aws sts get-caller-identity")
    assert who["Account"] == "012345678910"
    subnets = story.json("aws ec2 describe-subnets --query 'Subnets[].[SubnetId,AvailabilityZone]'")
    assert sorted(zone for _, zone in subnets) == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    story.shell.export(
        SUBNETS=" ".join(subnet for subnet, _ in subnets),
        SUBNETS_LIST=",".join(subnet for subnet, _ in subnets),
        VPC=story.run("aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text"),
        SECURITY_GROUP=story.run("aws ec2 describe-security-groups --query 'SecurityGroups[0].GroupId' --output text"),
    )
    story.run(
        f"""
        aws cloudformation deploy --stack-name ecsworkshop-base --template-file {TEMPLATE} --capabilities CAPABILITY_IAM \\
            --parameter-overrides Subnets=$SUBNETS_LIST SecurityGroups=$SECURITY_GROUP
        """
    )
    cluster = story.json("aws ecs describe-clusters --clusters container-demo --query 'clusters[0]'")
    assert cluster["clusterArn"] == "arn:aws:ecs:eu-west-1:012345678910:cluster/container-demo"
    assert cluster["status"] == "ACTIVE"


def test_the_on_demand_provider(story):
    """The chapter before: a provider for the On-Demand group, and the cluster's default strategy."""
    story.shell.export(
        AWS_REGION="eu-west-1",
        asg_name=story.run(
            "aws cloudformation describe-stacks --stack-name ecsworkshop-base"
            " --query 'Stacks[*].Outputs[?ExportName==`EC2ASGName`].OutputValue' --output text"
        ),
        capacity_provider_name=OD_PROVIDER,
    )
    story.shell.export(
        asg_arn=story.run(
            "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names $asg_name"
            " --query 'AutoScalingGroups[].AutoScalingGroupARN' --output text"
        )
    )
    story.run(
        """
        aws ecs create-capacity-provider \\
             --name $capacity_provider_name \\
             --auto-scaling-group-provider autoScalingGroupArn="$asg_arn",managedScaling=\\{status="ENABLED",targetCapacity=80\\},managedTerminationProtection="DISABLED" \\
             --region $AWS_REGION
        """
    )
    story.run(
        """
        aws ecs put-cluster-capacity-providers \\
        --cluster container-demo \\
        --capacity-providers $capacity_provider_name \\
        --default-capacity-provider-strategy capacityProvider=$capacity_provider_name,weight=1,base=1
        """
    )


def test_the_service(story):
    """The page's ApplicationLoadBalancedEc2Service: balancer, target group, task definition, one task."""
    story.server.advance(minutes=1)
    story.shell.export(
        LB=story.run(
            "aws elbv2 create-load-balancer --name ecsdemo --subnets $SUBNETS --security-groups $SECURITY_GROUP"
            " --query 'LoadBalancers[0].LoadBalancerArn' --output text"
        ),
        TG=story.run(
            "aws elbv2 create-target-group --name ecsdemo --protocol HTTP --port 80 --vpc-id $VPC --target-type instance"
            " --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn' --output text"
        ),
    )
    story.run(
        "aws elbv2 modify-target-group-attributes --target-group-arn $TG"
        " --attributes Key=deregistration_delay.timeout_seconds,Value=90"
    )
    listener = story.json(
        "aws elbv2 create-listener --load-balancer-arn $LB --protocol HTTP --port 80"
        " --default-actions Type=forward,TargetGroupArn=$TG --query 'Listeners[0]'"
    )
    story.shell.export(LISTENER=listener["ListenerArn"])
    container = {
        "name": "web",
        "image": "brentley/ecsdemo-frontend",
        "essential": True,
        "portMappings": [{"containerPort": 3000, "hostPort": 0, "protocol": "tcp"}],
    }
    story.shell.export(CONTAINERS=json.dumps([container]))
    definition = story.json(
        "aws ecs register-task-definition --family ecsdemo --requires-compatibilities EC2 --network-mode bridge"
        " --cpu 256 --memory 512 --container-definitions \"$CONTAINERS\" --query taskDefinition"
    )
    assert definition["taskDefinitionArn"].endswith(":task-definition/ecsdemo:1")
    service = story.json(
        f"""
        aws ecs create-service --cluster container-demo --service-name {SERVICE} --task-definition ecsdemo \\
            --desired-count 1 --health-check-grace-period-seconds 60 \\
            --deployment-configuration maximumPercent=200,minimumHealthyPercent=50 \\
            --load-balancers targetGroupArn=$TG,containerName=web,containerPort=3000 --query service
        """
    )
    # The default strategy of the cluster is taken at creation, and kept.
    assert service["capacityProviderStrategy"] == [{"capacityProvider": OD_PROVIDER, "weight": 1, "base": 1}]
    assert "launchType" not in service


def test_the_spot_provider(story):
    """The page's commands."""
    story.shell.export(
        spot_asg_name=story.run(
            "aws cloudformation describe-stacks --stack-name ecsworkshop-base"
            " --query 'Stacks[*].Outputs[?ExportName==`EC2SpotASGName`].OutputValue' --output text"
        ),
        spot_capacity_provider_name=SPOT_PROVIDER,
    )
    assert story.shell.environment["spot_asg_name"].startswith("ecsworkshop-base-ECSEC2SpotCapacity-")
    story.shell.export(
        spot_asg_arn=story.run(
            "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names $spot_asg_name"
            " --query 'AutoScalingGroups[].AutoScalingGroupARN' --output text"
        )
    )
    created = story.json(
        """
        aws ecs create-capacity-provider \\
             --name $spot_capacity_provider_name \\
             --auto-scaling-group-provider autoScalingGroupArn="$spot_asg_arn",managedScaling=\\{status="ENABLED",targetCapacity=80\\},managedTerminationProtection="DISABLED" \\
             --region $AWS_REGION
        """
    )["capacityProvider"]
    assert created["status"] == "ACTIVE"
    assert created["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 80
    cluster = story.json(
        """
        aws ecs put-cluster-capacity-providers \\
        --cluster container-demo \\
        --capacity-providers $capacity_provider_name $spot_capacity_provider_name \\
        --default-capacity-provider-strategy capacityProvider=$capacity_provider_name,weight=1,base=1 capacityProvider=$spot_capacity_provider_name,weight=1,base=0
        """
    )["cluster"]
    assert sorted(cluster["capacityProviders"]) == sorted([OD_PROVIDER, SPOT_PROVIDER])
    assert cluster["attachmentsStatus"] in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")


@pytest.mark.looks
def test_ten_minutes_later_there_are_four_instances(story):
    story.server.advance(minutes=10)
    instances = story.instances()
    assert Counter(row["CapacityProvider"] for row in instances) == {OD_PROVIDER: 2, SPOT_PROVIDER: 2}
    assert sorted(row["RunningTasks"] for row in instances) == [0, 0, 0, 1]
    busy = next(row for row in instances if row["RunningTasks"])
    assert busy["CapacityProvider"] == OD_PROVIDER
    resources = story.json(
        """
        aws ecs describe-container-instances --cluster container-demo \\
            --container-instances $(aws ecs list-container-instances --cluster container-demo \\
                --filter 'runningTasksCount == 1' --query 'containerInstanceArns[]' --output text) \\
            --query 'containerInstances[0].[registeredResources,remainingResources][].{n: name, v: integerValue}'
        """
    )
    figures = [(row["n"], row["v"]) for row in resources if row["n"] in ("CPU", "MEMORY")]
    assert figures == [("CPU", 2048), ("MEMORY", 7680), ("CPU", 1792), ("MEMORY", 7168)]


@pytest.mark.looks
def test_the_purchase_options_and_types(story):
    """The first group is On-Demand m5.large; every instance of the second is Spot, of one of its ten types."""
    rows = story.json(
        "aws ec2 describe-instances --filters Name=instance-state-name,Values=running --query"
        " 'Reservations[].Instances[].[Tags[?Key==`aws:autoscaling:groupName`]|[0].Value, InstanceType, InstanceLifecycle]'"
    )
    on_demand = [row for row in rows if row[0].startswith("ecsworkshop-base-ECSEC2Capacity-")]
    spot = [row for row in rows if row[0].startswith("ecsworkshop-base-ECSEC2SpotCapacity-")]
    assert (len(on_demand), len(spot)) == (2, 2)
    assert all(row[1:] == ["m5.large", None] for row in on_demand)
    assert all(row[1] in SPOT_TYPES and row[2] == "spot" for row in spot)


@pytest.mark.looks
def test_the_managed_policy_and_its_alarms(story):
    """Managed scaling goes the public way: a target tracking policy and its two alarms on each group."""
    for group in ("$asg_name", "$spot_asg_name"):
        policy = story.json(
            f"aws autoscaling describe-policies --auto-scaling-group-name {group} --query 'ScalingPolicies[0]'"
        )
        assert policy["PolicyName"].startswith("ECSManagedAutoScalingPolicy-")
        assert policy["TargetTrackingConfiguration"]["TargetValue"] == 80.0
        alarms = story.json(
            f"aws cloudwatch describe-alarms --alarm-name-prefix TargetTracking-{group}-Alarm --query"
            " 'sort_by(MetricAlarms,&AlarmName)[].[ComparisonOperator,Threshold,Period,EvaluationPeriods,MetricName]'"
        )
        assert alarms == [
            ["GreaterThanThreshold", 80.0, 60, 1, "CapacityProviderReservation"],
            ["LessThanThreshold", 80.0, 60, 15, "CapacityProviderReservation"],
        ]


def test_a_forced_deployment_with_both_providers(story):
    story.run(
        f"""
        aws ecs update-service --cluster container-demo --service {SERVICE} --force-new-deployment \\
            --capacity-provider-strategy capacityProvider=$capacity_provider_name,weight=1,base=1 \\
                                         capacityProvider=$spot_capacity_provider_name,weight=1,base=0
        """
    )


@pytest.mark.looks
def test_two_deployments_at_once(story):
    """The page's screenshot, about 95 s later: the new deployment's task runs, the old one's is not gone yet."""
    story.server.advance(seconds=95)
    deployments = story.service("deployments[].[status,runningCount]")
    assert deployments == [["PRIMARY", 1], ["ACTIVE", 1]]


def test_the_deployment_completes(story):
    story.server.until(story.stable, within_minutes=10)
    assert story.service("deployments[].rolloutState") == ["COMPLETED"]


@pytest.mark.looks
def test_twenty_tasks(story):
    story.run(f"aws ecs update-service --cluster container-demo --service {SERVICE} --desired-count 20")
    story.server.advance(minutes=15)
    tasks = story.tasks()
    assert Counter(row["LastStatus"] for row in tasks) == {"RUNNING": 20}
    assert Counter(row["DesiredStatus"] for row in tasks) == {"RUNNING": 20}
    assert Counter(row["CapacityProvider"] for row in tasks) == {OD_PROVIDER: 11, SPOT_PROVIDER: 9}
    assert {row["AZ"] for row in tasks} == {"eu-west-1a", "eu-west-1b", "eu-west-1c"}
    assert story.stable()
    targets = story.json(
        "aws elbv2 describe-target-health --target-group-arn $TG --query 'TargetHealthDescriptions[].TargetHealth.State'"
    )
    assert Counter(targets) == {"healthy": 20}


@pytest.mark.looks
def test_a_drained_instance(story):
    """The event list of the page's screenshot: 0, +13, +101 and +110 seconds."""
    # Let scaling that the twenty tasks began come to its end first.
    story.server.advance(minutes=10)
    ecs = story.server.boto("ecs")
    arns = ecs.list_container_instances(cluster="container-demo")["containerInstanceArns"]
    described = ecs.describe_container_instances(cluster="container-demo", containerInstances=arns)
    running = {row["containerInstanceArn"]: row["runningTasksCount"] for row in described["containerInstances"]}
    drained, count = min(running.items(), key=lambda item: abs(item[1] - 3))
    assert count > 0, running
    before = set(story.service("events[].id"))
    answer = story.json(
        "aws ecs update-container-instances-state --cluster container-demo --status DRAINING"
        f" --container-instances {drained}"
    )
    assert answer["failures"] == []
    assert [row["status"] for row in answer["containerInstances"]] == ["DRAINING"]
    start = story.now()
    story.server.advance(minutes=3)

    events = [event for event in story.service("events[].[id,createdAt,message]") if event[0] not in before]
    told = [
        (round(at - start), message.removeprefix(f"(service {SERVICE}) "))
        for _, at, message in reversed(events)
    ]
    expected = [
        (0, 2, f"deregistered {count} targets in (target-group "),
        (0, 2, f"has begun draining connections on {count} tasks."),
        (0, 2, f"has started {count} tasks: (task "),
        (8, 20, f"registered {count} targets in (target-group "),
        (95, 107, f"has stopped {count} running tasks: (task "),
        (100, 120, "has reached a steady state."),
    ]
    assert len(told) == len(expected), told
    for (at, message), (earliest, latest, beginning) in zip(told, expected):
        assert message.startswith(beginning) and earliest <= at <= latest, told
    # Newest first in the answer.
    stamps = [at for _, at, _ in story.service("events[].[id,createdAt,message]")]
    assert stamps == sorted(stamps, reverse=True)
    left = ecs.describe_container_instances(cluster="container-demo", containerInstances=[drained])
    assert left["containerInstances"][0]["runningTasksCount"] == 0
    ecs.update_container_instances_state(cluster="container-demo", containerInstances=[drained], status="ACTIVE")


def test_back_to_one(story):
    """Both groups scale in, and rest at the two that target capacity 80 keeps."""
    story.run(f"aws ecs update-service --cluster container-demo --service {SERVICE} --desired-count 1")
    story.server.advance(minutes=30)
    assert story.counted() == {OD_PROVIDER: 2, SPOT_PROVIDER: 2}
    assert [row["LastStatus"] for row in story.tasks()] == ["RUNNING"]
    story.server.advance(minutes=60)
    assert story.counted() == {OD_PROVIDER: 2, SPOT_PROVIDER: 2}, "the resting size is kept"


@pytest.mark.looks
@pytest.mark.parametrize(
    ("group", "provider"),
    [("$asg_name", OD_PROVIDER), ("$spot_asg_name", SPOT_PROVIDER)],
)
def test_scale_in_followed_fifteen_minutes(story, group, provider):
    """Each instance went because the low alarm had seen fifteen minutes below the target."""
    ended = [
        activity
        for activity in story.json(f"aws autoscaling describe-scaling-activities --auto-scaling-group-name {group}")["Activities"]
        if activity["Description"].startswith("Terminating EC2 instance")
    ]
    assert ended
    now = story.now()
    points = story.json(
        "aws cloudwatch get-metric-statistics --namespace AWS/ECS/ManagedScaling --metric-name CapacityProviderReservation"
        f" --dimensions Name=ClusterName,Value=container-demo Name=CapacityProviderName,Value={provider}"
        f" --start-time {now - 5 * 3600:.0f} --end-time {now:.0f}"
        " --period 60 --statistics Average --query 'Datapoints[].[Timestamp,Average]'"
    )
    reservation = dict(points)
    for activity in ended:
        cause = activity["Cause"]
        assert "AlarmLow" in cause and "shrinking the capacity" in cause and "selected for termination" in cause, cause
        minute = datetime.fromisoformat(activity["StartTime"].replace("Z", "+00:00")).timestamp() // 60 * 60
        seen = [reservation[minute - 60 * before] for before in range(1, 16)]
        assert all(value < 80 for value in seen), (activity, seen)


@pytest.mark.looks
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("aws ecs delete-cluster --cluster container-demo", "ClusterContains"),
        (f"aws ecs delete-service --cluster container-demo --service {SERVICE}", "InvalidParameterException"),
        (
            "aws ecs put-cluster-capacity-providers --cluster container-demo --capacity-providers"
            " --default-capacity-provider-strategy",
            "ResourceInUseException",
        ),
        ("aws ecs delete-capacity-provider --capacity-provider $spot_capacity_provider_name", "ClientException"),
        ("aws autoscaling delete-auto-scaling-group --auto-scaling-group-name $spot_asg_name", "ResourceInUse"),
        ("aws elbv2 delete-target-group --target-group-arn $TG", "ResourceInUse"),
    ],
)
def test_the_wrong_order_of_cleaning_up(story, command, code):
    assert f"({code}" in story.refused(command)


def test_cleaning_up_in_the_right_order(story):
    story.run(f"aws ecs update-service --cluster container-demo --service {SERVICE} --desired-count 0")
    story.server.advance(minutes=5)
    assert story.service("runningCount") == 0
    story.run(f"aws ecs delete-service --cluster container-demo --service {SERVICE}")
    story.run("aws elbv2 delete-listener --listener-arn $LISTENER")
    story.run("aws elbv2 delete-load-balancer --load-balancer-arn $LB")
    story.run("aws elbv2 delete-target-group --target-group-arn $TG")
    # The console's "Update Cluster": no default strategy, then no providers.
    story.run(
        "aws ecs put-cluster-capacity-providers --cluster container-demo"
        " --capacity-providers $capacity_provider_name $spot_capacity_provider_name --default-capacity-provider-strategy"
    )
    story.server.advance(minutes=1)
    story.run(
        "aws ecs put-cluster-capacity-providers --cluster container-demo --capacity-providers"
        " --default-capacity-provider-strategy"
    )
    story.server.advance(minutes=1)
    for name in ("$capacity_provider_name", "$spot_capacity_provider_name"):
        story.run(f"aws ecs delete-capacity-provider --capacity-provider {name}")
    story.server.advance(minutes=1)
    statuses = story.json(
        "aws ecs describe-capacity-providers --capacity-providers $capacity_provider_name $spot_capacity_provider_name"
        " --query 'capacityProviders[].status'"
    )
    assert set(statuses) <= {"INACTIVE"}, statuses
    story.run("aws cloudformation delete-stack --stack-name ecsworkshop-base")
    story.server.advance(minutes=5)
    assert story.json("aws autoscaling describe-auto-scaling-groups")["AutoScalingGroups"] == []
    assert "does not exist" in story.refused("aws cloudformation describe-stacks --stack-name ecsworkshop-base")
    cluster = story.json("aws ecs describe-clusters --clusters container-demo --query 'clusters[].status'")
    assert set(cluster) <= {"INACTIVE"}, cluster
    story.run("aws ecs deregister-task-definition --task-definition ecsdemo:1")
    assert story.server.healthy()
