"""The gate: facts are loaded when asked for, limits are taken last, every decision is seen."""

import asyncio
from collections.abc import Collection, Mapping

from proxy.errors import StoreFault
from proxy.gate import BLOCKED, ROUNDS, Gate
from proxy.policy.decision import Allow, Deny, FactKey, Known, Limit, Lost, Request
from tests.policy.policies import ACCOUNT, policy

ANN: FactKey = ("account", "ann")
MEMBER = {"roles": ["member"], "suspended": False, "boss": None}


class Source:
    """Facts that are loaded on demand and kept."""

    def __init__(self, values: Mapping[FactKey, Known | Lost]) -> None:
        self.values, self.kept = dict(values), dict[FactKey, Known | Lost]()
        self.loads: list[set[FactKey]] = []

    def get(self, key: FactKey, /) -> Known | Lost | None:
        return self.kept.get(key)

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        self.loads.append(set(keys))
        return {key: self.values[key] for key in keys if key in self.values}


class Tokens:
    def __init__(self, count: int) -> None:
        self.count = count

    def take(self, limit: Limit) -> bool:
        assert limit.rule
        self.count -= 1
        return self.count >= 0


def subscribe(user: str = "ann") -> Request:
    return Request(op="subscribe", user=user, channel="c")


RULES = policy(
    f"{ACCOUNT}let me = account(user);\ndeny unknown when me == null;\n"
    'channel "c" { allow subscribe when "member" in me.roles limit 1/1s; }'
)


async def test_a_missing_fact_is_loaded_and_the_request_decided() -> None:
    source = Source({ANN: Known(value=MEMBER)})
    found = await Gate(policy=RULES, source=source, limits=Tokens(1)).decide(subscribe())
    assert isinstance(found, Allow)
    assert source.loads == [{ANN}]
    assert found.facts == {ANN: Known(value=MEMBER)}


async def test_a_fact_at_hand_is_not_loaded() -> None:
    source = Source({})
    source.kept[ANN] = Known(value=MEMBER)
    assert isinstance(await Gate(policy=RULES, source=source, limits=Tokens(1)).decide(subscribe()), Allow)
    assert source.loads == []


async def test_a_fact_that_does_not_come_is_lost() -> None:
    found = await Gate(policy=RULES, source=Source({}), limits=Tokens(1)).decide(subscribe())
    assert isinstance(found, Deny)
    assert (found.reason, found.rule) == ("fact_error", "deny/unknown")


async def test_the_limit_of_the_rule_that_holds_is_taken_last() -> None:
    source = Source({ANN: Known(value=MEMBER), ("account", "bob"): Known(value=None)})
    gate = Gate(policy=RULES, source=source, limits=Tokens(1))
    assert isinstance(await gate.decide(subscribe("bob")), Deny)
    assert isinstance(await gate.decide(subscribe()), Allow)
    found = await gate.decide(subscribe())
    assert isinstance(found, Deny)
    assert (found.reason, found.rule, found.at) == ("limit", "c/subscribe/1", "p.policy:5")


async def test_facts_are_loaded_a_bounded_number_of_times() -> None:
    chain = 'fact next(uid: string) -> string { python "app:next"; timeout 50ms; }\n'
    deep = policy(
        f'{chain}connect {{ allow when next(next(next(next(user)))) != ""; subscribe "c:" + next(next(next(next(user)))); }}\n'
        'channel "c:{x}" { allow subscribe when next(vars.x + user) != ""; }'
    )
    source = Source({("next", "ann" + "!" * n): Known(value="ann!" + "!" * n) for n in range(9)})
    found = await Gate(policy=deep, source=source, limits=Tokens(1)).decide(Request(op="connect", user="ann"))
    assert isinstance(found, Deny)
    assert found.reason == "fact_error"
    assert len(source.loads) == ROUNDS


async def test_every_decision_is_watched() -> None:
    seen: list[tuple[Request, Allow | Deny]] = []
    gate = Gate(policy=RULES, source=Source({}), limits=Tokens(0), watch=lambda request, found: seen.append((request, found)))
    request = subscribe()
    assert seen == [(request, await gate.decide(request))]


async def test_a_blocked_user_is_refused_before_the_policy_is_asked_and_it_is_seen() -> None:
    source, seen = Source({}), list[tuple[Request, Allow | Deny]]()
    gate = Gate(policy=RULES, source=source, limits=Tokens(1), watch=lambda *each: seen.append(each), barred={"ann"})
    at_once, found = gate.now(subscribe()), await gate.decide(subscribe())
    assert at_once == found == Deny(reason=BLOCKED, revision=RULES.revision)
    assert (gate.bars("ann"), gate.bars("bob"), gate.bars(None)) == (True, False, False)
    assert [each for _, each in seen] == [at_once, found]
    assert gate.now(subscribe("bob")) is None


class Slow(Source):
    """Facts that come when they are let."""

    def __init__(self, values: Mapping[FactKey, Known | Lost]) -> None:
        super().__init__(values)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        self.asked.set()
        await self.let.wait()
        return await super().load(keys)


async def test_after_a_swap_the_other_policy_decides_but_what_had_begun_is_finished_by_the_first() -> None:
    source = Slow({ANN: Known(value=MEMBER)})
    gate = Gate(policy=RULES, source=source, limits=Tokens(9))
    begun = asyncio.create_task(gate.decide(subscribe()))
    await source.asked.wait()
    gate.swap(policy('channel "c" { allow subscribe when false; }'), Source({}))
    later = await gate.decide(subscribe())
    source.let.set()
    assert (await begun).revision == RULES.revision
    assert (later.reason, later.revision) == ("no_rule", gate.policy.revision)


class Shared:
    """Limits of all replicas: so many tokens, or nobody can say."""

    def __init__(self, count: int, *, away: bool = False) -> None:
        self.count, self.away = count, away

    async def take(self, limit: Limit) -> bool:
        assert limit.rule
        if self.away:
            raise StoreFault("Redis: ConnectionError")
        self.count -= 1
        return self.count >= 0


def sharing(shared: Shared, seen: list[str]) -> Gate:
    source = Source({})
    source.kept[ANN] = Known(value=MEMBER)
    return Gate(policy=RULES, source=source, limits=Tokens(0), shared=shared, watch=lambda _, found: seen.append(found.reason))


async def test_a_limit_of_all_replicas_is_waited_for_and_the_own_one_not_asked() -> None:
    seen: list[str] = []
    gate = sharing(Shared(1), seen)
    assert gate.now(subscribe()) is None
    assert (await gate.decide(subscribe())).reason == "allowed"
    found = await gate.decide(subscribe())
    assert (found.reason, found.rule) == ("limit", "c/subscribe/1")
    assert seen == ["allowed", "limit"]


async def test_a_limit_of_all_replicas_that_cannot_be_counted_is_a_lost_fact() -> None:
    seen: list[str] = []
    found = await sharing(Shared(1, away=True), seen).decide(subscribe())
    assert isinstance(found, Deny)
    assert (found.reason, found.rule, found.detail) == ("fact_error", "c/subscribe/1", "Redis: ConnectionError")
    assert seen == ["fact_error"]


async def test_what_takes_from_no_limit_does_not_wait_for_the_other_replicas() -> None:
    seen: list[str] = []
    gate = sharing(Shared(0), seen)
    renewal = gate.now(Request(op="sub_refresh", user="ann", channel="c"))
    assert renewal
    assert (renewal.reason, (await gate.decide(Request(op="subscribe", user="ann", channel="d"))).reason) == ("allowed", "no_channel")


async def test_a_service_that_refreshes_connections_takes_from_the_limit_of_its_rule() -> None:
    rules = policy("service web { key env WEB_KEY; allow refresh limit 1/1s per service; }")
    gate = Gate(policy=rules, source=Source({}), limits=Tokens(1))
    asked = Request(op="refresh", service="web", data={})
    assert [(await gate.decide(asked)).reason for _ in range(2)] == ["allowed", "limit"]
