"""Capstan's own commands and pages: env, clock, explain, coverage, health; and how a server ends."""

import re
import signal
import subprocess
from datetime import datetime

import pytest

from support import operations
from support.server import ANSWER_WITHIN_SECS, Server, binary
from support.shell import Shell
from support.workshop import SERVICE, SPOT_PROVIDER
from test_workshop_phases import CLUSTER, build


@pytest.fixture(scope="module")
def world(irish):
    build(irish)
    irish.advance(minutes=10)
    return irish


def capstan(server, *arguments):
    environment = {**server.environment(), "CAPSTAN_ENDPOINT": server.endpoint}
    return subprocess.run(
        [binary(), *arguments], env=environment, capture_output=True, text=True, timeout=ANSWER_WITHIN_SECS, check=False
    )


def test_env_points_a_shell_at_the_server(world):
    shell = Shell(world)
    for name in [name for name in shell.environment if name.startswith("AWS_")]:
        del shell.environment[name]
    shell.export(CAPSTAN=str(binary()), ENDPOINT=world.endpoint, AWS_EC2_METADATA_DISABLED="true")
    account = shell.run(
        'eval "$("$CAPSTAN" env --endpoint "$ENDPOINT" --region eu-west-1)"; aws sts get-caller-identity --query Account --output text'
    )
    assert account == "012345678910"


@pytest.mark.parametrize(("by", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("45", 45)])
def test_clock(world, by, seconds):
    before = datetime.fromisoformat(capstan(world, "clock").stdout.strip().replace("Z", "+00:00"))
    moved = capstan(world, "clock", "advance", by)
    assert moved.returncode == 0, moved.stderr
    after = datetime.fromisoformat(moved.stdout.strip().replace("Z", "+00:00"))
    assert (after - before).total_seconds() == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("by", ["", "10x", "-5m", "soon"])
def test_clock_refuses(world, by):
    refused = capstan(world, "clock", "advance", "--", by) if by.startswith("-") else capstan(world, "clock", "advance", by)
    assert refused.returncode != 0 and refused.stderr


def test_explain(world):
    task = world.boto("ecs").list_tasks(**CLUSTER, serviceName=SERVICE)["taskArns"][0]
    for subject in (SERVICE, SPOT_PROVIDER, "spot", task, task.rpartition("/")[2]):
        told = capstan(world, "explain", subject)
        assert told.returncode == 0 and told.stdout.strip(), (subject, told.stderr)
    unknown = capstan(world, "explain", "none")
    assert unknown.returncode != 0 and "none" in unknown.stderr


def test_a_waiting_task_tells_why(world):
    ecs = world.boto("ecs")
    ecs.register_task_definition(
        family="large", containerDefinitions=[{"name": "a", "image": "b", "memory": 500_000, "cpu": 64 * 1024}]
    )
    task = ecs.run_task(**CLUSTER, taskDefinition="large")["tasks"][0]
    assert task["lastStatus"] == "PROVISIONING"
    told = " ".join(world.page(f"/_capstan/explain/{task['taskArn'].rpartition('/')[2]}")["why"])
    assert re.search(r"memory|CPU|cpu", told), told


def test_coverage_lists_every_operation(world):
    page = world.page("/_capstan/coverage")
    services, types = page["services"], {row["type"] for row in page["resourceTypes"]}
    built = {(row["name"], name) for row in services for name in [*row["acts"], *(entry["operation"] for entry in row["inert"])]}
    assert built == set(operations.listed())
    # Every setting named is a member of an operation's input or of a shape, or a key of its attributes.
    for row in services:
        model = operations.model(row["name"])
        for entry in row["acceptedWithoutEffect"]:
            if entry["setting"].startswith("AWS::"):
                # A property of a resource type.
                assert entry["setting"].partition(".")[0] in types and entry["why"], entry
                continue
            name, _, path = entry["setting"].partition(".")
            shape = model.operation_model(name).input_shape if name in model.operation_names else model.shape_for(name)
            assert {path.partition(".")[0], "Attributes"} & set(shape.members) and entry["why"], entry
        assert {*row["absent"], *(name for service, name in built if service == row["name"])} == set(model.operation_names)
    shown = capstan(world, "coverage")
    assert shown.returncode == 0 and "ecs" in shown.stdout


def test_health_as_tools_ask_for_it(world):
    assert world.page("/_capstan/health")["account"] == "012345678910"
    assert world.page("/_localstack/health")["services"]["ecs"] == "running"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(tmp_path, how):
    server = Server(tmp_path).__enter__()
    assert server.healthy()
    server.process.send_signal(how)
    assert server.process.wait(timeout=ANSWER_WITHIN_SECS) == 0
    assert not server.healthy()


@pytest.mark.parametrize(
    "arguments",
    [["--clock", "sideways"], ["--runtime", "dream"], ["--region", "mars-north-1"], ["--account", "12"], ["--listen", "nowhere"], ["--spot-market", "no-such-file.csv"]],
    ids=lambda arguments: arguments[1],
)
def test_bad_arguments(arguments):
    done = subprocess.run([binary(), "serve", *arguments], capture_output=True, text=True, timeout=ANSWER_WITHIN_SECS)
    assert done.returncode != 0 and arguments[1] in done.stderr, done.stderr


def test_an_address_in_use(world):
    done = subprocess.run(
        [binary(), "serve", "--clock", "manual", "--listen", world.endpoint.removeprefix("http://")],
        capture_output=True, text=True, timeout=ANSWER_WITHIN_SECS,
    )  # fmt: skip
    assert done.returncode != 0 and str(world.port) in done.stderr, done.stderr
