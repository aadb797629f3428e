"""The stock CDK from bootstrap to destroy: the example, as users run it."""

import os
import subprocess

from support.server import ROOT, binary


def test_the_workshop_is_deployed_changed_and_destroyed():
    environment = {**os.environ, "CAPSTAN": str(binary())}
    script = ["bash", str(ROOT / "examples/cdk-workshop/run.sh")]
    done = subprocess.run(script, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert "every check passed" in done.stdout
