"""The Spot workshop's page on the Fault Injection Service, typed with the stock AWS CLI.

Three of four Spot Instances are interrupted by an experiment. The page makes its stack with CloudFormation; the calls
behind it stand here. Of its commands, `--no-cli-pager` is left out where version 1 of the CLI is installed. The tests are
steps of one story on one server, in virtual time, and run in this order.
"""

import base64
import json
import re
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from support.shell import Shell

CLUSTER = "EcsSpotWorkshop"
SERVICE = "ec2-service-split"
OD_GROUP, SPOT_GROUP = "EcsSpotWorkshop-ASG-OD", "EcsSpotWorkshop-ASG-SPOT"
OD_PROVIDER, SPOT_PROVIDER = "CP-OD", "CP-SPOT"
LOG_GROUP = "/aws/events/spotinterruptions"
TYPES = ["m5.large", "m5d.large", "m5a.large", "m5ad.large"]
USER_DATA = f"""#!/bin/bash
echo "ECS_CLUSTER={CLUSTER}" >> /etc/ecs/ecs.config
echo "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" >> /etc/ecs/ecs.config
"""
RECOMMENDATION = "EC2 Instance Rebalance Recommendation"
WARNING = "EC2 Spot Instance Interruption Warning"


class Story:
    """The server, the shell, and what the page looks at."""

    def __init__(self, server):
        self.server = server
        self.shell = Shell(server)
        self.run, self.json = self.shell.run, self.shell.json
        # When the experiment started, and the instances that it interrupted.
        self.started = None
        self.interrupted = []

    def now(self):
        return datetime.fromisoformat(self.server.page("/_capstan/clock")["now"].replace("Z", "+00:00"))

    def advance_to(self, seconds):
        """Moves the clock to so many seconds after the experiment's start."""
        rest = (self.started + timedelta(seconds=seconds) - self.now()).total_seconds()
        assert rest >= 0, f"{seconds} s after the start has passed"
        self.server.advance(seconds=rest)

    def tasks(self):
        """Counts of the tasks' last statuses, stopped ones aside."""
        ecs = self.server.boto("ecs")
        arns = ecs.list_tasks(cluster=CLUSTER)["taskArns"]
        if not arns:
            return Counter()
        return Counter(task["lastStatus"] for task in ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"])

    def service(self, query):
        return self.json(f"aws ecs describe-services --cluster {CLUSTER} --services {SERVICE} --query 'services[0].{query}'")

    def stable(self):
        service = self.server.boto("ecs").describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0]
        return len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]

    def group(self, name):
        return self.json(f"aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {name} --query 'AutoScalingGroups[0]'")

    def events(self, kind):
        """The events of that kind in the page's log group."""
        pattern = json.dumps(kind)
        told = self.json(f"aws logs filter-log-events --log-group-name {LOG_GROUP} --filter-pattern '{pattern}' --query 'events[].[logStreamName,message]'")
        return [(stream, json.loads(message)) for stream, message in told]

    def points(self, namespace, metric, *dimensions):
        """Averages of a metric's minutes since the experiment began, in order."""
        answer = self.server.boto("cloudwatch").get_metric_statistics(
            Namespace=namespace, MetricName=metric, Period=60, Statistics=["Average"],
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
            StartTime=self.started - timedelta(minutes=2), EndTime=self.now(),
        )
        return [point["Average"] for point in sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])]

    def activities(self, group):
        """Newest first, as the console shows them."""
        return self.json(f"aws autoscaling describe-scaling-activities --auto-scaling-group-name {group}")["Activities"]


@pytest.fixture(scope="module")
def story(server):
    return Story(server)


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


def make_group(story, name, on_demand_percent, strategy):
    policy = {
        "InstancesDistribution": {
            "OnDemandBaseCapacity": 0,
            "OnDemandPercentageAboveBaseCapacity": on_demand_percent,
            "SpotAllocationStrategy": strategy,
        },
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "EcsSpotWorkshop", "Version": "$Latest"},
            "Overrides": [{"InstanceType": name} for name in TYPES],
        },
    }
    story.shell.export(POLICY=json.dumps(policy))
    story.run(
        f"""
        aws autoscaling create-auto-scaling-group --auto-scaling-group-name {name} --mixed-instances-policy "$POLICY" \\
            --min-size 0 --max-size 10 --vpc-zone-identifier $SUBNETS_LIST --new-instances-protected-from-scale-in \\
            --termination-policies DEFAULT --tags Key=Name,Value={name},PropagateAtLaunch=true
        aws autoscaling enable-metrics-collection --auto-scaling-group-name {name} --granularity 1Minute
        """
    )


def make_provider(story, name, group):
    arn = story.group(group)["AutoScalingGroupARN"]
    # The page is older than managed draining, and goes without.
    story.run(
        f"""
        aws ecs create-capacity-provider --name {name} --auto-scaling-group-provider \\
            autoScalingGroupArn={arn},managedScaling='{{status=ENABLED,targetCapacity=100}}',managedTerminationProtection=ENABLED,managedDraining=DISABLED
        """
    )


def test_the_stack(story):
    """A cluster with Container Insights, an On-Demand and a Spot group, and a provider for each."""
    subnets = story.json("aws ec2 describe-subnets --query 'Subnets[].SubnetId'")[:3]
    story.shell.export(
        SUBNETS=" ".join(subnets),
        SUBNETS_LIST=",".join(subnets),
        VPC=story.run("aws ec2 describe-vpcs --query 'Vpcs[0].VpcId' --output text"),
        AMI=story.run(
            "aws ssm get-parameter --name /aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
            " --query Parameter.Value --output text"
        ),
        USER_DATA=USER_DATA,
    )
    story.run(f"aws ecs create-cluster --cluster-name {CLUSTER} --settings name=containerInsights,value=enabled")
    story.run(
        """
        aws ec2 create-launch-template --launch-template-name EcsSpotWorkshop --launch-template-data '{
            "InstanceType": "m5.large", "ImageId": "'$AMI'", "UserData": "'$(base64 --wrap=0 <<< "$USER_DATA")'"}'
        """
    )
    make_group(story, OD_GROUP, 100, "price-capacity-optimized")
    make_group(story, SPOT_GROUP, 0, "capacity-optimized")
    make_provider(story, OD_PROVIDER, OD_GROUP)
    make_provider(story, SPOT_PROVIDER, SPOT_GROUP)
    story.run(
        f"""
        aws ecs put-cluster-capacity-providers --cluster {CLUSTER} --capacity-providers {OD_PROVIDER} {SPOT_PROVIDER} \\
            --default-capacity-provider-strategy capacityProvider={OD_PROVIDER},base=2,weight=1 capacityProvider={SPOT_PROVIDER},weight=3
        """
    )
    story.server.advance(minutes=1)


def test_the_service(story):
    """22 tasks behind a load balancer, packed by memory: 7 on two On-Demand and 15 on four Spot Instances."""
    story.shell.export(
        LB=story.run("aws elbv2 create-load-balancer --name EcsSpotWorkshop --subnets $SUBNETS --query 'LoadBalancers[0].LoadBalancerArn' --output text"),
        TG=story.run(
            "aws elbv2 create-target-group --name EcsSpotWorkshop --protocol HTTP --port 80 --vpc-id $VPC --target-type instance"
            " --query 'TargetGroups[0].TargetGroupArn' --output text"
        ),
    )
    story.run("aws elbv2 create-listener --load-balancer-arn $LB --protocol HTTP --port 80 --default-actions Type=forward,TargetGroupArn=$TG")
    container = {"name": "webapp", "image": "capstan/web", "cpu": 420, "memory": 1680, "portMappings": [{"containerPort": 80, "hostPort": 0}]}
    story.shell.export(CONTAINERS=json.dumps([container]))
    story.run('aws ecs register-task-definition --family ec2-task --network-mode bridge --container-definitions "$CONTAINERS"')
    story.run(
        f"""
        aws ecs create-service --cluster {CLUSTER} --service-name {SERVICE} --task-definition ec2-task --desired-count 10 \\
            --placement-strategy type=binpack,field=memory \\
            --deployment-configuration minimumHealthyPercent=50,maximumPercent=200 \\
            --load-balancers targetGroupArn=$TG,containerName=webapp,containerPort=80
        """
    )
    story.server.until(story.stable, within_minutes=20)
    story.run(f"aws ecs update-service --cluster {CLUSTER} --service {SERVICE} --desired-count 22")
    story.server.until(story.stable, within_minutes=20)
    # Whatever scaling has begun comes to its end.
    story.server.advance(minutes=45)
    assert story.tasks() == {"RUNNING": 22}
    ecs = story.server.boto("ecs")
    tasks = ecs.describe_tasks(cluster=CLUSTER, tasks=ecs.list_tasks(cluster=CLUSTER)["taskArns"])["tasks"]
    assert Counter(task["capacityProviderName"] for task in tasks) == {OD_PROVIDER: 7, SPOT_PROVIDER: 15}
    assert [story.group(name)["DesiredCapacity"] for name in (OD_GROUP, SPOT_GROUP)] == [2, 4]


def test_the_log_group(story):
    """EventBridge sends Spot events to a log group; the resource policy lets it."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": f"arn:aws:logs:*:*:log-group:{LOG_GROUP}:*",
        }],
    }  # fmt: skip
    pattern = {"source": ["aws.ec2"], "detail-type": [WARNING, RECOMMENDATION]}
    story.shell.export(LOG_POLICY=json.dumps(policy), PATTERN=json.dumps(pattern))
    story.run(
        f"""
        aws logs create-log-group --log-group-name {LOG_GROUP}
        aws logs put-resource-policy --policy-name spot --policy-document "$LOG_POLICY"
        aws events put-rule --name spot-interruptions --event-pattern "$PATTERN"
        aws events put-targets --rule spot-interruptions --targets \\
            Id=logs,Arn=arn:aws:logs:{story.server.region}:{story.server.account}:log-group:{LOG_GROUP}
        """
    )


WIDGETS = [
    {
        "title": "Tasks", "metrics": [
            ["ECS/ContainerInsights", "PendingTaskCount", "ClusterName", CLUSTER, "ServiceName", SERVICE, {"label": "PendingTaskCount"}],
            [".", "RunningTaskCount", ".", ".", ".", ".", {"label": "RunningTaskCount"}],
            [".", "TaskCount", ".", ".", {"label": "TaskCount"}],
        ],
        "yAxis": {"left": {"min": 0, "label": "Count"}},
    },
    {
        "title": "CapacityProviderReservation", "metrics": [
            ["AWS/ECS/ManagedScaling", "CapacityProviderReservation", "ClusterName", CLUSTER, "CapacityProviderName", SPOT_PROVIDER],
            ["...", OD_PROVIDER],
        ],
        "annotations": {"horizontal": [{"value": 100, "label": "target capacity"}]},
    },
    {
        "title": "Spot group", "stacked": True, "metrics": [
            ["AWS/AutoScaling", "GroupInServiceInstances", "AutoScalingGroupName", SPOT_GROUP],
            [".", "GroupPendingInstances", ".", "."],
        ],
    },
]  # fmt: skip


def test_the_dashboard(story):
    widgets = [
        {"type": "metric", "x": 0, "y": 6 * row, "width": 24, "height": 6,
         "properties": {"view": "timeSeries", "region": story.server.region, "period": 60, "stat": "Average", **widget}}
        for row, widget in enumerate(WIDGETS)
    ]  # fmt: skip
    story.shell.export(DASHBOARD=json.dumps({"widgets": widgets}))
    told = story.json(f'aws cloudwatch put-dashboard --dashboard-name {CLUSTER} --dashboard-body "$DASHBOARD"')
    assert told == {"DashboardValidationMessages": []}
    listed = story.json("aws cloudwatch list-dashboards --query 'DashboardEntries[].DashboardName'")
    assert listed == [CLUSTER]


def test_the_experiment_template(story):
    template = {
        "description": "Interrupt three Spot Instances",
        "targets": {"SpotInstances": {
            "resourceType": "aws:ec2:spot-instance", "resourceTags": {"Name": SPOT_GROUP},
            "filters": [{"path": "State.Name", "values": ["running"]}], "selectionMode": "COUNT(3)",
        }},
        "actions": {"interrupt": {
            "actionId": "aws:ec2:send-spot-instance-interruptions", "parameters": {"durationBeforeInterruption": "PT2M"},
            "targets": {"SpotInstances": "SpotInstances"},
        }},
        "stopConditions": [{"source": "none"}],
        "roleArn": f"arn:aws:iam::{story.server.account}:role/fis",
        "tags": {},
    }  # fmt: skip
    (story.shell.directory / "template.json").write_text(json.dumps(template))
    story.shell.export(
        FIS_EXP_TEMP_ID=story.run(
            "aws fis create-experiment-template --cli-input-json file://template.json --query experimentTemplate.id --output text"
        )
    )


def test_the_experiment_completes_within_half_a_minute(story):
    """The page's two commands."""
    story.started = story.now()
    story.shell.export(
        FIS_EXP_ID=story.run(
            'aws fis start-experiment --experiment-template-id $FIS_EXP_TEMP_ID --query "experiment.id" --output text'
        )
    )
    story.advance_to(30)
    experiment = story.json("aws fis get-experiment --id $FIS_EXP_ID")["experiment"]
    assert experiment["state"]["status"] == "completed", experiment["state"]
    assert experiment["actions"]["interrupt"]["state"]["status"] == "completed"
    assert experiment["endTime"] - experiment["startTime"] <= 30
    resolved = story.json("aws fis list-experiment-resolved-targets --experiment-id $FIS_EXP_ID --query 'resolvedTargets[].targetInformation.arn'")
    story.interrupted = sorted(arn.rsplit("/", 1)[1] for arn in resolved)
    assert len(set(story.interrupted)) == 3


@pytest.mark.looks
def test_the_log_group_holds_both_events_of_each_instance(story):
    recommended, warned = story.events(RECOMMENDATION), story.events(WARNING)
    for told in (recommended, warned):
        assert sorted(event["detail"]["instance-id"] for _, event in told) == story.interrupted
    streams = [stream for stream, _ in recommended + warned]
    assert len(set(streams)) == 6 and all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", stream) for stream in streams), streams
    for _, event in recommended + warned:
        assert event["source"] == "aws.ec2" and event["account"] == story.server.account
        assert re.fullmatch(rf"arn:aws:ec2:us-east-1[a-f]:instance/{event['detail']['instance-id']}", event["resources"][0])
        told = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
        assert 0 <= (told - story.started).total_seconds() + 1 <= 31
    assert {event["detail"]["instance-action"] for _, event in warned} == {"terminate"}


@pytest.mark.looks
def test_the_log_group_can_be_read_by_tail(story):
    printed = story.run(f"aws logs tail {LOG_GROUP} --since 2h --format short 2>/dev/null || true")
    if printed:
        assert all(instance in printed for instance in story.interrupted)


def test_the_tasks_leave_and_others_wait(story):
    """The agents drain their instances: targets are deregistered, replacements wait for capacity."""
    story.advance_to(60)
    draining = story.json(
        f"aws ecs list-container-instances --cluster {CLUSTER} --status DRAINING --query containerInstanceArns"
    )
    assert len(draining) == 3
    targets = Counter(story.json(
        "aws elbv2 describe-target-health --target-group-arn $TG --query 'TargetHealthDescriptions[].TargetHealth.State'"
    ))
    # Four tasks fit on an instance, and one of the four Spot Instances has three; half of the 22 stay healthy.
    assert targets["draining"] in (11, 12) and targets["healthy"] >= 11, targets
    statuses = story.tasks()
    assert statuses["PROVISIONING"] in (10, 11), statuses
    assert story.service("desiredCount") == 22


def test_the_instances_live_for_two_minutes_and_no_longer(story):
    states = "aws ec2 describe-instances --instance-ids {} --query 'Reservations[].Instances[].State.Name'".format(" ".join(story.interrupted))
    requests = "aws ec2 describe-spot-instance-requests --filters Name=instance-id,Values={} --query 'SpotInstanceRequests[].Status'".format(",".join(story.interrupted))
    warned = [datetime.fromisoformat(status["UpdateTime"].replace("Z", "+00:00")) for status in story.json(requests)]
    notice = (max(warned) - story.started).total_seconds()
    assert 0 <= notice <= 30
    story.advance_to(notice + 118)
    assert story.json(states) == ["running"] * 3
    story.advance_to(notice + 125)
    assert set(story.json(states)) <= {"shutting-down", "terminated"}
    story.advance_to(notice + 185)
    assert story.json(states) == ["terminated"] * 3
    reasons = story.json(states.replace("State.Name", "StateReason.Code"))
    assert reasons == ["Server.SpotInstanceTermination"] * 3
    assert [status["Code"] for status in story.json(requests)] == ["instance-terminated-by-experiment"] * 3


def lookup(story, name):
    return story.json(f"aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue={name} --query Events")


@pytest.mark.looks
def test_the_trail_tells_of_the_evictions(story):
    evictions = [json.loads(event["CloudTrailEvent"]) for event in lookup(story, "BidEvictedEvent")]
    assert len(evictions) in (1, 3)
    told = sorted(instance for event in evictions for instance in event["serviceEventDetails"]["instanceIdSet"])
    assert told == story.interrupted


@pytest.mark.looks
def test_the_trail_tells_of_the_deregistered_targets(story):
    events = [json.loads(event["CloudTrailEvent"]) for event in lookup(story, "DeregisterTargets")]
    assert events
    assert {event["userIdentity"].get("invokedBy") for event in events} == {"ecs.amazonaws.com"}
    targets = {target["id"] for event in events for target in event["requestParameters"]["targets"]}
    assert set(story.interrupted) <= targets


def test_all_tasks_run_again(story):
    story.server.until(story.stable, within_minutes=15, step_seconds=15)
    assert story.tasks()["RUNNING"] >= 22
    assert story.group(SPOT_GROUP)["DesiredCapacity"] > 4
    story.server.advance(minutes=2)
    pending = story.points("ECS/ContainerInsights", "PendingTaskCount", ("ClusterName", CLUSTER), ("ServiceName", SERVICE))
    assert pending[0] == 0 and max(pending) >= 10 and pending[-1] == 0, pending
    tasks = story.points("ECS/ContainerInsights", "TaskCount", ("ClusterName", CLUSTER))
    assert max(tasks) > 30, tasks
    reservation = story.points(
        "AWS/ECS/ManagedScaling", "CapacityProviderReservation", ("ClusterName", CLUSTER), ("CapacityProviderName", SPOT_PROVIDER)
    )
    assert reservation[0] == 100 and max(reservation) > 100, reservation


@pytest.mark.looks
def test_the_activity_history_tells_why_the_group_grew(story):
    launches = [activity for activity in story.activities(SPOT_GROUP) if activity["Description"].startswith("Launching a new EC2 instance")]
    causes = [activity["Cause"] for activity in launches]
    because = [cause for cause in causes if "AlarmHigh" in cause and "changing the desired capacity from 4 to" in cause]
    assert len(because) >= 3, causes[:6]
    assert f"TargetTracking-{SPOT_GROUP}-AlarmHigh-" in because[0] and "ECSManagedAutoScalingPolicy-" in because[0]


def test_the_group_comes_back_in_steps(story):
    """At least fifteen minutes below the target, then not all at once."""
    grown = story.now()
    story.server.until(lambda: story.group(SPOT_GROUP)["DesiredCapacity"] == 4, within_minutes=40)
    story.server.advance(minutes=5)
    ended = [
        activity for activity in story.activities(SPOT_GROUP)
        if activity["Description"].startswith("Terminating EC2 instance") and "AlarmLow" in activity["Cause"]
        and datetime.fromisoformat(activity["StartTime"].replace("Z", "+00:00")) > story.started
    ]  # fmt: skip
    steps = {re.search(r"changing the desired capacity from (\d+) to (\d+)", activity["Cause"]).groups() for activity in ended}
    assert len(steps) > 1 and ("4" in {to for _, to in steps}), steps
    first = min(datetime.fromisoformat(activity["StartTime"].replace("Z", "+00:00")) for activity in ended)
    assert (first - story.started) >= timedelta(minutes=15) and first > grown - timedelta(minutes=5)
    assert story.tasks() == {"RUNNING": 22}
    assert story.group(SPOT_GROUP)["DesiredCapacity"] == 4


@pytest.mark.looks
def test_the_pictures_of_the_dashboard(story):
    """Every widget that the dashboard holds becomes a picture over the time of the experiment."""
    body = json.loads(story.json(f"aws cloudwatch get-dashboard --dashboard-name {CLUSTER}")["DashboardBody"])
    iso = "%Y-%m-%dT%H:%M:%SZ"
    sizes = []
    for index, widget in enumerate(body["widgets"]):
        properties = widget["properties"] | {
            "start": (story.started - timedelta(minutes=5)).astimezone(timezone.utc).strftime(iso), "end": "PT0H",
            "width": 900, "height": 320,
        }  # fmt: skip
        properties.setdefault("annotations", {})["vertical"] = [
            {"value": (story.started + timedelta(seconds=offset)).astimezone(timezone.utc).strftime(iso), "label": label}
            for offset, label in [(0, "notice"), (120, "gone")]
        ]
        story.shell.export(WIDGET=json.dumps(properties))
        image = base64.b64decode(story.run('aws cloudwatch get-metric-widget-image --metric-widget "$WIDGET" --query MetricWidgetImage --output text'))
        assert image.startswith(b"\x89PNG\r\n\x1a\n")
        assert (int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big")) == (900, 320)
        (story.shell.directory / f"widget-{index}.png").write_bytes(image)
        sizes.append(len(image))
    assert len(set(sizes)) == 3
