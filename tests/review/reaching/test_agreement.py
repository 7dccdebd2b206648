"""Who can do something, as it is said, agrees with the decisions of the policy."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from proxy.cli.policies import named as schemas
from proxy.policy.decision import OPERATIONS, Allow, FactKey, Known, Lost, Request
from proxy.policy.load import load
from proxy.policy.names import METHODS
from proxy.policy.policy import Policy
from proxy.review.cases import behind
from proxy.review.comparing.course import Unit
from proxy.review.fixtures import read
from proxy.review.reaching import entrances, telling
from proxy.review.reaching.entrances import Query, Via
from proxy.review.reaching.survey import Known as Settled
from proxy.review.reaching.survey import Nothing, Survey
from tests.demo.policies import FOLDER, demo
from tests.review.reaching.asking import decided, named, remaining
from tests.review.scene import POLICY, files, usable

USERS = ("42", "44", "66", "7")
CHANNELS = ("chat:doc-7", "chat:doc-8", "news:a/b", "notifications#42", "own#42", "own#7", "doc-0", "doc-1", "open-1", "open-2", "none")
PAYLOADS: tuple[Any, ...] = (
    None,
    {"type": "message", "text": "hi"},
    {"type": "order_shipped", "message": "x"},
    {"headline": "x"},
    {"kind": "bot"},
    {"kind": "any", "n": 2},
    {"kind": "any", "n": 4},
    ["doc:7"],
    ["price:1"],
    1,
)
ASKED: tuple[Mapping[str, Any], ...] = (
    {},
    {"meta": {"role": "editor"}, "labels": {"team": "red"}, "client": "c", "transport": "websocket", "key": "a", "tags": {"t": "x"}},
    {"meta": {"role": "editor"}, "labels": {"team": "blue"}, "client": "c", "transport": "sse", "key": "b", "timestamp_ms": 9},
)


class Facts:
    """Facts by a number, so that each kind of answer comes up for each user."""

    def __init__(self, turn: int) -> None:
        self._turn = turn

    def get(self, key: FactKey, /) -> Known | Lost:
        found: Mapping[str, tuple[object, ...]] = {
            "account": ({"suspended": False}, None, {"suspended": True}, {"suspended": False, "level": 1}),
            "doc_member": ({"role": "owner"}, {"role": "viewer"}, None),
            "price": (1.5,),
        }
        values = found[str(key[0])]
        at = self._turn + (len(str(key[-1])) if key[0] == "doc_member" else 0)
        return Lost(why="away") if at % 5 == 4 else Known(value=values[at % len(values)])


def requests(**given: Any) -> Iterator[Request]:  # noqa: ANN401 - whatever a request has
    for more, data in itertools.product(ASKED, PAYLOADS):
        yield Request(**{"timestamp_ms": 0, **more, **given}, data=data)


@pytest.mark.parametrize("by", [demo(), usable(files("", POLICY))], ids=["demo", "scene"])
@pytest.mark.parametrize("whose", ["everybody's", "one's"])
def test_what_remains_of_a_policy_decides_as_it_does(by: Policy, whose: str) -> None:
    allowed = 0
    for (pattern, plans), channel, user in itertools.product(by.decider.plans.channels, CHANNELS, USERS[:3]):
        variables = pattern.matches(channel)
        for op, plan in plans.items() if variables is not None else ():
            unit = Unit(plan=plan, pattern=pattern)
            for turn in range(5):
                facts = Facts(turn)
                own = whose == "one's"
                known = Settled(
                    request=Request(op=op, channel=channel, user=user if own else None),
                    names=frozenset(("op", "channel", *(["user"] if own else []))),
                    variables=variables,
                    facts=facts if own else Nothing(),
                )
                reach = Survey(by, {}).reach(unit, known)
                for asked in requests(op=op, channel=channel, user=user):
                    expected = named(by.decide(asked, facts))
                    assert named(decided(by, remaining(unit, reach), reach.lets, asked, facts)) == expected
                    allowed += bool(expected)
    assert allowed > 100


@pytest.mark.parametrize("by", [demo(), usable(files("", POLICY))], ids=["demo", "scene"])
def test_whoever_is_said_to_get_through_does_and_nobody_else(by: Policy) -> None:
    """A way with nothing to hold against it allows whatever is sent; where there is no way, nothing is allowed."""
    for op, channel, user in itertools.product((*OPERATIONS, *METHODS), CHANNELS, USERS):
        if op in ("batch", "rpc", "refresh", "connect") or (op not in OPERATIONS and behind(op, service=True)[0] != "channel"):
            continue
        facts = Facts(0)
        users = (user,) if op in OPERATIONS else ()
        for found in (Query(operation=op, target=channel, users=users), Query(operation=op, target=channel)):
            for entrance in entrances.answer(by, {}, found, facts).entrances:
                service = entrance.name if entrance.via is Via.service else None
                who: Mapping[str, Any] = {"service": service, "method": op} if service else {"user": user}
                for asked in requests(op=op, channel=channel, **who):
                    allowed = isinstance(by.decide(asked, facts), Allow)
                    assert not allowed or entrance.reach.ways
                    assert allowed or entrance.reach.bans or not any(way.always for way in entrance.reach.ways)


_STATEMENTS = re.compile(r"^(?:database|fact) .*?\}(?:\?? \{.*?\n\})?$", re.MULTILINE | re.DOTALL)
DECLARED = "\n".join(_STATEMENTS.findall("\n".join(file.read_text() for file in sorted(FOLDER.glob("*.policy")))))


def said(entrance: Mapping[str, Any], op: str, pattern: str) -> str:
    """A policy of nothing but what the answer says."""
    lets = "".join(f"let {name} = {text};" for name, text in entrance["where"].items())
    denies = "".join(f"deny no{number} when {ban['when']};" for number, ban in enumerate(entrance["unless"]))
    rules = ""
    for way in entrance["ways"]:
        schema = [f'schema "{each.removeprefix("data fits ")}"' for each in way["provided"]]
        rules += f"allow {op} when {way['when']} {' '.join(schema)};"
    return f'language 1;{DECLARED}channel "{pattern}" {{ {lets} {denies} {rules} }}'


@pytest.mark.parametrize(("op", "channel"), [*itertools.product(OPERATIONS, CHANNELS[:4])])
@pytest.mark.parametrize("user", ["", *USERS])
def test_what_is_printed_is_a_policy_that_decides_alike(op: str, channel: str, user: str) -> None:
    by, raw = demo(), {file.relative_to(FOLDER).as_posix(): file.read_bytes() for file in FOLDER.rglob("*.json")}
    facts, findings = read({"t.test.policy": b"".join(f.read_bytes() for f in [FOLDER / "chat.test.policy"])}, by)
    assert not findings
    told: Any = telling.as_object(
        entrances.answer(by, schemas(FOLDER), Query(operation=op, target=channel, users=(user,) if user else ()), facts)
    )
    loaded = load({"p.policy": said(told["entrances"][0], op, told["pattern"]).encode(), **raw})
    assert loaded.policy, [str(finding) for finding in loaded.findings]
    for asked in requests(op=op, channel=channel, user=user or "43"):
        for turn in range(5):
            at_hand = facts if user else Facts(turn)
            found = [isinstance(each.decide(asked, at_hand), Allow) for each in (by, loaded.policy)]
            assert found[0] == found[1]
