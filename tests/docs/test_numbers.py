"""Numbers that the pages name, as they stand in the code."""

import inspect

import pytest

from proxy.cli import server
from proxy.edge import failures, ops
from proxy.facts import batch, cache, database, lane, postgres, rows
from proxy.gate import ROUNDS
from proxy.gateway import api, keys
from proxy.grants.grace import Grace
from proxy.hooks import leases
from proxy.policy import functions, meter, patterns
from proxy.policy.checking import declare
from proxy.settings import SHORTEST
from proxy.tokens import issue
from tests.docs import pages

WORDS = {2: "two", 4: "four"}

SAID = [
    ("architecture", f"`Retry-After: {failures.LATER['retry-after']}`"),
    ("architecture", f"asks again, at most {WORDS[ROUNDS]} times"),
    ("facts", f"up to {rows.MAX_ROWS} rows"),
    ("facts", f"cut by up to {cache.JITTER:.0%}".replace("%", " %")),
    ("facts", f"while {WORDS[batch.FLIGHTS]} queries run"),
    ("facts", f"asked every {postgres.HEARTBEAT_SECONDS:g} seconds"),
    ("operations", f"After {lane.FAILURES} failures in a row"),
    ("operations", f"at most {lane.SHARE} of the {lane.WIDTH} loads"),
    ("operations", f"{lane.WAITING} of a fact may wait"),
    ("operations", f"opened again after at most {postgres.BACKOFF_SECONDS[1]:g} seconds"),
    ("operations", f"up to {lane.WIDTH + 1} connections"),
    ("operations", f"at most {WORDS[ROUNDS]} rounds"),
    ("operations", f"SIGTERM lets calls in work end, for {server.DRAIN_S} seconds"),
    ("operations", f"keeps idle connections for {server.KEEP_ALIVE_S} seconds"),
    ("operations", f"for {ops.PATIENCE_S:g} seconds at most"),
    ("operations", f"no answer within {database.PING_SECONDS:g} s"),
    ("operations", f"at least {SHORTEST} bytes"),
    ("operations", f"at least {keys.SHORTEST} characters"),
    ("operations", f"prolonged by {leases.MOMENT_S} seconds"),
    ("operations", f"asked again after {leases.DEFAULT_S} seconds"),
    ("operations", f"kept for {inspect.signature(Grace).parameters['size'].default:,} of them"),
    ("policy", f"1 to {patterns.LONGEST} characters"),
    ("policy", f"runs over {functions.ELEMENTS} elements at most"),
    ("policy", f"a decision has {meter.STEPS:,} steps"),
    ("policy", f"| {declare.TIMEOUT_MS} ms hold |"),
    ("publishing", f"at least {keys.SHORTEST} printable characters"),
    ("publishing", f"{api.DECISIONS:,} channels in all"),
    ("tokens", f"Up to {issue.MAX_CHANNELS} channels"),
]


@pytest.mark.parametrize(("name", "words"), SAID)
def test_a_number_is_that_of_the_code(name: str, words: str) -> None:
    assert words in " ".join(pages.page(name).split())
