"""Logs, queues and the trail as the stock clients use them: the CLI, long polls, and the query protocol of older clients."""

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from xml.etree import ElementTree

import pytest

from support.server import Server
from support.shell import Shell


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A server whose time passes: long polls are held back there."""
    with Server(tmp_path_factory.mktemp("server"), clock="real") as running:
        yield running


@pytest.fixture(scope="module")
def shell(live):
    return Shell(live)


def put(shell, stream, *messages):
    now = int(time.time() * 1000)
    events = [{"timestamp": now + at, "message": message} for at, message in enumerate(messages)]
    shell.export(EVENTS=json.dumps(events))
    shell.run(f'aws logs put-log-events --log-group-name /e2e --log-stream-name {stream} --log-events "$EVENTS"')


def test_logs_with_the_cli(shell):
    shell.run("aws logs create-log-group --log-group-name /e2e")
    shell.run("aws logs create-log-stream --log-group-name /e2e --log-stream-name a")
    shell.run("aws logs create-log-stream --log-group-name /e2e --log-stream-name b")
    put(shell, "a", "one", '{"level":"error"}')
    put(shell, "b", "two ERROR")
    read = "aws logs filter-log-events --log-group-name /e2e --output text --query"
    assert shell.run(f"{read} 'events[].message' --filter-pattern ERROR") == "two ERROR"
    assert shell.run(f"{read} 'events[].logStreamName' --filter-pattern '{{ $.level = error }}'") == "a"
    # What the paginator makes of pages, and what a follower asks for again and again.
    assert shell.run(f"{read} 'length(events)' --page-size 1 --start-time 0").split() == ["1", "1", "1"]
    from_head = "aws logs get-log-events --log-group-name /e2e --log-stream-name a --start-from-head"
    first = shell.json(f"{from_head} --limit 1")
    second = shell.json(f"{from_head} --next-token {first['nextForwardToken']}")
    assert [event["message"] for event in second["events"]] == ['{"level":"error"}']
    end = shell.json(f"{from_head} --next-token {second['nextForwardToken']}")
    assert (end["events"], end["nextForwardToken"]) == ([], second["nextForwardToken"])
    put(shell, "a", "late")
    assert shell.json(f"{from_head} --next-token {end['nextForwardToken']}")["events"][0]["message"] == "late"


def test_queues_with_the_cli(shell):
    # Version 1 of the CLI has names of its own for SQS and minds no AWS_ENDPOINT_URL there.
    sqs = 'aws --endpoint-url "$AWS_ENDPOINT_URL" sqs'
    url = shell.run(f"{sqs} create-queue --queue-name cli --attributes VisibilityTimeout=5 --output text")
    shell.export(URL=url)
    # The CLI's own client verifies the digests.
    attributes = "n={DataType=Number,StringValue=1},b={DataType=Binary,BinaryValue=AAEC}"
    shell.run(f'{sqs} send-message --queue-url "$URL" --message-body "hello wörld" --message-attributes "{attributes}"')
    message = shell.json(f'{sqs} receive-message --queue-url "$URL" --message-attribute-names All --attribute-names All')["Messages"][0]
    assert (message["Body"], message["Attributes"]["ApproximateReceiveCount"]) == ("hello wörld", "1")
    shell.export(RECEIPT=message["ReceiptHandle"])
    shell.run(f'{sqs} delete-message --queue-url "$URL" --receipt-handle "$RECEIPT"')
    shown = shell.json(f'{sqs} get-queue-attributes --queue-url "$URL" --attribute-names All')["Attributes"]
    assert (shown["ApproximateNumberOfMessages"], shown["ApproximateNumberOfMessagesNotVisible"]) == ("0", "0")
    assert "AWS.SimpleQueueService.NonExistentQueue" in shell.refused(f"{sqs} get-queue-url --queue-name none")
    shell.run(f'{sqs} delete-queue --queue-url "$URL"')


def test_a_long_poll_is_answered_by_a_message(live):
    sqs = live.boto("sqs", None)
    url = sqs.create_queue(QueueName="polled")["QueueUrl"]
    found = []
    # As long as a poll may last: a message ends it, and a lost wake-up would show as an empty answer.
    receive = threading.Thread(target=lambda: found.append(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)))
    receive.start()
    sqs.send_message(QueueUrl=url, MessageBody="here")
    receive.join(timeout=60)
    assert [message["Body"] for message in found[0]["Messages"]] == ["here"]
    # A delayed message ends the poll when its delay is over.
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=1)
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]["Body"] == "late"
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)


def query(url, **parameters):
    """A form as older clients post it: the status, and the answer as XML without namespaces."""
    body = urllib.parse.urlencode({"Version": "2012-11-05", **parameters}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2] or element.tag
    return status, root


def test_the_query_protocol(live):
    status, made = query(live.endpoint, Action="CreateQueue", QueueName="older", **{"Attribute.1.Name": "DelaySeconds", "Attribute.1.Value": "0", "Tag.1.Key": "a", "Tag.1.Value": "b"})
    url = made.findtext("CreateQueueResult/QueueUrl")
    assert (status, url) == (200, f"{live.endpoint}/000000000000/older")
    attribute = {"MessageAttribute.1.Name": "n", "MessageAttribute.1.Value.DataType": "Number", "MessageAttribute.1.Value.StringValue": "1"}
    _, sent = query(url, Action="SendMessage", MessageBody="one", **attribute)
    assert sent.findtext("SendMessageResult/MD5OfMessageBody") == "f97c5d29941bfb1b2fdab0874906ab82"
    entries = {"SendMessageBatchRequestEntry.1.Id": "x", "SendMessageBatchRequestEntry.1.MessageBody": "two"}
    _, batch = query(live.endpoint, Action="SendMessageBatch", QueueUrl=url, **entries)
    assert batch.findtext("SendMessageBatchResult/SendMessageBatchResultEntry/Id") == "x"
    _, got = query(url, Action="ReceiveMessage", MaxNumberOfMessages="10", **{"AttributeName.1": "All", "MessageAttributeName.1": "All"})
    messages = got.findall("ReceiveMessageResult/Message")
    assert [message.findtext("Body") for message in messages] == ["one", "two"]
    assert messages[0].findtext("MessageAttribute/Value/StringValue") == "1"
    counts = {element.findtext("Name"): element.findtext("Value") for element in messages[0].findall("Attribute")}
    assert counts["ApproximateReceiveCount"] == "1"
    status, _ = query(url, Action="DeleteMessage", ReceiptHandle=messages[0].findtext("ReceiptHandle"))
    assert status == 200
    _, tags = query(url, Action="ListQueueTags")
    assert tags.findtext("ListQueueTagsResult/Tag/Key") == "a"
    status, refused = query(url + "-none", Action="PurgeQueue")
    assert (status, refused.findtext("Error/Code")) == (400, "AWS.SimpleQueueService.NonExistentQueue")


def test_lookups_with_the_cli(shell):
    shell.run("aws ecs create-cluster --cluster-name trailed")
    lookup = "aws cloudtrail lookup-events --lookup-attributes"
    event = shell.json(f"{lookup} AttributeKey=EventName,AttributeValue=CreateCluster")["Events"][0]
    record = json.loads(event["CloudTrailEvent"])
    assert (record["eventSource"], record["requestParameters"]) == ("ecs.amazonaws.com", {"clusterName": "trailed"})
    assert {"ResourceType": "AWS::ECS::Cluster", "ResourceName": "trailed"} in event["Resources"]
    found = shell.run(f"{lookup} AttributeKey=ResourceName,AttributeValue=trailed --query 'Events[].EventName' --output text")
    assert found.split() == ["CreateCluster"]
    # More than a page of them.
    for _ in range(3):
        shell.run("aws ecs list-clusters; aws ecs list-services --cluster trailed")
    pages = shell.run(f"{lookup} AttributeKey=ReadOnly,AttributeValue=true --page-size 2 --query 'Events[].EventName' --output text").split()
    assert pages.count("ListClusters") == pages.count("ListServices") == 3
