"""Calls as data: a table of steps is played against a server, and each step may use what earlier ones kept."""

import string
from dataclasses import dataclass, field

import jmespath
import pytest
from botocore.exceptions import ClientError

from support import operations
from support.model import problems


@dataclass
class Step:
    """One call that succeeds."""

    service: str
    operation: str
    arguments: dict = field(default_factory=dict)
    # Virtual seconds that pass before the call.
    after: int = 0
    # Names kept for later steps: JMESPath expressions over the answer.
    keep: dict = field(default_factory=dict)
    # JMESPath expressions over the answer, and what they must give ($names are filled in).
    expect: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.service}-{self.operation}"


class Player:
    """Plays steps on a server and checks each raw answer against the model."""

    def __init__(self, server, protocol=None):
        self.server = server
        self.protocol = protocol
        self.kept = {"account": server.account, "region": server.region}
        self.last = None
        self._clients = {}

    def client(self, service):
        if service not in self._clients:
            # The server is the judge of its input, not the client.
            client = self.server.boto(service, self.protocol, parameter_validation=False)
            client.meta.events.register("response-received.*.*", self._received)
            self._clients[service] = client
        return self._clients[service]

    def _received(self, response_dict, **_):
        self.last = response_dict

    def fill(self, value):
        """Fills in $names ($$ is a dollar); a value that is a name alone may be anything, lists included."""
        if isinstance(value, dict):
            return {name: self.fill(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        if isinstance(value, str) and "$" in value:
            if value.startswith("$") and value[1:] in self.kept:
                return self.kept[value[1:]]
            try:
                return string.Template(value).substitute(self.kept)
            except KeyError as missing:
                pytest.skip(f"no earlier step kept {missing}")
        return value

    def call(self, service, operation, arguments):
        self.last = None
        return getattr(self.client(service), operations.method(operation))(**self.fill(arguments))

    def play(self, step):
        if step.after:
            self.server.advance(seconds=step.after)
        answer = self.call(step.service, step.operation, step.arguments)
        client = self.client(step.service)
        operation = client.meta.service_model.operation_model(step.operation)
        protocol = client.meta.service_model.resolved_protocol
        wrong = problems(operation, protocol, self.last["body"])
        assert not wrong, "\n".join(wrong)
        # A part of an object is 206, whatever the model says.
        assert self.last["status_code"] in {operation.http.get("responseCode", 200), 206 if "ContentRange" in answer else 200}
        assert self.last["headers"]["x-amz-request-id" if protocol == "rest-xml" else "x-amzn-requestid"]
        for name, expression in step.keep.items():
            found = jmespath.search(expression, answer)
            assert found not in (None, [], ""), f"nothing to keep as {name}: {expression} in {answer}"
            self.kept[name] = found
        for expression, expected in step.expect.items():
            assert jmespath.search(expression, answer) == self.fill(expected), f"{expression} in {answer}"
        return answer

    def refused(self, service, operation, arguments):
        """The parsed and the raw answer to a call that must fail."""
        try:
            answer = self.call(service, operation, arguments)
        except ClientError as error:
            return error.response, self.last
        raise AssertionError(f"{operation} was not refused: {answer}")
