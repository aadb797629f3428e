"""The stock AWS CLI, typed into a real shell."""

import json
import subprocess

from support.server import ANSWER_WITHIN_SECS


class CliError(AssertionError):
    """A command that the CLI ended with an error."""


class Shell:
    """A shell with the exports of `capstan env`; variables exported stay for the commands that follow."""

    def __init__(self, server):
        self.environment = server.environment()
        self.directory = server.directory

    def export(self, **variables):
        self.environment.update(variables)

    def _run(self, script):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=self.environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=ANSWER_WITHIN_SECS,
        )

    def run(self, script):
        """What the script prints; an error if it fails."""
        done = self._run(script)
        if done.returncode != 0:
            raise CliError(f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def json(self, script):
        return json.loads(self.run(script) or "null")

    def refused(self, script):
        """The error that the CLI prints."""
        done = self._run(script)
        assert done.returncode != 0, f"was not refused: {script}\n{done.stdout}"
        return done.stderr.strip()
