"""Fixtures: servers with a manual clock, and the stock clients that talk to them.

The binary is `$CAPSTAN`, or what `cargo build` leaves in `target/debug`. Time is virtual throughout: tests move the clock
and never sleep.
"""

import pytest

from support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of this module's own: manual clock, virtual runtime, us-east-1."""
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def irish(tmp_path_factory):
    """A server that plays the region and the account of the workshop page."""
    directory = tmp_path_factory.mktemp("server")
    with Server(directory, region="eu-west-1", account="012345678910") as running:
        yield running
