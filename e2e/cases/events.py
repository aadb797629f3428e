"""EventBridge: buses, rules, targets, patterns."""

import json

from support.steps import Step

PATTERN = json.dumps({"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]})
GROUP = "arn:aws:logs:$region:$account:log-group:/aws/events/conformance"
RULE = "arn:aws:events:$region:$account:rule/conformance"
WARNING = json.dumps({
    "version": "0", "id": "1", "detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2", "account": "000000000000",
    "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": ["arn:aws:ec2:us-east-1a:instance/i-1"],
    "detail": {"instance-id": "i-1", "instance-action": "terminate"},
})
ENTRY = {"Source": "conformance", "DetailType": "test", "Detail": json.dumps({"a": 1})}
TAGS = [{"Key": "a", "Value": "b"}]

BUILD = [
    Step("events", "DescribeEventBus", {}, expect={"Name": "default", "ends_with(Arn, ':event-bus/default')": True}),
    Step("events", "ListEventBuses", {"NamePrefix": "def"}, expect={"EventBuses[].Name": ["default"]}),
    Step("events", "CreateEventBus", {"Name": "conformance", "Description": "ours", "Tags": TAGS}, keep={"bus": "EventBusArn"}),
    Step("events", "UpdateEventBus", {"Name": "conformance", "Description": "changed"}, expect={"Description": "changed"}),
    Step("events", "PutRule", {"Name": "conformance", "EventPattern": PATTERN, "Tags": TAGS}, expect={"ends_with(RuleArn, ':rule/conformance')": True}),
    Step("events", "PutRule", {"Name": "scheduled", "ScheduleExpression": "rate(5 minutes)", "State": "DISABLED"}),
    Step("events", "PutRule", {"Name": "own", "EventBusName": "conformance", "EventPattern": PATTERN},
         expect={"ends_with(RuleArn, ':rule/conformance/own')": True}),
    Step("events", "DescribeRule", {"Name": "conformance"}, expect={"EventPattern": PATTERN, "State": "ENABLED", "EventBusName": "default"}),
    Step("events", "DisableRule", {"Name": "conformance"}),
    Step("events", "EnableRule", {"Name": "conformance"}),
    Step("events", "ListRules", {}, expect={"Rules[?ManagedBy==null].[Name, State]": [["conformance", "ENABLED"], ["scheduled", "DISABLED"]]}),
    Step("events", "PutTargets", {"Rule": "conformance", "Targets": [
        {"Id": "log", "Arn": GROUP},
        {"Id": "text", "Arn": GROUP, "InputTransformer": {
            "InputPathsMap": {"id": "$$.detail.instance-id", "time": "$$.time"},
            "InputTemplate": '{"timestamp":<time>,"message":"<id> goes"}'}},
    ]}, expect={"FailedEntryCount": 0}),
    Step("events", "ListTargetsByRule", {"Rule": "conformance"}, expect={"Targets[].Id": ["log", "text"]}),
    Step("events", "ListRuleNamesByTarget", {"TargetArn": GROUP}, expect={"RuleNames": ["conformance"]}),
    Step("events", "TestEventPattern", {"EventPattern": PATTERN, "Event": WARNING}, expect={"Result": True}),
    Step("events", "TestEventPattern", {"EventPattern": json.dumps({"detail": {"instance-action": [{"prefix": "st"}]}}), "Event": WARNING},
         expect={"Result": False}),
    Step("events", "PutEvents", {"Entries": [ENTRY, {**ENTRY, "Source": "aws.ec2"}, {**ENTRY, "EventBusName": "conformance"}]},
         expect={"FailedEntryCount": 1, "Entries[].ErrorCode": ["NotAuthorizedForSourceException"]}),
    Step("events", "TagResource", {"ResourceARN": RULE, "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("events", "UntagResource", {"ResourceARN": RULE, "TagKeys": ["a"]}),
    Step("events", "ListTagsForResource", {"ResourceARN": RULE}, expect={"Tags": [{"Key": "c", "Value": "d"}]}),
]

ERRORS = {
    "events": [
        ("DescribeEventBus", {"Name": "no-such"}, "ResourceNotFoundException"),
        ("UpdateEventBus", {"Name": "no-such"}, "ResourceNotFoundException"),
        ("CreateEventBus", {"Name": "conformance"}, "ResourceAlreadyExistsException"),
        ("CreateEventBus", {"Name": "a/b"}, "ValidationException"),
        ("CreateEventBus", {"Name": "aws.partner/a/b", "EventSourceName": "aws.partner/a/b"}, "ResourceNotFoundException"),
        ("DeleteEventBus", {"Name": "default"}, "ValidationException"),
        ("DeleteEventBus", {"Name": "conformance"}, "ValidationException"),
        ("PutRule", {"Name": "none"}, "ValidationException"),
        ("PutRule", {"Name": "none", "EventPattern": "{"}, "InvalidEventPatternException"),
        ("PutRule", {"Name": "none", "EventPattern": '{"source":"aws.ec2"}'}, "InvalidEventPatternException"),
        ("PutRule", {"Name": "none", "ScheduleExpression": "rate(1 minutes)"}, "ValidationException"),
        ("PutRule", {"Name": "none", "EventBusName": "conformance", "ScheduleExpression": "rate(1 minute)"}, "ValidationException"),
        ("PutRule", {"Name": "none", "EventBusName": "no-such", "EventPattern": PATTERN}, "ResourceNotFoundException"),
        ("DescribeRule", {"Name": "no-such"}, "ResourceNotFoundException"),
        ("EnableRule", {"Name": "no-such"}, "ResourceNotFoundException"),
        ("DisableRule", {"Name": "no-such"}, "ResourceNotFoundException"),
        ("DeleteRule", {"Name": "conformance"}, "ValidationException"),
        # ECS made this one when a provider with managed draining joined a cluster.
        ("DisableRule", {"Name": "ecs-managed-draining"}, "ManagedRuleException"),
        ("PutRule", {"Name": "ecs-managed-draining", "EventPattern": PATTERN}, "ManagedRuleException"),
        ("DeleteRule", {"Name": "ecs-managed-draining"}, "ManagedRuleException"),
        ("ListRules", {"EventBusName": "no-such"}, "ResourceNotFoundException"),
        ("ListRules", {"NextToken": "not ours"}, "ValidationException"),
        ("PutTargets", {"Rule": "no-such", "Targets": [{"Id": "a", "Arn": GROUP}]}, "ResourceNotFoundException"),
        ("PutTargets", {"Rule": "conformance", "Targets": [{"Id": "a", "Arn": "nonsense"}]}, "ValidationException"),
        ("PutTargets", {"Rule": "conformance", "Targets": [{"Id": "a", "Arn": GROUP, "Input": "{"}]}, "ValidationException"),
        ("PutTargets", {"Rule": "conformance", "Targets": [{"Id": "a", "Arn": "arn:aws:ecs:$region:$account:cluster/c"}]}, "ValidationException"),
        ("PutTargets", {"Rule": "conformance", "Targets": [{"Id": f"t{n}", "Arn": GROUP} for n in range(6)]}, "LimitExceededException"),
        ("RemoveTargets", {"Rule": "no-such", "Ids": ["a"]}, "ResourceNotFoundException"),
        ("ListTargetsByRule", {"Rule": "no-such"}, "ResourceNotFoundException"),
        ("ListRuleNamesByTarget", {"TargetArn": GROUP, "EventBusName": "no-such"}, "ResourceNotFoundException"),
        ("TestEventPattern", {"EventPattern": "{}", "Event": WARNING}, "InvalidEventPatternException"),
        ("TestEventPattern", {"EventPattern": PATTERN, "Event": "{}"}, "ValidationException"),
        ("TagResource", {"ResourceARN": RULE + "s", "Tags": TAGS}, "ResourceNotFoundException"),
        ("TagResource", {"ResourceARN": RULE, "Tags": [{"Key": "aws:x", "Value": "y"}]}, "ValidationException"),
        ("UntagResource", {"ResourceARN": RULE + "s", "TagKeys": ["a"]}, "ResourceNotFoundException"),
        ("ListTagsForResource", {"ResourceARN": "nonsense"}, "ValidationException"),
        ("ListTagsForResource", {"ResourceARN": RULE + "s"}, "ResourceNotFoundException"),
    ],
}

CLEAN = [
    Step("events", "RemoveTargets", {"Rule": "conformance", "Ids": ["log", "text"]}, expect={"FailedEntryCount": 0}),
    Step("events", "DeleteRule", {"Name": "conformance"}),
    Step("events", "DeleteRule", {"Name": "scheduled"}),
    Step("events", "DeleteRule", {"Name": "own", "EventBusName": "conformance"}),
    Step("events", "DeleteEventBus", {"Name": "conformance"}),
]

UNCAUSED = {
    "events": {
        "ConcurrentModificationException": "requests come one after the other",
        "InternalException": "the server does not fail",
        "InvalidStateException": "there are no partner event sources",
        "OperationDisabledException": "there is no other account that could share a bus",
    },
}
