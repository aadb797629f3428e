"""CloudWatch Logs. Times are milliseconds; servers start at the time of the host's clock."""

import time

from support.steps import Step

NOW = int(time.time()) * 1000
GROUP = "/conformance/app"
NAMED = {"logGroupName": GROUP}
STREAM = {**NAMED, "logStreamName": "web/1"}
ARN = "arn:aws:logs:us-east-1:000000000000:log-group:/conformance/app"
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},'
    '"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}'
)
EVENTS = [
    {"timestamp": NOW - 2000, "message": "GET / 200"},
    {"timestamp": NOW - 1000, "message": "GET /x 404 ERROR"},
    {"timestamp": NOW, "message": '{"level":"error","status":500}'},
]

BUILD = [
    Step("logs", "CreateLogGroup", {**NAMED, "tags": {"a": "b"}}),
    Step("logs", "CreateLogGroup", {"logGroupName": "/conformance/other", "logGroupClass": "INFREQUENT_ACCESS"}),
    Step("logs", "CreateLogStream", STREAM),
    Step("logs", "CreateLogStream", {**NAMED, "logStreamName": "web/2"}),
    Step("logs", "PutLogEvents", {**STREAM, "logEvents": EVENTS}, expect={"rejectedLogEventsInfo": None}),
    Step(
        "logs", "PutLogEvents", {**STREAM, "logStreamName": "web/2", "logEvents": [{"timestamp": NOW - 16 * 86_400_000, "message": "old"}]},
        expect={"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}},
    ),
    Step(
        "logs", "GetLogEvents", {**STREAM, "startFromHead": True, "limit": 2}, keep={"log_token": "nextForwardToken"},
        expect={"events[].message": ["GET / 200", "GET /x 404 ERROR"]},
    ),
    Step("logs", "GetLogEvents", {**STREAM, "startFromHead": True, "nextToken": "$log_token"}, expect={"events[].timestamp": [NOW]}),
    Step("logs", "FilterLogEvents", {**NAMED, "filterPattern": "ERROR"}, expect={"events[].[logStreamName, message]": [["web/1", "GET /x 404 ERROR"]]}),
    Step("logs", "FilterLogEvents", {**NAMED, "filterPattern": "{ $$.status >= 500 }"}, expect={"events[].timestamp": [NOW]}),
    Step("logs", "FilterLogEvents", {**NAMED, "filterPattern": "[method, path, status = 4*, ...]"}, expect={"events[].timestamp": [NOW - 1000]}),
    Step("logs", "DescribeLogStreams", {**NAMED, "orderBy": "LastEventTime", "descending": True}, expect={"logStreams[].[logStreamName, lastEventTimestamp]": [["web/1", NOW], ["web/2", None]]}),
    Step("logs", "PutRetentionPolicy", {**NAMED, "retentionInDays": 7}),
    Step("logs", "DescribeLogGroups", {"logGroupNamePrefix": "/conformance/a"}, expect={"logGroups[].[logGroupName, retentionInDays, logGroupArn]": [[GROUP, 7, ARN]]}),
    Step("logs", "DeleteRetentionPolicy", NAMED),
    Step("logs", "ListLogGroups", {"logGroupNamePattern": "^/conf"}, expect={"logGroups[].logGroupName": [GROUP, "/conformance/other"]}),
    Step("logs", "TagResource", {"resourceArn": ARN, "tags": {"c": "d"}}),
    Step("logs", "UntagResource", {"resourceArn": ARN, "tagKeys": ["a"]}),
    Step("logs", "ListTagsForResource", {"resourceArn": ARN}, expect={"tags": {"c": "d"}}),
    Step("logs", "TagLogGroup", {**NAMED, "tags": {"e": "f"}}),
    Step("logs", "UntagLogGroup", {**NAMED, "tags": ["c"]}),
    Step("logs", "ListTagsLogGroup", NAMED, expect={"tags": {"e": "f"}}),
    Step("logs", "PutResourcePolicy", {"policyName": "conformance", "policyDocument": POLICY}, expect={"resourcePolicy.policyName": "conformance"}),
    Step("logs", "DescribeResourcePolicies", expect={"resourcePolicies[].policyDocument": [POLICY]}),
    Step("logs", "DeleteResourcePolicy", {"policyName": "conformance"}),
]

NONE = {"logGroupName": "none"}
BAD_ARN = "arn:aws:logs:us-east-1:000000000000:log-group:none"
LATE = {"logEvents": [{"timestamp": NOW, "message": "b"}, {"timestamp": NOW - 1, "message": "a"}]}

ERRORS = {
    "logs": [
        ("CreateLogGroup", NAMED, "ResourceAlreadyExistsException"),
        ("CreateLogGroup", {"logGroupName": "no spaces"}, "InvalidParameterException"),
        ("CreateLogStream", STREAM, "ResourceAlreadyExistsException"),
        ("CreateLogStream", {**NAMED, "logStreamName": "a:b"}, "InvalidParameterException"),
        ("CreateLogStream", {**NONE, "logStreamName": "a"}, "ResourceNotFoundException"),
        ("PutLogEvents", {**STREAM, **LATE}, "InvalidParameterException"),
        ("PutLogEvents", {**NAMED, "logStreamName": "none", "logEvents": EVENTS}, "ResourceNotFoundException"),
        ("GetLogEvents", {**NAMED, "logStreamName": "none"}, "ResourceNotFoundException"),
        ("GetLogEvents", {**STREAM, "nextToken": "not ours"}, "InvalidParameterException"),
        ("FilterLogEvents", NONE, "ResourceNotFoundException"),
        ("FilterLogEvents", {**NAMED, "filterPattern": "{ $$.a"}, "InvalidParameterException"),
        ("DescribeLogGroups", {"nextToken": "not ours"}, "InvalidParameterException"),
        ("DescribeLogStreams", NONE, "ResourceNotFoundException"),
        ("DescribeLogStreams", {**NAMED, "orderBy": "LastEventTime", "logStreamNamePrefix": "a"}, "InvalidParameterException"),
        ("ListLogGroups", {"nextToken": "not ours"}, "InvalidParameterException"),
        ("PutRetentionPolicy", {**NAMED, "retentionInDays": 2}, "InvalidParameterException"),
        ("PutRetentionPolicy", {**NONE, "retentionInDays": 1}, "ResourceNotFoundException"),
        ("DeleteRetentionPolicy", NONE, "ResourceNotFoundException"),
        ("DeleteRetentionPolicy", {"logGroupName": "no spaces"}, "InvalidParameterException"),
        ("TagResource", {"resourceArn": BAD_ARN, "tags": {"a": "b"}}, "ResourceNotFoundException"),
        ("TagResource", {"resourceArn": "nonsense", "tags": {"a": "b"}}, "InvalidParameterException"),
        ("TagResource", {"resourceArn": ARN, "tags": {f"k{n}": "v" for n in range(50)}}, "TooManyTagsException"),
        ("UntagResource", {"resourceArn": BAD_ARN, "tagKeys": ["a"]}, "ResourceNotFoundException"),
        ("UntagResource", {"resourceArn": "nonsense", "tagKeys": ["a"]}, "InvalidParameterException"),
        ("ListTagsForResource", {"resourceArn": BAD_ARN}, "ResourceNotFoundException"),
        ("ListTagsForResource", {"resourceArn": "nonsense"}, "InvalidParameterException"),
        ("TagLogGroup", {**NONE, "tags": {"a": "b"}}, "ResourceNotFoundException"),
        ("TagLogGroup", {**NAMED, "tags": {f"k{n}": "v" for n in range(50)}}, "InvalidParameterException"),
        ("UntagLogGroup", {**NONE, "tags": ["a"]}, "ResourceNotFoundException"),
        ("ListTagsLogGroup", NONE, "ResourceNotFoundException"),
        ("PutResourcePolicy", {"policyName": "p", "policyDocument": "{}"}, "InvalidParameterException"),
        ("PutResourcePolicy", {"resourceArn": BAD_ARN, "policyDocument": POLICY}, "ResourceNotFoundException"),
        ("DescribeResourcePolicies", {"nextToken": "not ours"}, "InvalidParameterException"),
        ("DeleteResourcePolicy", {}, "InvalidParameterException"),
        ("DeleteResourcePolicy", {"policyName": "none"}, "ResourceNotFoundException"),
        ("DeleteLogGroup", NONE, "ResourceNotFoundException"),
        ("DeleteLogGroup", {"logGroupName": "no spaces"}, "InvalidParameterException"),
        ("DeleteLogStream", {**NAMED, "logStreamName": "none"}, "ResourceNotFoundException"),
        ("DeleteLogStream", {**NAMED, "logStreamName": "a:b"}, "InvalidParameterException"),
    ],
}

UNCAUSED = {
    "logs": {
        "ServiceUnavailableException": "the server does not fail",
        "OperationAbortedException": "requests come one after the other",
        "LimitExceededException": "the eleventh resource policy: a unit test",
        "InvalidSequenceTokenException": "sequence tokens are ignored",
        "DataAlreadyAcceptedException": "sequence tokens are ignored",
        "UnrecognizedClientException": "signatures are not checked",
        "ValidationException": "deletion protection: a unit test",
    }
}

CLEAN = [
    Step("logs", "DeleteLogStream", {**NAMED, "logStreamName": "web/2"}),
    Step("logs", "DeleteLogGroup", NAMED),
    Step("logs", "DeleteLogGroup", {"logGroupName": "/conformance/other"}),
]
