"""EventBridge: buses, rules, targets, patterns."""

from support.steps import Step

BUILD = [
    Step("events", "DescribeEventBus", {}, expect={"Name": "default", "ends_with(Arn, ':event-bus/default')": True}),
    Step("events", "ListEventBuses", {"NamePrefix": "def"}, expect={"EventBuses[].Name": ["default"]}),
]

ERRORS = {
    "events": [
        ("DescribeEventBus", {"Name": "no-such"}, "ResourceNotFoundException"),
    ],
}

CLEAN = []

UNCAUSED = {
    "events": {
        "InternalException": "nothing fails inside",
    },
}
