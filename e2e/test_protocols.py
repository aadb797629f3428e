"""CloudWatch over each of its protocols, by botocore's own serializers and parsers."""

import json
from xml.etree import ElementTree

import pytest
from botocore.parsers import create_parser

from cases import cloudwatch
from support.server import Server
from support.steps import Player

CONTENT_TYPES = {"query": "text/xml", "json": "application/x-amz-json-1.0", "smithy-rpc-v2-cbor": "application/cbor"}


@pytest.fixture(scope="module", params=CONTENT_TYPES)
def player(request, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield Player(server, request.param)


def test_the_table(player):
    """The conformance table's steps and errors, in one go."""
    assert player.client("cloudwatch").meta.service_model.resolved_protocol == player.protocol
    for step in cloudwatch.BUILD:
        player.play(step)
        assert player.last["headers"]["content-type"].split(";")[0] == CONTENT_TYPES[player.protocol]
    for operation, arguments, code in cloudwatch.ERRORS["cloudwatch"]:
        parsed, _ = player.refused("cloudwatch", operation, arguments)
        assert parsed["Error"]["Code"] == code, (operation, parsed)
    for step in cloudwatch.CLEAN:
        player.play(step)


def test_the_form_of_an_error(player):
    parsed, raw = player.refused("cloudwatch", "SetAlarmState", {"AlarmName": "none", "StateValue": "OK", "StateReason": "x"})
    assert parsed["Error"]["Code"] == "ResourceNotFound"
    assert raw["status_code"] == 404
    headers, body = raw["headers"], raw["body"]
    assert headers["content-type"].split(";")[0] == CONTENT_TYPES[player.protocol]
    assert parsed["ResponseMetadata"]["RequestId"] == headers["x-amzn-requestid"]
    if player.protocol == "query":
        namespace = "{http://monitoring.amazonaws.com/doc/2010-08-01/}"
        root = ElementTree.fromstring(body)
        assert root.tag == namespace + "ErrorResponse"
        assert [child.tag.removeprefix(namespace) for child in root] == ["Error", "RequestId"]
        error = {child.tag.removeprefix(namespace): child.text for child in root[0]}
        assert error["Type"] == "Sender" and error["Code"] == "ResourceNotFound" and error["Message"]
        return
    # Newer protocols name the shape; a header tells what the query protocol called it.
    assert headers["x-amzn-query-error"] == "ResourceNotFound;Sender"
    if player.protocol == "json":
        error = json.loads(body)
    else:
        assert headers["smithy-protocol"] == "rpc-v2-cbor"
        parser = create_parser(player.protocol)
        error = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))
    assert error["__type"].rpartition("#")[2] == "ResourceNotFound"
