"""The stock Terraform with hashicorp/aws: the strategies example, and what people write otherwise.

Terraform mostly waits (the provider itself lets 25 seconds pass after it has created a queue), so all runs go at once, each
against a server of its own whose clock is sixty times faster. Skipped where Terraform or the provider cannot be had.
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.server import ROOT, Server, binary
from support.terraform import Missing, Terraform

CASES = ("capacity", "identity", "network", "observability", "scaling", "services")
# More at once would only make each other wait for the processor.
AT_ONCE = 4
EXAMPLE_WITHIN_SECS = 900
SKIPPED = 77


def play_example():
    """Exit code and output of the example's script."""
    done = subprocess.run(
        ["bash", ROOT / "examples" / "terraform-strategies" / "run.sh"],
        env={**os.environ, "CAPSTAN": str(binary())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=EXAMPLE_WITHIN_SECS,
    )
    return done.returncode, done.stdout


def play_case(name, directory):
    """Applies a case, changes and destroys it: what was not as it should be."""
    shutil.copytree(ROOT / "e2e" / "terraform" / name, directory, dirs_exist_ok=True)
    wrong = []
    with Server(directory, clock="x60") as server:
        terraform = Terraform(directory, server.environment())
        terraform.init()
        before = server.page("/_capstan/state")
        for step in (1, 2):
            terraform.apply(step=step)
            changes = terraform.changes(step=step)
            if changes:
                wrong.append(f"the plan after step {step} is not empty:\n{changes}")
        terraform.destroy(step=2)
        after = server.page("/_capstan/state")
        left = {kind: sorted(set(names) - set(before.get(kind, []))) for kind, names in after.items()}
        wrong += [f"{kind} are left: {names}" for kind, names in left.items() if names]
    return wrong


@pytest.fixture(scope="module")
def plays(tmp_path_factory):
    """All runs, as futures by name."""
    try:
        Terraform(tmp_path_factory.mktemp("probe"), {})
    except Missing as missing:
        pytest.skip(str(missing))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The longest first.
        plays = {"example": pool.submit(play_example)}
        plays.update({name: pool.submit(play_case, name, tmp_path_factory.mktemp(name)) for name in CASES})
        yield plays


def test_the_strategies_example(plays):
    code, printed = plays["example"].result()
    if code == SKIPPED:
        pytest.skip(printed.splitlines()[-1])
    assert code == 0, printed


@pytest.mark.parametrize("name", CASES)
def test_apply_change_and_destroy(plays, name):
    """After each apply the plan is empty, and after destroy nothing is left."""
    try:
        wrong = plays[name].result()
    except Missing as missing:
        pytest.skip(str(missing))
    assert not wrong, "\n".join(wrong)
