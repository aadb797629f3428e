# What a batch task does: takes up to ten messages from the queue, works on them for a while, deletes them, and so on until it
# is told to stop; then it finishes what it has begun. It calls SQS without a signature, which Capstan does not ask for: on
# AWS this would be boto3.
import json
import os
import signal
import time
import urllib.request

SECONDS_OF_WORK = 0.4

told_to_stop = False


def stop(*_):
    global told_to_stop
    told_to_stop = True


def sqs(operation, **request):
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"],
        data=json.dumps({"QueueUrl": os.environ["QUEUE_URL"], **request}).encode(),
        headers={"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


signal.signal(signal.SIGTERM, stop)
while not told_to_stop:
    messages = sqs("ReceiveMessage", MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages", [])
    if messages:
        time.sleep(SECONDS_OF_WORK)
        entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
        sqs("DeleteMessageBatch", Entries=entries)
        print(f"done with {len(messages)} messages")
