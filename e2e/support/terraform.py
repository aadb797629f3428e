"""The stock Terraform with hashicorp/aws, from a mirror on this machine or from the registry.

Needs nothing but Python's own library: examples use it, too.
"""

import os
import shutil
import subprocess
from pathlib import Path

PROVIDER = "registry.terraform.io/hashicorp/aws"
# Where people put mirrors: Terraform's own implied places (CLI configuration, implied local mirrors), and /opt.
MIRRORS = (
    "/opt/tf-plugins",
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
)
# What is downloaded once need not be downloaded again: the provider is some hundred megabytes.
DOWNLOADS = "~/.cache/capstan/terraform-plugins"
WITHIN_SECS = 600


class Missing(Exception):
    """Terraform or its provider cannot be had here; the text says why."""


class TerraformError(AssertionError):
    """A command that failed; the text is its output."""


def _mirror():
    """The first directory that holds the provider, if there is one."""
    named = [os.environ["CAPSTAN_TERRAFORM_MIRROR"]] if "CAPSTAN_TERRAFORM_MIRROR" in os.environ else []
    places = (Path(place).expanduser() for place in (*named, *MIRRORS))
    return next((place for place in places if (place / PROVIDER).is_dir()), None)


class Terraform:
    """Terraform in a working directory, against one endpoint."""

    def __init__(self, directory, environment, echo=lambda _line: None):
        self.directory = Path(directory)
        self.echo = echo
        program = shutil.which("terraform")
        if program is None:
            raise Missing("there is no terraform on the PATH")
        self.program = program
        mirror = _mirror()
        config = self.directory / "terraform.rc"
        if mirror is None:
            downloads = Path(DOWNLOADS).expanduser()
            downloads.mkdir(parents=True, exist_ok=True)
            config.write_text(f'plugin_cache_dir = "{downloads}"\n')
            self.origin = "the registry"
        else:
            config.write_text(
                f'provider_installation {{\n  filesystem_mirror {{\n    path    = "{mirror}"\n'
                '    include = ["hashicorp/aws"]\n  }\n  direct {\n    exclude = ["hashicorp/aws"]\n  }\n}\n'
            )
            self.origin = str(mirror)
        self.environment = {
            **{name: value for name, value in environment.items() if not name.startswith("TF_")},
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    def init(self):
        """Installs the provider; `Missing` when it cannot be had."""
        try:
            self.run("init")
        except TerraformError as failed:
            if self.origin != "the registry":
                raise
            raise Missing(f"hashicorp/aws is in none of {', '.join(MIRRORS)} and cannot be downloaded: {failed}") from failed

    def run(self, command, *options, codes=(0,), **variables):
        """The exit code and what was printed; `variables` are the configuration's."""
        settings = [f"-var={name}={value}" for name, value in variables.items()]
        self.echo(" ".join(["terraform", command, *options, *settings]))
        done = subprocess.run(
            [self.program, command, "-no-color", *options, *settings],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WITHIN_SECS,
        )
        if done.returncode not in codes:
            raise TerraformError(f"terraform {command} ended with {done.returncode}:\n{done.stdout}")
        return done.returncode, done.stdout

    def apply(self, **variables):
        """What it printed."""
        return self.run("apply", "-auto-approve", **variables)[1]

    def changes(self, **variables):
        """The plan; empty when nothing would change."""
        code, printed = self.run("plan", "-detailed-exitcode", codes=(0, 2), **variables)
        return printed if code == 2 else ""

    def destroy(self, **variables):
        return self.run("destroy", "-auto-approve", **variables)[1]
