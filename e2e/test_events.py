"""EventBridge with the stock CLI: the Spot workshop's rule, events to log groups and queues, patterns."""

import json

import pytest

from support.shell import Shell

GROUP = "/aws/events/spotinterruptions"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/*:*",
    }],
}
PATTERN = {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning", "EC2 Spot Instance Request Fulfillment"]}


@pytest.fixture(scope="module")
def shell(server):
    shell = Shell(server)
    shell.export(
        GROUP=GROUP, ARN=f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}", POLICY=json.dumps(POLICY), PATTERN=json.dumps(PATTERN)
    )
    return shell


def messages(shell):
    found = shell.json('aws logs filter-log-events --log-group-name "$GROUP"')
    return [json.loads(event["message"]) for event in found["events"]]


def test_the_workshop_s_rule(server, shell):
    shell.run('aws logs create-log-group --log-group-name "$GROUP"')
    rule = shell.json('aws events put-rule --name spot --event-pattern "$PATTERN"')
    assert rule == {"RuleArn": "arn:aws:events:us-east-1:000000000000:rule/spot"}
    put = shell.json('aws events put-targets --rule spot --targets "Id=log,Arn=$ARN"')
    assert put == {"FailedEntryCount": 0, "FailedEntries": []}
    run = """aws ec2 run-instances --image-id "$(aws ssm get-parameters --query 'Parameters[0].Value' --output text \
        --names /aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id)" --instance-type m5.large \
        --instance-market-options MarketType=spot --query 'Instances[0].InstanceId' --output text"""
    # Without a resource policy nothing arrives.
    shell.run(run)
    server.advance(seconds=5)
    assert messages(shell) == []
    shell.run('aws logs put-resource-policy --policy-name events --policy-document "$POLICY"')
    instance = shell.run(run)
    server.advance(seconds=5)
    [event] = messages(shell)
    assert list(event) == ["version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"]
    assert event["detail-type"] == "EC2 Spot Instance Request Fulfillment"
    assert event["resources"] == [f"arn:aws:ec2:us-east-1:000000000000:instance/{instance}"]
    assert event["detail"]["instance-id"] == instance
    streams = shell.json('aws logs describe-log-streams --log-group-name "$GROUP" --query logStreams[].logStreamName')
    assert [len(name) for name in streams] == [36]


def test_patterns(shell):
    event = {
        "version": "0", "id": "1", "detail-type": "t", "source": "mine", "account": "000000000000", "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1", "resources": [], "detail": {"n": 5, "ip": "10.0.0.7", "file": "dir/x.png"},
    }
    shell.export(EVENT=json.dumps(event))
    for detail, result in [
        ({"n": [{"numeric": [">", 0, "<=", 5]}]}, True),
        ({"n": [{"anything-but": [5]}]}, False),
        ({"ip": [{"cidr": "10.0.0.0/24"}], "file": [{"wildcard": "dir/*.png"}]}, True),
        ({"$or": [{"n": [1]}, {"missing": [{"exists": False}]}]}, True),
    ]:
        shell.export(P=json.dumps({"detail": detail}))
        assert shell.json('aws events test-event-pattern --event "$EVENT" --event-pattern "$P"') == {"Result": result}, detail
    shell.export(P='{"source":"mine"}')
    told = shell.refused('aws events test-event-pattern --event "$EVENT" --event-pattern "$P"')
    assert "InvalidEventPatternException" in told and "Event pattern is not valid. Reason: " in told


def test_own_events_through_a_transformer(server, shell):
    shell.run("""aws events put-rule --name own --event-pattern '{"source":["shop"]}'""")
    target = {
        "Id": "log", "Arn": shell.environment["ARN"],
        "InputTransformer": {
            "InputPathsMap": {"item": "$.detail.item", "at": "$.time"},
            "InputTemplate": '{"timestamp":<at>,"message":{"sold":"<item>","rule":<aws.events.rule-name>}}',
        },
    }
    shell.export(TARGETS=json.dumps([target]))
    shell.run('aws events put-targets --rule own --targets "$TARGETS"')
    shell.export(ENTRIES=json.dumps([{"Source": "shop", "DetailType": "sale", "Detail": json.dumps({"item": "tea"})}]))
    assert shell.json('aws events put-events --entries "$ENTRIES"')["FailedEntryCount"] == 0
    server.advance(seconds=5)
    assert {"sold": "tea", "rule": "own"} in messages(shell)


def test_an_experiment_is_told(server, shell):
    """Seed 002: a recommendation and a warning for each interrupted instance, one log stream per event."""
    shell.run("""aws events put-rule --name interruptions --event-pattern \
        '{"source":["aws.ec2"],"detail-type":["EC2 Spot Instance Interruption Warning","EC2 Instance Rebalance Recommendation"]}'""")
    shell.run('aws events put-targets --rule interruptions --targets "Id=log,Arn=$ARN"')
    run = shell.json("""aws ec2 run-instances --count 3 --image-id "$(aws ssm get-parameters --query 'Parameters[0].Value' --output text \
        --names /aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id)" --instance-type m5.large \
        --instance-market-options MarketType=spot --tag-specifications 'ResourceType=instance,Tags=[{Key=Name,Value=told}]'""")
    instances = {instance["InstanceId"]: instance["Placement"]["AvailabilityZone"] for instance in run["Instances"]}
    server.advance(minutes=3)
    shell.export(
        TARGETS=json.dumps({"spot": {"resourceType": "aws:ec2:spot-instance", "resourceTags": {"Name": "told"}, "selectionMode": "ALL"}}),
        ACTIONS=json.dumps({"interrupt": {
            "actionId": "aws:ec2:send-spot-instance-interruptions", "parameters": {"durationBeforeInterruption": "PT2M"},
            "targets": {"SpotInstances": "spot"},
        }}),
    )
    template = shell.run("""aws fis create-experiment-template --description told --role-arn arn:aws:iam::000000000000:role/fis \
        --stop-conditions source=none --targets "$TARGETS" --actions "$ACTIONS" --query experimentTemplate.id --output text""")
    shell.run(f"aws fis start-experiment --experiment-template-id {template}")
    server.advance(minutes=5)
    found = messages(shell)
    for kind in ("EC2 Instance Rebalance Recommendation", "EC2 Spot Instance Interruption Warning"):
        told = {event["detail"]["instance-id"]: event["resources"] for event in found if event.get("detail-type") == kind}
        assert told == {instance: [f"arn:aws:ec2:{zone}:instance/{instance}"] for instance, zone in instances.items()}, kind
