"""SQS, over JSON; `test_sqs.py` speaks the query protocol of older clients too."""

from support.steps import Step

QUEUE = {"QueueUrl": "$queue_url"}
DEAD_ARN = "arn:aws:sqs:us-east-1:000000000000:conformance-dead"
REDRIVE = '{"deadLetterTargetArn":"' + DEAD_ARN + '","maxReceiveCount":"1"}'
OLD = "AWS.SimpleQueueService."

BUILD = [
    Step("sqs", "CreateQueue", {"QueueName": "conformance-dead"}, keep={"dead_url": "QueueUrl"}),
    Step(
        "sqs", "CreateQueue", {"QueueName": "conformance", "Attributes": {"VisibilityTimeout": "10", "RedrivePolicy": REDRIVE}, "tags": {"a": "b"}},
        keep={"queue_url": "QueueUrl"},
    ),
    Step("sqs", "CreateQueue", {"QueueName": "conformance-purged"}, keep={"purged_url": "QueueUrl"}),
    Step("sqs", "GetQueueUrl", {"QueueName": "conformance"}, expect={"QueueUrl": "$queue_url"}),
    Step("sqs", "ListQueues", {"QueueNamePrefix": "conformance"}, expect={"QueueUrls": ["$queue_url", "$dead_url", "$purged_url"]}),
    Step("sqs", "ListDeadLetterSourceQueues", {"QueueUrl": "$dead_url"}, expect={"queueUrls": ["$queue_url"]}),
    Step(
        "sqs", "SendMessage", {**QUEUE, "MessageBody": "one", "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "1"}}},
        expect={"MD5OfMessageBody": "f97c5d29941bfb1b2fdab0874906ab82"},
    ),
    Step(
        "sqs", "SendMessageBatch", {**QUEUE, "Entries": [{"Id": "a", "MessageBody": "two"}, {"Id": "b", "MessageBody": "three", "DelaySeconds": 5}]},
        expect={"Successful[].Id": ["a", "b"], "Failed": []},
    ),
    Step(
        "sqs", "ReceiveMessage", {**QUEUE, "MaxNumberOfMessages": 2, "MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]},
        keep={"receipt_one": "Messages[0].ReceiptHandle", "receipt_two": "Messages[1].ReceiptHandle"},
        expect={"Messages[].Body": ["one", "two"], "Messages[0].MessageAttributes.n.StringValue": "1", "Messages[0].Attributes.ApproximateReceiveCount": "1"},
    ),
    Step("sqs", "DeleteMessage", {**QUEUE, "ReceiptHandle": "$receipt_one"}),
    Step("sqs", "ChangeMessageVisibility", {**QUEUE, "ReceiptHandle": "$receipt_two", "VisibilityTimeout": 20}),
    Step("sqs", "ChangeMessageVisibilityBatch", {**QUEUE, "Entries": [{"Id": "a", "ReceiptHandle": "$receipt_two", "VisibilityTimeout": 0}]}, expect={"Successful[].Id": ["a"]}),
    # Received once already, so it goes to the dead-letter queue.
    Step("sqs", "ReceiveMessage", {**QUEUE, "WaitTimeSeconds": 0}, expect={"Messages": None}),
    Step("sqs", "ReceiveMessage", {"QueueUrl": "$dead_url", "AttributeNames": ["All"]}, keep={"receipt_dead": "Messages[0].ReceiptHandle"}, expect={"Messages[].Body": ["two"]}),
    Step("sqs", "DeleteMessageBatch", {"QueueUrl": "$dead_url", "Entries": [{"Id": "a", "ReceiptHandle": "$receipt_dead"}]}, expect={"Successful[].Id": ["a"]}),
    Step("sqs", "SetQueueAttributes", {**QUEUE, "Attributes": {"DelaySeconds": "1", "RedrivePolicy": ""}}),
    Step(
        "sqs", "GetQueueAttributes", {**QUEUE, "AttributeNames": ["All"]},
        expect={"Attributes.[DelaySeconds, ApproximateNumberOfMessagesDelayed, QueueArn, RedrivePolicy]": ["1", "1", "arn:aws:sqs:us-east-1:000000000000:conformance", None]},
    ),
    Step("sqs", "TagQueue", {**QUEUE, "Tags": {"c": "d"}}),
    Step("sqs", "UntagQueue", {**QUEUE, "TagKeys": ["a"]}),
    Step("sqs", "ListQueueTags", QUEUE, expect={"Tags": {"c": "d"}}),
    Step("sqs", "AddPermission", {**QUEUE, "Label": "l", "AWSAccountIds": ["123456789012"], "Actions": ["SendMessage"]}),
    Step("sqs", "RemovePermission", {**QUEUE, "Label": "l"}),
    Step("sqs", "PurgeQueue", {"QueueUrl": "$purged_url"}),
]

NONE = {"QueueUrl": "http://127.0.0.1/000000000000/none"}
NOWHERE = {"QueueUrl": "nonsense"}
ENTRY = {"Id": "a", "MessageBody": "x"}
RECEIPT = {"Id": "a", "ReceiptHandle": "x"}


def batch_errors(operation, entry):
    yield operation, {**QUEUE, "Entries": []}, OLD + "EmptyBatchRequest"
    yield operation, {**QUEUE, "Entries": [{**entry, "Id": str(n)} for n in range(11)]}, OLD + "TooManyEntriesInBatchRequest"
    yield operation, {**QUEUE, "Entries": [entry, entry]}, OLD + "BatchEntryIdsNotDistinct"
    yield operation, {**QUEUE, "Entries": [{**entry, "Id": "a b"}]}, OLD + "InvalidBatchEntryId"


# Every operation on a queue says so when there is none, and when the URL is none.
ON_A_QUEUE = {
    "SendMessage": {"MessageBody": "x"}, "SendMessageBatch": {"Entries": [ENTRY]}, "ReceiveMessage": {}, "DeleteMessage": {"ReceiptHandle": "x"},
    "DeleteMessageBatch": {"Entries": [RECEIPT]}, "ChangeMessageVisibility": {"ReceiptHandle": "x", "VisibilityTimeout": 1},
    "ChangeMessageVisibilityBatch": {"Entries": [RECEIPT]}, "DeleteQueue": {}, "PurgeQueue": {}, "GetQueueAttributes": {"AttributeNames": ["All"]},
    "SetQueueAttributes": {"Attributes": {"DelaySeconds": "1"}}, "ListDeadLetterSourceQueues": {}, "TagQueue": {"Tags": {"a": "b"}},
    "UntagQueue": {"TagKeys": ["a"]}, "ListQueueTags": {}, "AddPermission": {"Label": "x", "AWSAccountIds": ["123456789012"], "Actions": ["*"]},
    "RemovePermission": {"Label": "x"},
}  # fmt: skip

ERRORS = {
    "sqs": [
        *((operation, {**NONE, **rest}, OLD + "NonExistentQueue") for operation, rest in ON_A_QUEUE.items()),
        *((operation, {**NOWHERE, **rest}, "InvalidAddress") for operation, rest in ON_A_QUEUE.items()),
        *batch_errors("SendMessageBatch", ENTRY),
        *batch_errors("DeleteMessageBatch", RECEIPT),
        *batch_errors("ChangeMessageVisibilityBatch", RECEIPT),
        ("SendMessageBatch", {**QUEUE, "Entries": [{"Id": str(n), "MessageBody": "x" * 110_000} for n in range(10)]}, OLD + "BatchRequestTooLong"),
        ("CreateQueue", {"QueueName": "conformance", "Attributes": {"VisibilityTimeout": "11"}}, "QueueAlreadyExists"),
        ("CreateQueue", {"QueueName": "a.fifo"}, OLD + "UnsupportedOperation"),
        ("CreateQueue", {"QueueName": "a", "Attributes": {"Nonsense": "1"}}, "InvalidAttributeName"),
        ("CreateQueue", {"QueueName": "a", "Attributes": {"DelaySeconds": "901"}}, "InvalidAttributeValue"),
        ("SetQueueAttributes", {**QUEUE, "Attributes": {"QueueArn": "x"}}, "InvalidAttributeName"),
        ("SetQueueAttributes", {**QUEUE, "Attributes": {"DelaySeconds": "x"}}, "InvalidAttributeValue"),
        ("SetQueueAttributes", {**QUEUE, "Attributes": {"FifoQueue": "true"}}, OLD + "UnsupportedOperation"),
        ("GetQueueAttributes", {**QUEUE, "AttributeNames": ["Nonsense"]}, "InvalidAttributeName"),
        ("GetQueueUrl", {"QueueName": "none"}, OLD + "NonExistentQueue"),
        ("ListQueues", {"NextToken": "not ours"}, "InvalidParameterValue"),
        ("SendMessage", {**QUEUE, "MessageBody": "\x01"}, "InvalidMessageContents"),
        ("SendMessage", {**QUEUE}, "MissingParameter"),
        ("ReceiveMessage", {**QUEUE, "MaxNumberOfMessages": 11}, "InvalidParameterValue"),
        ("DeleteMessage", {**QUEUE, "ReceiptHandle": "nonsense"}, "ReceiptHandleIsInvalid"),
        ("ChangeMessageVisibility", {**QUEUE, "ReceiptHandle": "nonsense", "VisibilityTimeout": 1}, "ReceiptHandleIsInvalid"),
        ("ChangeMessageVisibility", {**QUEUE, "ReceiptHandle": "$receipt_one", "VisibilityTimeout": 1}, OLD + "MessageNotInflight"),
    ],
}

UNCAUSED = {
    "sqs": {
        "RequestThrottled": "queues that are full to the bound of memory: not reached here",
        "InvalidSecurity": "plain HTTP is how this server speaks",
        "OverLimit": "120,000 messages in flight",
        "InvalidIdFormat": "deprecated: ReceiptHandleIsInvalid took its place",
        "AWS.SimpleQueueService.QueueDeletedRecently": "queues are deleted after the errors: a unit test",
        "AWS.SimpleQueueService.PurgeQueueInProgress": "other services' cases let more than 60 seconds pass: a unit test",
        **{f"Kms{name}": "nothing is encrypted" for name in ("Disabled", "InvalidState", "NotFound", "OptInRequired", "Throttled", "AccessDenied", "InvalidKeyUsage")},
    }
}

CLEAN = [Step("sqs", "DeleteQueue", {"QueueUrl": f"${name}_url"}) for name in ("queue", "dead", "purged")]
