"""The live world: instances as slices of this host, tasks as processes, a real load balancer, sixty times faster."""

import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

from support.server import ANSWER_WITHIN_SECS, Server

AMI = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"

USER_DATA = """#!/bin/sh
echo ECS_CLUSTER=live >> /etc/ecs/ecs.config
echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config
echo 'ECS_INSTANCE_ATTRIBUTES={"stack":"blue"}' >> /etc/ecs/ecs.config
echo ECS_RESERVED_MEMORY=1024 >> /etc/ecs/ecs.config
"""


# What takes longer has failed; nothing waits so long otherwise.
WITHIN_SECS = 120


def within(condition):
    """What the condition gives, once it is true; for a server whose time runs by itself."""
    until = datetime.now() + timedelta(seconds=WITHIN_SECS)
    while True:
        result = condition()
        if result or datetime.now() > until:
            assert result, "not in time"
            return result
        time.sleep(0.05)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A server with real processes, sixty times faster than real time."""
    with Server(tmp_path_factory.mktemp("live"), clock="x60", runtime="process") as running:
        running.boto("ecs").create_cluster(clusterName="live")
        yield running


def launch(live, **options):
    """An instance and the container instance that its agent registers."""
    image = live.boto("ssm").get_parameter(Name=AMI)["Parameter"]["Value"]
    common = {"ImageId": image, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1, "UserData": USER_DATA}
    instance = live.boto("ec2").run_instances(**common, **options)["Instances"][0]["InstanceId"]
    return instance, within(lambda: registered(live, instance))


def registered(live, instance):
    ecs = live.boto("ecs")
    query = f"ec2InstanceId == {instance}"
    arns = ecs.list_container_instances(cluster="live", filter=query)["containerInstanceArns"]
    if not arns:
        return None
    return ecs.describe_container_instances(cluster="live", containerInstances=arns)["containerInstances"][0]


def runs(pid):
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# Deaf to signals, with a child in its group and one in a session of its own.
STUBBORN = """trap '' TERM INT HUP
sleep 1000 & echo $! >> "$PIDS"
setsid sh -c 'trap "" TERM; while :; do sleep 0.05; done' & echo $! >> "$PIDS"
echo $$ >> "$PIDS"
while :; do sleep 0.05; done
"""


def start_stubborn(live, row, name):
    """Runs it on that container instance; the task and the processes."""
    ecs = live.boto("ecs")
    pids = live.directory / name
    container = {
        "name": "stubborn",
        "image": "any",
        "memory": 64,
        "entryPoint": ["/bin/sh", "-c"],
        "command": [STUBBORN],
        "environment": [{"name": "PIDS", "value": str(pids)}],
        "stopTimeout": 3600,
    }
    ecs.register_task_definition(family=name, containerDefinitions=[container])
    started = ecs.start_task(cluster="live", taskDefinition=name, containerInstances=[row["containerInstanceArn"]])
    task = started["tasks"][0]["taskArn"]

    def all_there():
        found = pids.read_text().split() if pids.exists() else []
        return found if len(found) == 3 else None

    processes = within(all_there)
    assert all(runs(pid) for pid in processes)
    return task, processes


def stopped(live, task):
    row = live.boto("ecs").describe_tasks(cluster="live", tasks=[task])["tasks"][0]
    return row if row["lastStatus"] == "STOPPED" else None


def test_an_interrupted_instance_drains_itself_and_is_gone_at_the_deadline(live):
    ec2, ecs, fis = live.boto("ec2"), live.boto("ecs"), live.boto("fis")
    instance, row = launch(live, InstanceMarketOptions={"MarketType": "spot"})
    task, processes = start_stubborn(live, row, "interrupted")
    ecs.stop_task(cluster="live", task=task)
    template = fis.create_experiment_template(
        description="interrupt",
        roleArn=f"arn:aws:iam::{live.account}:role/fis",
        stopConditions=[{"source": "none"}],
        targets={
            "one": {
                "resourceType": "aws:ec2:spot-instance",
                "resourceArns": [f"arn:aws:ec2:{live.region}:{live.account}:instance/{instance}"],
                "selectionMode": "ALL",
            }
        },
        actions={
            "interrupt": {
                "actionId": "aws:ec2:send-spot-instance-interruptions",
                "parameters": {"durationBeforeInterruption": "PT2M"},
                "targets": {"SpotInstances": "one"},
            }
        },
    )["experimentTemplate"]
    fis.start_experiment(experimentTemplateId=template["id"])
    # The agent has read the notice at its own metadata endpoint.
    within(lambda: (registered(live, instance) or {"status": "GONE"})["status"] != "ACTIVE")
    why = " ".join(live.page(f"/_capstan/explain/{instance}")["why"])
    assert "Spot's notice: terminate" in why or "terminated" in why, why

    def gone():
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return found if found["State"]["Name"] == "terminated" else None

    assert within(gone)["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    assert not any(runs(pid) for pid in processes)
    assert stopped(live, task)


def test_a_stopped_instance_runs_nothing_and_comes_back(live):
    ec2 = live.boto("ec2")
    instance, row = launch(live)
    task, processes = start_stubborn(live, row, "stopped")
    state = lambda: ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]  # noqa: E731
    within(lambda: state() == "running")
    ec2.stop_instances(InstanceIds=[instance])
    within(lambda: state() == "stopped")
    assert not any(runs(pid) for pid in processes)
    with pytest.raises(urllib.error.HTTPError):
        live.page(f"/_capstan/instances/{instance}/latest/meta-data/")
    ec2.start_instances(InstanceIds=[instance])
    # The agent says that the task is gone, and takes another.
    within(lambda: stopped(live, task))
    within(lambda: (registered(live, instance) or {}).get("agentConnected"))
    _, others = start_stubborn(live, row, "again")
    ec2.terminate_instances(InstanceIds=[instance])
    within(lambda: state() == "terminated")
    assert not any(runs(pid) for pid in others)


def test_a_task_reads_its_instance_and_answers_behind_a_load_balancer(live):
    ec2, ecs, elb = live.boto("ec2"), live.boto("ecs"), live.boto("elbv2")
    instance, row = launch(live, InstanceMarketOptions={"MarketType": "spot"})
    assert {"name": "stack", "value": "blue"} in row["attributes"]
    memory = {resource["name"]: resource for resource in row["registeredResources"]}["MEMORY"]["integerValue"]
    assert memory == 7680 - 1024

    subnets = ec2.describe_subnets()["Subnets"]
    balancer = elb.create_load_balancer(Name="live", Subnets=[subnet["SubnetId"] for subnet in subnets])["LoadBalancers"][0]
    group = elb.create_target_group(
        Name="live", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"], HealthCheckPath="/health", HealthCheckIntervalSeconds=6
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    web = {
        "name": "web",
        "image": "capstan/web",
        "cpu": 128,
        "memory": 64,
        "portMappings": [{"containerPort": 80, "hostPort": 0}],
    }
    reader = {
        "name": "reader",
        "image": "any",
        "cpu": 128,
        "memory": 64,
        "essential": False,
        "entryPoint": ["/bin/sh", "-c"],
        "command": ['curl --silent "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/meta-data/instance-id" > "$READ_TO"'],
        "environment": [{"name": "READ_TO", "value": str(live.directory / "read")}],
    }
    ecs.register_task_definition(family="web", containerDefinitions=[web, reader])
    ecs.create_service(
        cluster="live",
        serviceName="web",
        taskDefinition="web",
        desiredCount=1,
        launchType="EC2",
        loadBalancers=[{"targetGroupArn": group, "containerName": "web", "containerPort": 80}],
    )

    def answered():
        request = urllib.request.Request(live.endpoint, headers={"Host": balancer["DNSName"]})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_SECS) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            return None

    assert instance in within(answered)
    assert within(lambda: (live.directory / "read").exists() and (live.directory / "read").read_text()) == instance

    # A minute of the server's time later it is in the metrics.
    named = {
        "LoadBalancer": balancer["LoadBalancerArn"].split("loadbalancer/")[1],
        "TargetGroup": group.split(":")[-1],
    }

    def points(metric, **statistics):
        now = datetime.now(timezone.utc)
        told = live.boto("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in named.items()],
            StartTime=now - timedelta(days=1),
            EndTime=now + timedelta(days=7),
            Period=3600,
            **statistics,
        )
        return told["Datapoints"]

    assert within(lambda: sum(point["Sum"] for point in points("RequestCount", Statistics=["Sum"]))) >= 1
    times = within(lambda: points("TargetResponseTime", ExtendedStatistics=["p90"]))
    assert all(0 < point["ExtendedStatistics"]["p90"] < ANSWER_WITHIN_SECS for point in times)
    assert max(point["Maximum"] for point in within(lambda: points("HealthyHostCount", Statistics=["Maximum"]))) == 1


def test_what_a_container_prints_is_in_its_log_group(live):
    _, row = launch(live)
    ecs, logs = live.boto("ecs"), live.boto("logs")
    options = {"awslogs-group": "/ecs/live", "awslogs-region": live.region, "awslogs-stream-prefix": "web", "awslogs-create-group": "true"}
    container = {
        "name": "printer",
        "image": "any",
        "memory": 64,
        "entryPoint": ["/bin/sh", "-c"],
        "command": ["echo one; echo; echo two ERROR >&2; exit 3"],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    ecs.register_task_definition(family="printer", containerDefinitions=[container])
    task = ecs.start_task(cluster="live", taskDefinition="printer", containerInstances=[row["containerInstanceArn"]])["tasks"][0]["taskArn"]

    def printed():
        if not logs.describe_log_groups(logGroupNamePrefix="/ecs/live")["logGroups"]:
            return None
        found = logs.filter_log_events(logGroupName="/ecs/live")["events"]
        return found if len(found) == 2 else None

    events = within(printed)
    assert {event["message"] for event in events} == {"one", "two ERROR"}
    assert {event["logStreamName"] for event in events} == {f"web/printer/{task.rpartition('/')[2]}"}
