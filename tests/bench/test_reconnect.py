import subprocess
from collections.abc import Callable

import pytest

from bench import reconnect
from bench.ratios import Findings
from bench.reconnect import Size
from tests.house.tree import ROOT

TOOL = ROOT / "bench" / "storm"

pytestmark = pytest.mark.live


@pytest.mark.parametrize("case", [reconnect.many, reconnect.crowd, reconnect.ways])
def test_every_client_of_a_small_storm_is_served(case: Callable[[Size], Findings]) -> None:
    found = case(Size(clients=50, opening=16, rounds=1))
    assert found.failures == []
    assert all("50 of 50 served" in note for note in found.notes)


def test_connections_are_renewed_while_clients_wait_for_slow_facts() -> None:
    found = reconnect.slow(Size(clients=10, opening=0, rounds=1))
    assert found.failures == []
    assert "too late" in found.notes[-1]


def test_the_load_tool_is_formatted_and_passes_the_checks_of_its_language() -> None:
    assert subprocess.run(["gofmt", "-l", TOOL], capture_output=True, text=True, check=True).stdout == ""
    subprocess.run(["go", "vet", "./..."], cwd=TOOL, check=True, timeout=300)
