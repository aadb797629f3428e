"""What fits a quota succeeds, and one more is refused with the quota's own error."""

import pytest

from cases.quotas import BUILD, QUOTAS
from support.steps import Player


@pytest.fixture(scope="module")
def player(server):
    player = Player(server)
    for step in BUILD:
        player.play(step)
    return player


@pytest.mark.parametrize(("service", "operation", "arguments", "quota", "code"), QUOTAS, ids=[row[1] for row in QUOTAS])
def test_one_more_is_refused(player, service, operation, arguments, quota, code):
    for n in range(quota):
        player.call(service, operation, arguments(n))
    parsed, _ = player.refused(service, operation, arguments(quota))
    assert parsed["Error"]["Code"] == code, parsed["Error"]
