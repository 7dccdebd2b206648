"""What compiled code calls, and that it gives and pays what the exact evaluation gives and pays, over a table of expressions."""

import ast
import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.policy import functions, operations, prices
from proxy.policy.deciding import context
from proxy.policy.deciding.decide import Decision
from proxy.policy.deciding.emit import verify
from proxy.policy.decision import Allow, Deny, Known, Request
from proxy.policy.names import sure
from proxy.policy.policy import Policy
from tests.policy.policies import Facts, policy

HEAD = (
    "meta { n: int, s: string, xs: list<string>, ns: list<int>, d: double, ok: bool, r: { a: string }, m: map<string, int> }\n"
    'fact f(u: string) -> string? { python "m:f"; timeout 50ms; }\nfact g(d: int) -> bool { python "m:g"; timeout 50ms; }\n'
    "let plain = user;\nlet dear = data == [1];\nlet further = dear || false;\n"
)
LONG = "a" * 70
SHORT, GRAIN = "a" * 63, "a" * 64
NAMES: Mapping[Any, str] = {
    **{each: f"pay {name}" for name, each in prices.PAYING.items()},
    **{each: each.__name__ for each in (*operations.BINARY.values(), *operations.METERED.values(), *functions.METHODS.values())},
    **{each: each.__name__ for each in (*functions.FUNCTIONS.values(), functions.matches, operations.truth, operations.minus)},
    **{each: each.__name__ for each in (operations.member, operations.index, operations.has, operations.among, context.argument)},
    **{each: each.__name__ for each in (sure, all, any, prices.visited)},
}
CALLS = {
    "1": "",
    "user": "",
    "timestamp_ms": "sure",
    "labels": "",
    "vars.v": "",
    "data": "",
    "plain": "let",
    "meta.n": "",
    "meta.r.a": "",
    "meta.m.k": "",
    "data.a": "member",
    "has(meta.m.k)": "",
    "has(data.a)": "has",
    'meta.m["k"]': "",
    "meta.m[user]": "",
    "meta.xs[0]": "index",
    'data["k"]': "index",
    "meta.xs.all(i, meta.m[i] == 1)": "all pay index visited",
    'meta.xs.exists(i, meta.m["k"] == 1)': "any visited",
    f'meta.xs.exists(i, meta.m["{SHORT}"] == 1)': "any visited",
    f'meta.xs.exists(i, meta.m["{GRAIN}"] == 1)': "any pay index visited",
    "meta.ns.exists(i, meta.xs[0] == user)": "any index pay == visited",
    "!meta.ok": "",
    "!data": "truth",
    "-meta.n": "minus",
    "meta.ok && true": "",
    "meta.ok || data": "truth",
    "meta.ok ? 1 : 2": "",
    "data ? 1 : 2": "truth",
    "f(user) == null": "",
    "null != f(user)": "",
    "meta.n == 1": "",
    "meta.n < meta.d": "",
    "meta.s == user": "",
    "meta.s <= user": "",
    "meta.ok != true": "",
    "meta.xs == []": "equal",
    "meta.xs != []": "unequal",
    "data == 1": "equal",
    "data < 1": "ordered",
    "meta.n + 1": "add",
    "meta.d + 1.0": "",
    "meta.d - 1.0": "subtract",
    "meta.s + user": "",
    "data + user": "add",
    "meta.xs.all(i, i == user)": "all pay == visited",
    f'meta.xs.all(i, i == "{SHORT}")': "all visited",
    f'meta.xs.all(i, "{SHORT}" != i)': "all visited",
    f'meta.xs.all(i, i == "{GRAIN}")': "all pay == visited",
    "meta.ns.all(i, i == meta.n)": "all visited",
    "meta.ns.all(i, meta.ok == true)": "all visited",
    "meta.ns.all(i, meta.ok == data)": "all equal visited",
    "meta.ns.all(i, data == meta.ok)": "all pay == visited",
    "meta.ns.all(i, data == 1)": "all equal visited",
    "meta.ns.all(i, i + 1 == 2)": "add all visited",
    "meta.ns.all(i, meta.d + 1.0 == 2.0)": "all visited",
    "meta.ns.all(i, i - 1 == 2)": "all subtract visited",
    'meta.xs.all(i, i + "a" == "aa")': "all pay + visited",
    "meta.ns.exists_one(i, i == 1)": "<lambda> visited",
    'user in ["a", "b"]': "",
    'data in ["a", "b"]': "within",
    'user in ["a", 1]': "within",
    "1 in [1, 2]": "within",
    'user in ["a", plain]': "among let",
    "user in meta.xs": "among",
    "data in meta.xs": "within",
    "user in meta.m": "",
    "user in meta.r": "",
    "user in data": "within",
    "data in meta.m": "within",
    "meta.xs.all(i, i in meta.xs)": "all among visited",
    "meta.xs.all(i, i in meta.m)": "all pay in visited",
    f'meta.xs.all(i, "{SHORT}" in meta.m)': "all visited",
    f'meta.xs.all(i, "{GRAIN}" in meta.m)': "all pay in visited",
    "meta.xs.all(i, data in meta.m)": "all pay in visited",
    "size(data)": "size",
    "int(data)": "to_int",
    "g(1)": "",
    "g(data)": "_int argument",
    'user.contains("a")': "contains",
    'user.matches("^a$")': "matches",
    "data.size()": "size",
    'meta.xs.all(i, i.contains("a"))': "all pay contains visited",
    'meta.xs.all(i, i.matches("^a$"))': "all pay matches visited",
    "meta.xs.all(i, i.size() == 1)": "all size visited",
    '[meta.xs.all(i, true), user + "a" == user]': "all visited",
    '{"k": data.a}': "member",
}


def by(text: str, more: str = "") -> Policy:
    """A policy that gives subscribers the value of an expression."""
    return policy(f'{HEAD}{more}channel "c:{{v}}" {{ allow subscribe data = {text}; }}')


def calls(text: str) -> str:
    """The names of what the code of an expression calls, with the meta left out, as every policy reads it alike."""
    plans, _ = by(text).decider.index.find("c:a") or ({}, None)
    code = plans["subscribe"].rules[0].obligations.data
    assert code is not None
    run: Any = code.run
    run = inspect.getclosurevars(run).nonlocals.get("run", run)
    called = (each for each in run.__globals__.values() if callable(each) and "<locals>.<lambda>" not in each.__qualname__)
    return " ".join(sorted(NAMES.get(each, each.__name__) for each in called))


@pytest.mark.parametrize("text", CALLS)
def test_what_is_proven_is_not_called(text: str) -> None:
    assert calls(text) == CALLS[text]


def request(data: object) -> Request:
    """A subscription, by somebody with a meta of long and short texts."""
    meta = {"n": 1, "s": LONG, "xs": ["a", LONG], "ns": [1, 2], "d": 1.5, "ok": True, "r": {"a": "b"}, "m": {"k": 1, "a": 1, LONG: 1}}
    return Request(op="subscribe", user="u", channel="c:a", data=data, meta=meta, timestamp_ms=5)


PAYLOADS: list[object] = [
    None,
    1,
    True,
    LONG,
    [1],
    ["a", LONG, 2],
    {"a": LONG, "k": [LONG, "b"], LONG: "a"},
    {"a": [1, [LONG]], "k": 2, "b": [1, [LONG]]},
]
LOOPS = [
    "data.all(i, i == user)",
    "data.all(i, i in data)",
    "data.exists(i, data[i] == 1)",
    "data.exists(i, data.exists(j, i == j && i != 1))",
    "data.exists_one(i, i + i == i)",
    f'data.exists(i, i + "a" == "{LONG}")',
    "meta.xs.exists(i, i + i == meta.s)",
    "meta.xs.exists_one(i, i in meta.m)",
    "meta.xs.exists_one(i, meta.s in meta.xs)",
    "meta.xs.all(i, data == i || data.a == i)",
    "meta.xs.all(i, i.contains(meta.s) || i.startsWith(data.a))",
    'meta.xs.exists(i, i.lowerAscii().matches("^a*$"))',
    "dear || data == data",
    "further",
    "further || data.a == data.b",
    "data.a == data.b && further",
    "data.all(i, dear) || plain == user",
    "dear == dear && data[meta.s] == 1",
    "data.exists_one(i, meta.m[meta.s] == i)",
]


@pytest.mark.parametrize(
    ("text", "pays"), [("user == plain", False), ("data == 1", True), ("dear", True), ("further", True), ("plain", False)]
)
def test_only_what_pays_notes_what_was_paid_before(text: str, pays: bool) -> None:  # noqa: FBT001 - the expectation
    plans, _ = by(text).decider.index.find("c:a") or ({}, None)
    code = plans["subscribe"].rules[0].obligations.data
    assert code is not None
    assert code.pays is pays
    assert (code.run.__name__ == "paying") is pays


@pytest.mark.parametrize("text", [*CALLS, *LOOPS])
def test_both_ways_give_and_pay_the_same(text: str) -> None:
    decider = by(text).decider
    facts = Facts({("f", "u"): Known(value=LONG), ("g", 1): Known(value=True)})
    for data in PAYLOADS:
        fast = Decision(decider, request(data), facts, {})
        slow = Decision(decider, request(data), facts, {}, lambda _node, _outcome: None)
        one, other = fast.decide(), slow.decide()
        assert type(one) is type(other)
        assert isinstance(one, Allow | Deny)
        if isinstance(one, Allow) and isinstance(other, Allow):
            assert repr(one.data) == repr(other.data)
        assert fast.left == slow.left


@pytest.mark.parametrize(
    "code", ["c.__class__", "r.f", "lambda: 0 if c else {1}", "[x for x in c]", "c.lets[1:2]", "f'{c}'", "c @ r", "~c"]
)
def test_no_code_is_run_that_is_not_of_the_few_kinds(code: str) -> None:
    with pytest.raises(AssertionError, match=r"^emitted "):
        verify(ast.parse(code, mode="eval"))


@pytest.mark.parametrize("code", ["c.lets[1]", "r.user", "c.payload", "c.fact(('f', r.user))", "a if not b else [c, (d, {1: 2})]"])
def test_code_of_the_few_kinds_is_run(code: str) -> None:
    verify(ast.parse(code, mode="eval"))
