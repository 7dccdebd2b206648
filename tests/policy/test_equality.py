"""The compiled and the exact evaluation agree, on values and on errors, for expressions that hypothesis makes up."""

import dataclasses
from unittest import mock

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from proxy.policy.deciding import context
from proxy.policy.deciding.decide import Decision
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, NeedFacts, Request
from proxy.policy.load import load
from tests.policy.policies import Facts

HEAD = (
    "language 1;\nmeta { n: int, s: string, xs: list<string>, d: double, ok: bool, maybe: string? }\n"
    'fact f(u: string) -> { n: int, tag?: string }? { python "m:f"; timeout 50ms; }\n'
    'let fact = f(user);\nlet pay = data.a;\nchannel "c:{v}" {\n  deny no on publish when %s;\n'
    "  allow publish as one when %s stamp x = %s, y = data.b;\n  allow publish as two when %s;\n}\n"
)
KEY: FactKey = ("f", "u")
LONG = "a" * 70


def joined(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions of a form; each `@` is one part."""
    return st.tuples(*parts).map(lambda found: "".join(a + b for a, b in zip(pattern.split("@"), (*found, ""), strict=True)))


def one(*words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words)


anys: st.SearchStrategy[str] = st.deferred(
    lambda: (
        one("data", "data.a", "data.b", "pay", "data.a.n", "data[0]", 'data["n"]')
        | joined("data.a[@]", ints)
        | joined("(@ ? @ : data.b)", bools, anys)
        | joined("[data, @][0]", texts)
    )
)
ints: st.SearchStrategy[str] = st.deferred(
    lambda: (
        one("0", "1", "-1", "2", "meta.n", "9223372036854775807", "timestamp_ms", "-9223372036854775808")
        | joined("size(@)", texts | anys | lists)
        | joined("int(@)", texts | anys | ints | doubles)
        | joined("(@ @ @)", ints, one("+", "-", "*", "/", "%"), ints)
        | joined("-@", one("meta.n", "1", "(0 - 1)"))
        | joined("(@ ? @ : @)", bools, ints, ints)
    )
)
doubles: st.SearchStrategy[str] = st.deferred(
    lambda: one("0.0", "2.5", "meta.d", "-1.5") | joined("(@ @ @)", doubles, one("+", "-", "*", "/"), doubles)
)
texts: st.SearchStrategy[str] = st.deferred(
    lambda: (
        one("user", "vars.v", "meta.s", '""', '"a"', '"b"', "op", "channel", 'labels["k"]', 'labels["no"]', "client")
        | joined("(@ + @)", texts, texts)
        | joined("(@ + @)", anys, texts)
        | joined("string(@)", texts | anys | ints | bools)
        | joined("(@).lowerAscii()", texts | anys)
    )
)
lists: st.SearchStrategy[str] = one("meta.xs", "[]", '["a", "b"]', '["a", user]') | joined("[@, @]", texts, texts) | joined("[@]", ints)
bools: st.SearchStrategy[str] = st.deferred(
    lambda: (
        one("true", "false", "meta.ok", "fact == null", "has(data.a)", "has(data.a.n)", "data == null")
        | joined("(@ && @)", bools, bools)
        | joined("(@ || @)", bools | anys, bools | anys)
        | joined("!@", one("meta.ok", "(data.a)", "has(data.b)"))
        | joined("!(@)", bools)
        | joined("(@ @ @)", ints | doubles, comparisons, ints | doubles | anys)
        | joined("(@ @ @)", texts, comparisons, texts | anys)
        | joined("(@ @ @)", anys, comparisons, anys)
        | joined("(@ @ [@, @])", anys, one("==", "!="), anys, texts)
        | joined("(@ in @)", texts | anys, one("meta.xs", '["a", "b"]', "labels", '["a", user]') | anys)
        | joined("(@).@(i, i == @)", lists | anys, macros, anys)
        | joined("(@).@(i, size(i) > @ && (@))", anys, macros, ints, bools)
        | joined("(fact != null && fact.n > @)", ints)
        | joined("(fact == null || !has(fact.tag) || fact.tag == @)", texts)
        | joined("(meta.maybe != null ? meta.maybe == @ : @)", texts, bools)
        | joined("(@).@(@)", texts | anys, one("contains", "startsWith", "endsWith"), texts | anys)
        | joined('(@).matches("^[a-z]*$")', texts | anys)
    )
)
comparisons: st.SearchStrategy[str] = one("==", "!=", "<", "<=", ">", ">=")
macros: st.SearchStrategy[str] = one("all", "exists", "exists_one")
answers = bools | ints | texts | anys | lists | joined('{"k": @, "l": @}', anys, bools)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.sampled_from(["", "a", "b", "1"])
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "n"]), v, max_size=3), max_leaves=6
)
metas = st.fixed_dictionaries(
    {"n": st.integers(-3, 3), "s": st.sampled_from(["", "a", LONG]), "d": st.floats(-2, 2)}
    | {"xs": st.lists(st.sampled_from(["a", "b", LONG]), max_size=4)}
    | {"ok": st.booleans(), "maybe": st.none() | st.sampled_from(["a", ""])}
)
facts = st.one_of(
    st.none(),
    st.just(Lost(why="down")),
    st.just(Known(value=None)),
    st.fixed_dictionaries({"n": st.integers(0, 2)}, optional={"tag": st.just("a")}).map(lambda v: Known(value=v)),
)


def outcome(found: object) -> object:
    """What must agree: the whole decision, but for the words of an error."""
    if isinstance(found, Deny):
        return dataclasses.replace(found, detail="", facts=dict(found.facts))
    if isinstance(found, Allow):
        return dataclasses.replace(found, facts=dict(found.facts))
    assert isinstance(found, NeedFacts)
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(bools, bools | anys, answers, bools | anys), st.lists(st.tuples(values, metas, facts), min_size=1, max_size=5))
def test_compiled_and_exact_evaluation_agree(
    texts: tuple[str, ...], cases: list[tuple[object, dict[str, object], Known | Lost | None]]
) -> None:
    compare(texts, cases)


over = one("data", "data.a", "data.b", "meta.xs", "pay", '{"a": 1}')
items = one(
    *("i", "j", "data.a", "data.b", "user", "meta.s", "meta.xs", "labels", "pay", "heavy", f'"{LONG}"', '"a"', "1", "[i, j]"),
    *("data.a[i]", "data[i]", "meta.xs[0]", "meta.n", f'meta.s + "{LONG}"'),
)
plain = one("true", "meta.ok", "i == j", "i != 1", "has(i.a)", "j in data.a", "j in meta.xs", 'i in ["a", 1]', "i < j", "data == data.b")
paid = (
    joined("(@ @ @)", items, one("==", "!=", "<", "in"), items)
    | joined("(@ + @ == @)", items, items, items)
    | joined("@.@(@)", items, one("contains", "startsWith", "endsWith"), items)
    | joined('@.lowerAscii() in ["a", "b"]', items)
    | joined('@.matches("^a*$")', items)
    | joined("(@ @ @)", plain, one("&&", "||"), plain)
    | joined("!@", one("(i == j)", "(j in data.a)"))
)
loops = joined("(@).@(i, (@).@(j, @))", over, macros, over, macros, paid)
free = one("data", "data.a", "data.b", "pay", "meta.xs", "heavy", "user", '["a", 1]')
costly = loops | joined("(@ @ @)", loops, one("&&", "||"), loops | one("meta.ok", "heavy")) | joined("(@ @ @)", free, one("==", "in"), free)
big = st.recursive(
    st.sampled_from(["a", "b", LONG, LONG + "b", 1, 2.5, None, True]),
    lambda v: st.lists(v, max_size=6) | st.dictionaries(st.sampled_from(["a", "b", LONG]), v, max_size=4),
    max_leaves=12,
)
HEAVY = "let heavy = %s;\n"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.tuples(costly, costly, costly, costly, loops.map(lambda text: text.replace("heavy", "pay"))),
    st.lists(st.tuples(st.fixed_dictionaries({"a": big, "b": big}) | big, metas, facts), min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_both_ways_spend_the_same_steps(
    texts: tuple[str, ...], cases: list[tuple[object, dict[str, object], Known | Lost | None]], steps: int
) -> None:
    with mock.patch.object(context, "STEPS", steps):
        compare(texts[:4], cases, HEAVY % texts[4])


def compare(texts: tuple[str, ...], cases: list[tuple[object, dict[str, object], Known | Lost | None]], let: str = "") -> None:
    """Decides each case in both ways; the answers must be the same."""
    head = HEAD.replace("channel", "%schannel", 1)
    loaded = load({"p.policy": (head % (let, *texts)).encode()})
    assume(all(f.id not in ("duplicate-name", "too-large") for f in loaded.findings))  # macros inside macros
    assume(not let or loaded.policy is not None)  # types that cannot be compared
    assert loaded.policy is not None, ([str(f) for f in loaded.findings if f.severity == "error"], texts)
    for data, meta, fact in cases:
        request = Request(op="publish", user="u", channel="c:a", data=data, meta=meta, labels={"k": "a"}, timestamp_ms=5)
        at_hand = Facts({KEY: fact} if fact else {})
        fast = Decision(loaded.policy.decider, request, at_hand, {})
        slow = Decision(loaded.policy.decider, request, at_hand, {}, lambda _node, _outcome: None)
        assert repr(outcome(fast.decide())) == repr(outcome(slow.decide())), (let, texts)
        assert fast.left == slow.left, (let, texts)
        event("spent" if fast.left < 0 else "enough")
