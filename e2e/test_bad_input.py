"""Whatever comes in, a proper error goes out: in the protocol's own form, never a hang, never a 500, never a dead server."""

import http.client
import json
import socket
from xml.etree import ElementTree

import pytest
from botocore.parsers import create_parser

from support.server import ANSWER_WITHIN_SECS
from support.steps import Player, Step

JSON11 = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
ECS = "AmazonEC2ContainerServiceV20141113"
CBOR = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor", "accept": "application/cbor"}
DEEP = 50_000


def signed(service):
    """What the stock clients send along; the signature itself is not checked."""
    scope = f"test/20261121/us-east-1/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


def send(server, service, body, headers=None, path="/", method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_WITHIN_SECS)
    try:
        body = body.encode() if isinstance(body, str) else body
        try:
            connection.request(method, path, body, {"authorization": signed(service), **(headers or {})})
        except (BrokenPipeError, ConnectionResetError):
            # Refused before all of it was sent; the answer is there all the same.
            pass
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def ecs(server, body, operation="DescribeClusters", **headers):
    return send(server, "ecs", body, {"content-type": JSON11, "x-amz-target": f"{ECS}.{operation}", **headers})


def form(server, service, body):
    return send(server, service, body, {"content-type": FORM})


def cbor(server, body, operation="ListMetrics"):
    return send(server, "monitoring", body, CBOR, f"/service/GraniteServiceVersion20100801/operation/{operation}")


def error_of(answer):
    """(status, code, message) of an answer in any of the forms."""
    status, headers, body = answer
    kind = headers.get("content-type", "").split(";")[0]
    assert headers.get("x-amzn-requestid") or headers.get("x-amz-request-id"), headers
    if kind == "application/cbor":
        parser = create_parser("smithy-rpc-v2-cbor")
        error = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))
        return status, error["__type"].rpartition("#")[2], error.get("message", error.get("Message"))
    if kind.startswith("application/x-amz-json") or kind == "application/json":
        error = json.loads(body)
        return status, error["__type"].rpartition("#")[2], error.get("message", error.get("Message"))
    assert kind in ("text/xml", "application/xml"), (kind, body)
    root = ElementTree.fromstring(body)
    found = next(element for element in root.iter() if element.tag.rpartition("}")[2] == "Error")
    texts = {child.tag.rpartition("}")[2]: child.text for child in found}
    return status, texts["Code"], texts["Message"]


@pytest.fixture(autouse=True)
def still_serving(server):
    yield
    assert server.healthy()
    assert server.boto("sts").get_caller_identity()["Account"] == server.account


@pytest.mark.parametrize(
    "body",
    [
        "", " ", "{", "}", "[]", "null", "7", '"text"', '{"clusters": ["a"', "{'clusters': []}", '{"clusters": [}', '{"a": 1,}',
        '{"clusters": "a"}', '{"clusters": [1]}', '{"clusters": {"a": "b"}}', '{"clusters": [null]}', '{"clusters": [["a"]]}',
        '{"include": [true]}', "\x00", "\ufeff{}", b"\xff\xfe{}", b'{"clusters": ["\xc3\x28"]}', '{"clusters": ["\\ud800"]}',
        '{"clusters": ["a"]} trailing', "{}{}", "NaN", '{"clusters": NaN}', "[" * DEEP, '{"a":' * DEEP, '{"clusters": ' + "[" * DEEP + "]" * DEEP + "}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_malformed_json(server, body):
    status, code, _ = error = error_of(ecs(server, body)) if not _fine(server, body) else (400, "fine", "")
    assert status == 400 and code in ("SerializationException", "InvalidParameterException", "ClientException", "fine"), error


def _fine(server, body):
    """Some bodies that look odd are read as empty requests, as AWS does: an answer of 200 in JSON is proper, too."""
    status, headers, answer = ecs(server, body)
    if status != 200:
        return False
    json.loads(answer)
    return True


@pytest.mark.parametrize(
    ("service", "body", "codes"),
    [
        ("ec2", "", ["MissingAction"]),
        ("ec2", "Action=", ["MissingAction"]),
        ("ec2", "Action=DescribeInstances", ["fine"]),
        ("ec2", "Action=DescribeInstances&Version=1999-01-01", None),
        ("ec2", "Action=DescribeInstances&InstanceId.x=i-1", None),
        ("ec2", "Action=DescribeInstances&InstanceId.99999999999999999999=i-1", None),
        ("ec2", "Action=DescribeInstances&InstanceId.4294967295=i-0123456789abcdef0", None),
        ("ec2", "Action=DescribeInstances&MaxResults=abc", None),
        ("ec2", "Action=DescribeInstances&MaxResults=-1", None),
        ("ec2", "Action=DescribeInstances&MaxResults=99999999999999999999999", None),
        ("ec2", "Action=DescribeInstances&Filter.1.Name=%ZZ", None),
        ("ec2", "Action=DescribeInstances&Filter.1.Name=%ff%fe", None),
        ("ec2", "Action=RunInstances&MinCount=-3&MaxCount=-1&ImageId=ami-1", None),
        ("ec2", "Action=RunInstances&MinCount=1&MaxCount=1&InstanceType=m5.large&UserData=not+base64!", None),
        ("ec2", "&&&===&Action=DescribeInstances&=", None),
        ("ec2", "Action=DescribeInstances&Action=DescribeVpcs", None),
        ("ec2", "Filter.1" * 5000, None),
        ("ec2", "Action=DescribeInstances&" + "Filter.1." * 5000 + "Name=x", None),
        ("autoscaling", "Action=CreateAutoScalingGroup&MinSize=1&MaxSize=-1&AutoScalingGroupName=x", ["ValidationError"]),
        ("autoscaling", "Action=SetDesiredCapacity&AutoScalingGroupName=x&DesiredCapacity=1e3", None),
        ("autoscaling", "Action=SetDesiredCapacity&AutoScalingGroupName=x&DesiredCapacity=2147483648", None),
        ("autoscaling", "Action=DescribeAutoScalingGroups&AutoScalingGroupNames.member.0=x", None),
        ("autoscaling", "Action=CreateAutoScalingGroup&AutoScalingGroupName=%00&MinSize=0&MaxSize=0", None),
        ("elasticloadbalancing", "Action=CreateTargetGroup&Version=2015-12-01&Name=x&Port=-1&Protocol=HTTP", ["ValidationError"]),
        ("elasticloadbalancing", "Action=CreateTargetGroup&Version=2015-12-01&Name=x&Port=1.5&Protocol=HTTP", None),
        ("monitoring", "Action=PutMetricData&Namespace=x&MetricData.member.1.MetricName=m&MetricData.member.1.Value=Infinity", None),
        ("monitoring", "Action=GetMetricStatistics&Namespace=x&MetricName=m&StartTime=yesterday&EndTime=now&Period=60", None),
        ("monitoring", "Action=GetMetricStatistics&Namespace=x&MetricName=m&StartTime=9999999-01-01T00:00:00Z&EndTime=-1&Period=60", None),
        ("sts", "Action=GetCallerIdentity&Unknown.Member.1=x", ["fine"]),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_malformed_forms(server, service, body, codes):
    answer = form(server, service, body)
    if answer[0] == 200:
        ElementTree.fromstring(answer[2])
        code = "fine"
    else:
        status, code, message = error_of(answer)
        assert status == 400 and code and message, (status, code, message)
    assert codes is None or code in codes, code


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"\xa1", b"\x5f", b"\xbf", b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff", b"\xa1\x69Namespace\x01", b"\xa1\x01\x02", b"\x80",
        b"\xa1\x69Namespace\x61\xff", b"\x81" * DEEP, b"\xc1" * DEEP, b"\xbf\x61\x61" * DEEP, b"\xa1\x69Namespace\xf9\x7e\x00", b"\xf6",
        b"{}", b"\xa1\x61a\xa1\x61a" * 1000, bytes(range(256)),
    ],
    ids=lambda body: body[:12].hex() or "empty",
)  # fmt: skip
def test_malformed_cbor(server, body):
    answer = cbor(server, body)
    if answer[0] == 200:
        assert answer[1]["content-type"] == "application/cbor"
        return
    status, code, _ = error_of(answer)
    assert status == 400 and code, (status, code)
    assert answer[1]["smithy-protocol"] == "rpc-v2-cbor"


@pytest.mark.parametrize("size", [10 * 1024 * 1024, 64 * 1024 * 1024])
@pytest.mark.parametrize("protocol", ["json", "form", "cbor"])
def test_large_bodies(server, protocol, size):
    """Refused or read, but answered."""
    if protocol == "json":
        answer = ecs(server, '{"clusters": ["' + "a" * size + '"]}')
    elif protocol == "form":
        answer = form(server, "ec2", "Action=DescribeInstances&Filter.1.Name=" + "a" * size)
    else:
        answer = cbor(server, b"\xa1\x69Namespace\x7a" + size.to_bytes(4) + b"a" * size)
    status, code, _ = error_of(answer)
    assert status in (400, 413) and code, (status, code)


@pytest.mark.parametrize(
    ("service", "headers", "path", "body", "status", "named"),
    [
        ("ecs", {"content-type": JSON11, "x-amz-target": f"{ECS}.ListServicesByNamespace"}, "/", "{}", 501, "ListServicesByNamespace"),
        ("ecs", {"content-type": JSON11, "x-amz-target": f"{ECS}.MakeTea"}, "/", "{}", 501, "MakeTea"),
        ("ecs", {"content-type": JSON11, "x-amz-target": "Nonsense"}, "/", "{}", None, ""),
        ("ecs", {"content-type": JSON11, "x-amz-target": ""}, "/", "{}", None, ""),
        ("ecs", {"content-type": JSON11, "x-amz-target": "."}, "/", "{}", None, ""),
        ("ecs", {"content-type": JSON11, "x-amz-target": f"{ECS}."}, "/", "{}", None, ""),
        ("ecs", {"content-type": JSON11}, "/", "{}", None, ""),
        ("lambda", {"content-type": "application/json"}, "/2015-03-31/functions/x/invocations", "", 501, "Invoke"),
        ("dynamodb", {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables"}, "/", "{}", 501, "dynamodb"),
        ("ec2", {"content-type": FORM}, "/", "Action=CreateVpnGateway&Version=2016-11-15", 501, "CreateVpnGateway"),
        ("autoscaling", {"content-type": FORM}, "/", "Action=StartInstanceRefresh&Version=2011-01-01", 501, "StartInstanceRefresh"),
        ("elasticloadbalancing", {"content-type": FORM}, "/", "Action=CreateTrustStore&Version=2015-12-01", 501, "CreateTrustStore"),
        ("monitoring", {"content-type": FORM}, "/", "Action=PutAnomalyDetector&Version=2010-08-01", 501, "PutAnomalyDetector"),
        ("monitoring", CBOR, "/service/GraniteServiceVersion20100801/operation/PutAnomalyDetector", b"\xa0", 501, "PutAnomalyDetector"),
        ("monitoring", CBOR, "/service/Nothing/operation/At", b"\xa0", 501, "At"),
        ("monitoring", CBOR, "/service//operation/", b"\xa0", None, ""),
        ("s3", {}, "/bucket/key?select&select-type=2", "", 501, "SelectObjectContent"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_not_there(server, service, headers, path, body, status, named):
    got, code, message = error_of(send(server, service, body, headers, path))
    assert named in message
    assert got == status if status else got in (400, 404, 501), (got, code, message)
    if status == 501:
        assert code == "NotImplemented"


def test_unknown_members(server):
    """JSON services pass over what they do not know, as AWS does."""
    status, _, body = ecs(server, '{"clusters": [], "weather": {"sun": [1, {"a": null}]}}')
    assert status == 200 and json.loads(body)["clusters"] == []


CONTAINER = {"name": "a", "image": "b", "memory": 16}


def depends(*pairs):
    """Containers that depend on each other: ("a", "b") is a on b."""
    names = sorted({name for pair in pairs for name in pair})
    return [
        {**CONTAINER, "name": name, "essential": name == names[0], "dependsOn": [{"containerName": on, "condition": "START"} for of, on in pairs if of == name]}
        for name in names
    ]


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": depends(("a", "a"))}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": depends(("a", "b"), ("b", "a"))}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": depends(("a", "b"), ("b", "c"), ("c", "a"))}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{**CONTAINER, "dependsOn": [{"containerName": "none", "condition": "START"}]}]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{**CONTAINER, "links": ["a"]}]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{**CONTAINER, "cpu": -1}]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{**CONTAINER, "memory": 2**31}]}, "SerializationException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "cpu": "-256", "containerDefinitions": [CONTAINER]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "memory": "9" * 40, "containerDefinitions": [CONTAINER]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{**CONTAINER, "portMappings": [{"containerPort": 70000}]}]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{**CONTAINER, "portMappings": [{"containerPort": -1}]}]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x\u202e", "containerDefinitions": [CONTAINER]}, "ClientException"),
        ("ecs", "RegisterTaskDefinition", {"family": "x" * 300, "containerDefinitions": [CONTAINER]}, "ClientException"),
        ("ecs", "CreateCluster", {"clusterName": "\U0001f980" * 10}, "InvalidParameterException"),
        ("ecs", "CreateCluster", {"clusterName": "a" * 256}, "InvalidParameterException"),
        ("ecs", "CreateCluster", {"clusterName": "a/b"}, "InvalidParameterException"),
        ("ecs", "CreateService", {"serviceName": "x", "taskDefinition": "ok", "desiredCount": -1}, "InvalidParameterException"),
        ("ecs", "CreateService", {"serviceName": "x", "taskDefinition": "ok", "desiredCount": 2**31}, "SerializationException"),
        ("ecs", "CreateService", {"serviceName": "x", "taskDefinition": "ok", "desiredCount": 1, "deploymentConfiguration": {"maximumPercent": -1}}, "InvalidParameterException"),
        ("ecs", "CreateService", {"serviceName": "x", "taskDefinition": "ok", "desiredCount": 1, "deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 100}}, "InvalidParameterException"),
        ("ecs", "RunTask", {"taskDefinition": "ok", "count": -1}, "InvalidParameterException"),
        ("ecs", "RunTask", {"taskDefinition": "ok", "count": 0}, "InvalidParameterException"),
        ("ecs", "RunTask", {"taskDefinition": "ok:0"}, "ClientException"),
        ("ecs", "RunTask", {"taskDefinition": "ok:99999999999999999999"}, "ClientException"),
        ("ecs", "RunTask", {"taskDefinition": "arn:aws:ecs:::"}, "ClientException"),
        ("ecs", "RunTask", {"taskDefinition": "ok", "placementConstraints": [{"type": "memberOf", "expression": "(" * 1900}]}, "InvalidParameterException"),
        ("ecs", "ListContainerInstances", {"filter": "not " * 500}, "InvalidParameterException"),
        ("ecs", "ListContainerInstances", {"filter": "attribute:a =~ (((((a*)*)*)*)*)*$$"}, None),
        ("ecs", "TagResource", {"resourceArn": "arn:aws:ecs:us-east-1:000000000000:cluster/default", "tags": [{"key": "", "value": "b"}]}, "InvalidParameterException"),
        ("ecs", "DescribeClusters", {"clusters": ["x"] * 101}, "InvalidParameterException"),
        ("ecs", "DescribeTasks", {"tasks": ["x"] * 101}, "InvalidParameterException"),
        ("autoscaling", "CreateAutoScalingGroup", {"AutoScalingGroupName": "x:y", "MinSize": 0, "MaxSize": 0, "LaunchTemplate": {"LaunchTemplateName": "ok!"}}, "ValidationError"),
        ("autoscaling", "SetDesiredCapacity", {"AutoScalingGroupName": "\u0000", "DesiredCapacity": 1}, "ValidationError"),
        ("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "x" * 129, "LaunchTemplateData": {"InstanceType": "m5.large"}}, None),
        ("elbv2", "CreateTargetGroup", {"Name": "x" * 33, "Protocol": "HTTP", "Port": 80}, "ValidationError"),
        ("elbv2", "CreateTargetGroup", {"Name": "x", "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-0", "HealthCheckIntervalSeconds": -30}, "ValidationError"),
        ("cloudwatch", "PutMetricAlarm", {"AlarmName": "x", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": -60, "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}, "ValidationError"),
        ("cloudwatch", "PutMetricAlarm", {"AlarmName": "x", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 2**30, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}, "ValidationError"),
        ("cloudwatch", "PutMetricData", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1e300}]}, None),
        ("ssm", "GetParameter", {"Name": "/" * 3000}, "ValidationException"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_values_that_make_no_sense(server, player, service, operation, arguments, code):
    """A code of None: any answer that is no failure of the server's own."""
    if code is None:
        try:
            player.call(service, operation, arguments)
        except player.client(service).exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, error
        return
    parsed, raw = player.refused(service, operation, arguments)
    assert (raw["status_code"], parsed["Error"]["Code"]) == (400, code), parsed["Error"]
    assert parsed["Error"]["Message"]


@pytest.fixture(scope="module")
def player(server):
    player = Player(server)
    player.play(Step("ecs", "CreateCluster", {}))
    player.play(Step("ecs", "RegisterTaskDefinition", {"family": "ok", "containerDefinitions": [CONTAINER]}))
    return player


HEAD = f"POST / HTTP/1.1\r\nhost: x\r\nauthorization: {signed('ecs')}\r\ncontent-type: {JSON11}\r\nx-amz-target: {ECS}.ListClusters\r\n"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        # What is no HTTP, or two requests in one: the connection is given up, with 400 or without a word.
        ("GARBAGE\r\n\r\n", "closed"),
        ("POST / HTTP/9.9\r\n\r\n", "closed"),
        (HEAD + "content-length: banana\r\n\r\n", 400),
        (HEAD + "content-length: -1\r\n\r\n", 400),
        (HEAD + "transfer-encoding: chunked\r\n\r\nZZ\r\n", "closed"),
        (HEAD + "content-length: 2\r\ncontent-length: 3\r\n\r\n{}", "closed"),
        (HEAD + "content-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd", 400),
        (HEAD + "content-encoding: brotli\r\ncontent-length: 2\r\n\r\n{}", None),
        (HEAD + "x: " + "a" * 200_000 + "\r\n\r\n", 431),
        (HEAD + "".join(f"h{n}: v\r\n" for n in range(2000)) + "content-length: 2\r\n\r\n{}", 431),
        # Broken off in the middle of the head, the body, a chunk.
        ("POST / HT", "closed"),
        (HEAD + "content-length: 100\r\n\r\n{", "closed"),
        (HEAD + "transfer-encoding: chunked\r\n\r\n5\r\n{", "closed"),
        ("", "closed"),
    ],
    ids=lambda value: repr(value[-30:]) if isinstance(value, str) else "",
)
def test_broken_http(server, raw, status):
    with socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_WITHIN_SECS) as connection:
        try:
            connection.sendall(raw.encode())
            if status == "closed":
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            # The server had enough before all of it was sent.
            pass
        received = b""
        try:
            # An answer that closes is read to its end; of one that stays open, the head is enough.
            while b"\r\n\r\n" not in received and (block := connection.recv(65536)):
                received += block
        except ConnectionResetError:
            pass
    first = received.split(b"\r\n", 1)[0].decode()
    assert " 500 " not in first
    if status == "closed":
        assert received == b"" or " 400 " in first or " 408 " in first, first
    elif status is not None:
        assert f" {status} " in first or (status == 431 and received == b""), first


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/_capstan/clock", "", 400),
        ("POST", "/_capstan/clock", "{", 400),
        ("POST", "/_capstan/clock", '{"advance_seconds": -1}', 400),
        ("POST", "/_capstan/clock", '{"advance_seconds": 1e300}', 400),
        ("POST", "/_capstan/clock", '{"advance_seconds": "10"}', 400),
        ("POST", "/_capstan/clock", '{"advance_seconds": 1' + "0" * 5000 + "}", 400),
        ("GET", "/_capstan/explain/none", "", 404),
        ("GET", "/_capstan/explain/%ff%00%zz", "", 404),
        ("GET", "/_capstan/none", "", 404),
        ("GET", "/_capstan/instances/", "", 404),
        ("GET", "/_capstan/instances/none/latest/meta-data/", "", 404),
        ("PUT", "/_capstan/instances/%ff%00/latest/api/token", "", 404),
        ("GET", "/_capstan/instances/i-00000000000000001/latest/user-data", "", 404),
        ("GET", "/_capstan/explain/" + "a" * 20_000, "", 404),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_own_pages(server, method, path, body, status):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_WITHIN_SECS)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert answer.status == status
        assert json.load(answer)["message"]
    finally:
        connection.close()
