"""CloudTrail. What it finds is what the cases of the other services have called."""

from datetime import datetime, timedelta, timezone

from support.steps import Step

NOW = datetime.now(timezone.utc)


def by(key, value):
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


BUILD = [
    Step(
        "cloudtrail", "LookupEvents", {**by("EventName", "CreateLogGroup"), "MaxResults": 1}, keep={"event_id": "Events[0].EventId", "trail_token": "NextToken"},
        expect={"Events[].[EventSource, ReadOnly, Username]": [["logs.amazonaws.com", "false", "root"]]},
    ),
    Step("cloudtrail", "LookupEvents", {**by("EventName", "CreateLogGroup"), "MaxResults": 1, "NextToken": "$trail_token"}, expect={"length(Events)": 1}),
    Step("cloudtrail", "LookupEvents", by("EventId", "$event_id"), expect={"Events[].EventId": ["$event_id"]}),
    Step("cloudtrail", "LookupEvents", {**by("EventSource", "sqs.amazonaws.com"), "MaxResults": 1}, expect={"Events[0].Resources[0].ResourceType": "AWS::SQS::Queue"}),
    Step("cloudtrail", "LookupEvents", {**by("ReadOnly", "false"), "StartTime": NOW - timedelta(days=2), "EndTime": NOW - timedelta(days=1)}, expect={"Events": []}),
    Step("cloudtrail", "LookupEvents", {"EventCategory": "insight"}, expect={"Events": []}),
]

ERRORS = {
    "cloudtrail": [
        ("LookupEvents", {"MaxResults": 51}, "InvalidMaxResultsException"),
        ("LookupEvents", {"NextToken": "not ours"}, "InvalidNextTokenException"),
        ("LookupEvents", {**by("EventName", "x"), "NextToken": "$trail_token"}, "InvalidNextTokenException"),
        ("LookupEvents", {"StartTime": NOW, "EndTime": NOW - timedelta(days=1)}, "InvalidTimeRangeException"),
        ("LookupEvents", by("Nonsense", "x"), "InvalidLookupAttributesException"),
        ("LookupEvents", {"EventCategory": "x"}, "InvalidEventCategoryException"),
    ],
}

UNCAUSED = {
    "cloudtrail": {
        "UnsupportedOperationException": "LookupEvents is supported",
        "OperationNotPermittedException": "there are no organizations",
    }
}

CLEAN = []
