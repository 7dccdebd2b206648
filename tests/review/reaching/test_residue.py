"""What remains of conditions means what the conditions mean, for every request that has the known parts."""

from collections.abc import Mapping
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.decision import FactKey, Lost, Request
from proxy.policy.decision import Known as Loaded
from proxy.review.comparing.course import Unit
from proxy.review.reaching.notation import TRUE
from proxy.review.reaching.survey import Known, Nothing, Survey
from tests.review.reaching.asking import decided, named, remaining
from tests.trust.expressions import TYPES, UNTYPED
from tests.trust.test_properties import block, conditions, policy, quick, some, worlds

NAMES = ("op", "user", "channel", "meta", "data", "client", "transport", "timestamp_ms")
Read = Loaded | Lost


class Whole:
    """Facts of which none must be loaded: what is not said is lost."""

    def __init__(self, said: Mapping[FactKey, Read]) -> None:
        self._said = said

    def get(self, key: FactKey, /) -> Read:
        return self._said.get(key, Lost(why="not said"))


World = tuple[str, dict[str, object], Whole]
wholes = worlds.map(lambda world: (world[0], world[1], Whole(world[2])))
knowing = st.sets(st.sampled_from(NAMES)).map(frozenset)


def request(op: str, values: Mapping[str, object]) -> Request:
    meta, data = {name: values[name] for name in TYPES}, {name: values[name] for name in UNTYPED}
    return Request(op=op, user="u", channel="c:1", meta=meta, data=data, timestamp_ms=5)


@settings(quick, max_examples=60)
@given(some, st.lists(conditions, min_size=1, max_size=3), wholes, st.lists(wholes, max_size=4), knowing, st.sampled_from(["said", "open"]))
def test_what_remains_decides_as_the_policy_does(
    denies: list[str], rules: list[str], world: World, others: list[World], names: frozenset[str], facts: Literal["said", "open"]
) -> None:
    by = policy(block(denies, rules))
    pattern, plans = by.decider.plans.channels[0]
    op, values, said = world
    unit = Unit(plan=plans[op], pattern=pattern)
    known = Known(request=request(op, values), names=names, facts=said if facts == "said" else Nothing())
    reach = Survey(by, {}).reach(unit, known)
    plan = remaining(unit, reach)
    for _, other, loaded in (world, *others):
        # What is known is the same in every request.
        kept = {name: values[name] for name in (*(TYPES if "meta" in names else ()), *(UNTYPED if "data" in names else ()))}
        asked, read = request(op, {**other, **kept}), said if facts == "said" else loaded
        expected = named(by.decide(asked, read))
        assert named(decided(by, plan, reach.lets, asked, read)) == expected
        assert expected or reach.bans or not any(way.when == TRUE for way in reach.ways)
        assert not expected or reach.ways
