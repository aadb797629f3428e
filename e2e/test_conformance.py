"""Every operation answers as botocore's models say, and the modelled errors that a client can cause are caused."""

import pytest

from cases import accounts, application_autoscaling, autoscaling, cloudformation, cloudtrail, cloudwatch, ec2, ecr, ecs, elbv2, events, fis, iam, logs, network, records, s3, sqs
from cases.quotas import QUOTAS
from support import operations
from support.steps import Player

SERVICES = [iam, accounts, ec2, network, elbv2, autoscaling, cloudwatch, logs, s3, ecr, sqs, fis, records, ecs, application_autoscaling, events, cloudtrail, cloudformation]

BUILD = [step for service in SERVICES for step in service.BUILD]
CLEAN = [step for service in reversed(SERVICES) for step in service.CLEAN]
ERRORS = [(name, *row) for module in SERVICES for name, rows in module.ERRORS.items() for row in rows]


@pytest.fixture(scope="module")
def player(server):
    return Player(server)


@pytest.mark.parametrize("step", BUILD, ids=str)
def test_builds(player, step):
    player.play(step)


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"), ERRORS, ids=[f"{row[0]}-{row[1]}-{row[3]}" for row in ERRORS]
)
def test_refuses(player, service, operation, arguments, code):
    parsed, raw = player.refused(service, operation, arguments)
    assert parsed["Error"]["Code"] == code, parsed["Error"]
    assert parsed["Error"]["Message"]
    assert parsed["ResponseMetadata"]["RequestId"]
    modelled = operations.errors(service, operation)
    of_service = s3.STATUSES if service == "s3" else {}
    assert raw["status_code"] == of_service.get(code, modelled.get(code, 403 if code == "AccessDenied" else 400))


@pytest.mark.parametrize("step", CLEAN, ids=str)
def test_removes(player, step):
    player.play(step)


def test_every_operation_has_a_case():
    played = {(step.service, step.operation) for step in BUILD + CLEAN}
    assert set(operations.listed()) - played == set()


def test_every_modelled_error_is_caused_or_explained():
    caused = {(service, code) for service, _, _, code in ERRORS} | {(row[0], row[4]) for row in QUOTAS}
    explained = {(service, code) for module in SERVICES for service, reasons in module.UNCAUSED.items() for code in reasons}
    modelled = {(service, code) for service, operation in operations.listed() for code in operations.errors(service, operation)}
    assert modelled - caused - explained == set()
    assert caused & explained == set(), "explained, and yet caused"
