"""`aws fis` as its users type it: a template from a file, an experiment, what it does, and how it is stopped."""

import json

import pytest

from support.shell import Shell

TEMPLATE = {
    "description": "Interrupt three Spot Instances",
    "targets": {
        "SpotInstances": {
            "resourceType": "aws:ec2:spot-instance",
            "resourceTags": {"Name": "EcsSpotWorkshop"},
            "filters": [{"path": "State.Name", "values": ["running"]}],
            "selectionMode": "COUNT(3)",
        }
    },
    "actions": {
        "interrupt": {
            "actionId": "aws:ec2:send-spot-instance-interruptions",
            "parameters": {"durationBeforeInterruption": "PT2M"},
            "targets": {"SpotInstances": "SpotInstances"},
        }
    },
    "stopConditions": [{"source": "none"}],
    "roleArn": "arn:aws:iam::000000000000:role/fis",
    "logConfiguration": {
        "cloudWatchLogsConfiguration": {"logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/fis:*"},
        "logSchemaVersion": 2,
    },
    "tags": {"Name": "interruptions"},
}

POWER = {
    "description": "One Availability Zone without power",
    "targets": {
        "instances": {
            "resourceType": "aws:ec2:instance",
            "resourceTags": {"AzImpairmentPower": "StopInstances"},
            "filters": [
                {"path": "State.Name", "values": ["running"]},
                {"path": "Placement.AvailabilityZone", "values": ["us-east-1a"]},
            ],
            "selectionMode": "ALL",
        },
        "role": {"resourceType": "aws:iam:role", "resourceArns": ["arn:aws:iam::000000000000:role/launches"], "selectionMode": "ALL"},
    },
    "actions": {
        "Stop-Instances": {
            "actionId": "aws:ec2:stop-instances",
            "parameters": {"completeIfInstancesTerminated": "true", "startInstancesAfterDuration": "PT30M"},
            "targets": {"Instances": "instances"},
        },
        "Pause-Instance-Launches": {
            "actionId": "aws:ec2:api-insufficient-instance-capacity-error",
            "parameters": {"availabilityZoneIdentifiers": "us-east-1a", "duration": "PT30M", "percentage": "100"},
            "targets": {"Roles": "role"},
        },
    },
    "stopConditions": [{"source": "none"}],
    "roleArn": "arn:aws:iam::000000000000:role/fis",
    "experimentOptions": {"accountTargeting": "single-account", "emptyTargetResolutionMode": "skip"},
}

EVENTS = {
    "source": ["aws.fis", "aws.ec2"],
    "detail-type": ["FIS Experiment State Change", "EC2 Instance Rebalance Recommendation", "EC2 Spot Instance Interruption Warning"],
}
EVENTS_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "arn:aws:logs:us-east-1:000000000000:log-group:/events:*",
    }],
}

LAUNCH = """
aws ec2 run-instances --image-id $AMI --instance-type m5.large --count {count} --placement AvailabilityZone=us-east-1a {options} \\
    --tag-specifications 'ResourceType=instance,Tags=[{{Key={key},Value={value}}}]' --query 'Instances[].InstanceId' --output text
"""


@pytest.fixture(scope="module")
def shell(server):
    shell = Shell(server)
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
    shell.export(AMI=shell.run(f"aws ssm get-parameter --name {name} --query Parameter.Value --output text"))
    shell.export(EVENTS=json.dumps(EVENTS), EVENTS_POLICY=json.dumps(EVENTS_POLICY))
    for file, template in [("template.json", TEMPLATE), ("power.json", POWER)]:
        (server.directory / file).write_text(json.dumps(template))
    return shell


def launch(shell, key, value, count, options=""):
    return shell.run(LAUNCH.format(key=key, value=value, count=count, options=options)).split()


def states(shell, instances):
    query = "sort(Reservations[].Instances[].State.Name)"
    return shell.json(f"aws ec2 describe-instances --instance-ids {' '.join(instances)} --query '{query}'")


def state(shell, experiment):
    return shell.json(f"aws fis get-experiment --id {experiment} --query experiment.state")


def test_interrupts_three_spot_instances(server, shell):
    instances = launch(shell, "Name", "EcsSpotWorkshop", 4, "--instance-market-options MarketType=spot")
    shell.run("""
        aws logs create-log-group --log-group-name /fis
        aws logs create-log-group --log-group-name /events
        aws logs put-resource-policy --policy-name events --policy-document "$EVENTS_POLICY"
        aws events put-rule --name experiments --event-pattern "$EVENTS"
        aws events put-targets --rule experiments --targets Id=log,Arn=arn:aws:logs:us-east-1:000000000000:log-group:/events
    """)
    server.advance(minutes=1)
    template = shell.json("aws fis create-experiment-template --cli-input-json file://template.json")["experimentTemplate"]
    assert template["id"].startswith("EXT")
    experiment = shell.run(
        f"aws fis start-experiment --experiment-template-id {template['id']} --query experiment.id --output text"
    )
    assert state(shell, experiment) == {"status": "initiating", "reason": "Experiment is initiating."}
    # The page says to wait about 30 seconds.
    server.advance(seconds=12)
    assert state(shell, experiment) == {"status": "completed", "reason": "Experiment completed"}
    resolved = shell.json(f"aws fis list-experiment-resolved-targets --experiment-id {experiment} --query 'resolvedTargets[].targetInformation.arn'")
    assert len(resolved) == 3
    chosen = sorted(arn.rsplit("/", 1)[1] for arn in resolved)
    assert set(chosen) < set(instances)
    codes = "sort(SpotInstanceRequests[].Status.Code)"
    requests = shell.json(f"aws ec2 describe-spot-instance-requests --query '{codes}'")
    assert requests == ["fulfilled"] + ["instance-terminated-by-experiment"] * 3
    assert states(shell, instances) == ["running"] * 4
    server.advance(seconds=118)
    assert states(shell, instances) == ["running"] * 4
    server.advance(seconds=5)
    assert states(shell, chosen) == ["terminated"] * 3
    assert states(shell, instances) == ["running"] + ["terminated"] * 3


def test_its_events(shell):
    messages = shell.json("aws logs filter-log-events --log-group-name /events --query 'events[].message'")
    events = [json.loads(message) for message in messages]
    kinds = [event["detail-type"] for event in events]
    assert kinds.count("EC2 Instance Rebalance Recommendation") == 3
    assert kinds.count("EC2 Spot Instance Interruption Warning") == 3
    changes = [event for event in events if event["source"] == "aws.fis"]
    assert [event["detail"]["new-state"]["status"] for event in changes] == ["initiating", "running", "completed"]
    assert [event["detail"]["old-state"]["status"] for event in changes] == ["pending", "initiating", "running"]
    last = changes[-1]
    assert last["detail"]["new-state"]["reason"] == "Experiment completed"
    assert last["detail"]["experiment-template-id"].startswith("EXT")
    assert last["resources"] == [f"arn:aws:fis:us-east-1:000000000000:experiment/{last['detail']['experiment-id']}"]


def test_the_trail(shell):
    def looked_up(name):
        lookup = f"aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue={name}"
        return [json.loads(event) for event in shell.json(f"{lookup} --query 'Events[].CloudTrailEvent'")]

    assert len(looked_up("BidEvictedEvent")) == 3
    [started] = looked_up("StartExperiment")
    assert started["eventSource"] == "fis.amazonaws.com"
    callers = [event["userIdentity"].get("invokedBy") for event in looked_up("DescribeInstances")]
    assert "fis.amazonaws.com" in callers


def test_its_log(shell):
    experiment = shell.run("aws fis list-experiments --query 'experiments[0].id' --output text")
    messages = shell.json(
        f"aws logs get-log-events --log-group-name /fis --log-stream-name /aws/fis/{experiment} --start-from-head --query 'events[].message'"
    )
    records = [json.loads(message) for message in messages]
    assert [record["log_type"] for record in records] == [
        "experiment-start", "target-resolution-start", "target-resolution-detail", "target-resolution-end",
        "action-start", "action-end", "experiment-end",
    ]  # fmt: skip
    assert {(record["id"], record["version"]) for record in records} == {(experiment, "2")}
    assert records[2]["details"]["resolved_targets_count"] == 3


def test_a_zone_without_power_until_it_is_stopped(server, shell):
    instances = launch(shell, "AzImpairmentPower", "StopInstances", 2)
    server.advance(minutes=1)
    template = shell.run("aws fis create-experiment-template --cli-input-json file://power.json --query experimentTemplate.id --output text")
    experiment = shell.run(f"aws fis start-experiment --experiment-template-id {template} --query experiment.id --output text")
    server.advance(minutes=2)
    assert states(shell, instances) == ["stopped"] * 2
    assert "InsufficientInstanceCapacity" in shell.refused(LAUNCH.format(key="a", value="b", count=1, options=""))
    stopped = shell.json(f"aws fis stop-experiment --id {experiment} --query experiment.state")
    assert stopped["status"] == "stopping"
    server.advance(minutes=2)
    assert state(shell, experiment)["status"] == "stopped"
    assert states(shell, instances) == ["running"] * 2
    assert len(launch(shell, "a", "b", 1)) == 1


def test_errors_are_told(shell):
    missing = shell.refused("aws fis get-experiment --id EXPnothing")
    assert "(ResourceNotFoundException) when calling the GetExperiment operation" in missing
    shell.run("""sed 's/"SpotInstances": "SpotInstances"/"Instances": "SpotInstances"/' template.json > wrong.json""")
    wrong = shell.refused("aws fis create-experiment-template --cli-input-json file://wrong.json")
    assert '(ValidationException) when calling the CreateExperimentTemplate operation: Unexpected target "Instances" found in action "interrupt".' in wrong


def test_what_is_not_built_says_so(shell):
    refused = shell.refused("aws fis list-target-account-configurations --experiment-template-id EXTnothing")
    assert "501" in refused or "NotImplemented" in refused
