"""What holds for every policy: hypothesis makes up the rules, the requests and the facts."""

import dataclasses
import random
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.cli.fmt import fmt
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, NeedFacts, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from tests.policy.policies import Facts
from tests.trust import expressions
from tests.trust.expressions import GRAMMAR, TYPES, UNTYPED

Outcome = Allow | Deny | NeedFacts

HEAD = "\n".join(
    [
        "language 1;",
        "meta { " + ", ".join(f"{name}: {text}" for name, text in TYPES.items()) + " }",
        'fact f(u: string) -> { n: int, tag?: string }? { python "m:f"; timeout 50ms; }',
        *(f"let {name} = meta.{name};" for name in TYPES),
        *(f"let {name} = data.{name};" for name in UNTYPED),
        "let me = f(user);",
        "",
    ]
)
FACT: FactKey = ("f", "u")
ON_FACTS = ("me == null", "(me != null && me.n > n)", "(ok || me != null)", "(me == null || !has(me.tag) || me.tag == s)", "f(s) != null")


@cache
def loads(condition: str) -> bool:
    return load({"p.policy": f'{HEAD}channel "c" {{ allow subscribe, publish when {condition}; }}'.encode()}).policy is not None


def _condition(chance: random.Random) -> str:
    return expressions.made(chance, GRAMMAR, "bool", 2).text


conditions = st.one_of(st.randoms().map(_condition), st.sampled_from(("true", "false", "ok", "1 / n > 0", *ON_FACTS))).filter(loads)
answers: st.SearchStrategy[Known | Lost] = st.sampled_from(
    [Lost(why="down"), *(Known(value=v) for v in (None, {"n": 0}, {"n": 2, "tag": "a"}))]
)
facts = st.dictionaries(st.sampled_from([FACT, ("f", "a"), ("f", "")]), answers).map(Facts)
worlds = st.tuples(st.sampled_from(["subscribe", "publish"]), st.randoms().map(expressions.values), facts)
World = tuple[str, dict[str, object], Facts]
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def policy(*files: str) -> Policy:
    """The policy of these files, the first with the head; it must load."""
    texts = {f"{number}.policy": HEAD + text if number == 0 else f"language 1;\n{text}" for number, text in enumerate(files)}
    loaded = load({name: text.encode() for name, text in texts.items()})
    assert loaded.policy is not None, [str(f) for f in loaded.findings if f.severity == "error"]
    return loaded.policy


def asked(by: Policy, world: World, channel: str = "c:1") -> Outcome:
    op, values, known = world
    meta, data = {name: values[name] for name in TYPES}, {name: values[name] for name in UNTYPED}
    return by.decide(Request(op=op, user="u", channel=channel, meta=meta, data=data), known)


def bare(found: Outcome) -> str:
    """An outcome without the places and the hash of the files that said so."""
    return repr(found if isinstance(found, NeedFacts) else dataclasses.replace(found, at="", revision=""))


def block(denies: Sequence[str], rules: Sequence[str], channel: str = "c:{v}") -> str:
    refusals = [f"deny no_{number} on subscribe, publish when {when};" for number, when in enumerate(denies)]
    grants = [f"allow subscribe, publish as rule_{number} when {when};" for number, when in enumerate(rules)]
    return "\n".join([f'channel "{channel}" {{', *refusals, *grants, "}"])


some = st.lists(conditions, max_size=3)


@quick
@given(some, st.lists(conditions, min_size=1, max_size=3), conditions, st.integers(0, 4), st.lists(worlds, min_size=1, max_size=6))
def test_another_deny_never_allows(denies: list[str], rules: list[str], more: str, place: int, several: list[World]) -> None:
    before = policy(block(denies, rules))
    inside = policy(block([*denies[:place], more, *denies[place:]], rules))
    everywhere = policy(f"deny more on subscribe, publish when {more};\n{block(denies, rules)}")
    for world in several:
        for after in (inside, everywhere):
            found = asked(after, world)
            if isinstance(found, Allow):
                assert bare(dataclasses.replace(found, facts={})) == bare(without_facts(asked(before, world)))


def without_facts(found: Outcome) -> Outcome:
    return found if isinstance(found, NeedFacts) else dataclasses.replace(found, facts={})


@quick
@given(some, st.lists(conditions, min_size=1, max_size=3), st.lists(worlds, min_size=1, max_size=6), answers)
def test_what_a_lost_fact_allows_every_answer_allows(
    denies: list[str], rules: list[str], several: list[World], answer: Known | Lost
) -> None:
    by = policy(block(denies, rules))
    for op, values, known in several:
        if isinstance(asked(by, (op, values, Facts({**known, FACT: Lost(why="down")}))), Allow):
            assert isinstance(asked(by, (op, values, Facts({**known, FACT: answer}))), Allow)


@quick
@given(st.lists(st.tuples(some, some), min_size=2, max_size=4), st.randoms(), st.lists(worlds, min_size=1, max_size=3))
def test_the_order_of_files_with_disjoint_rules_is_irrelevant(
    blocks: list[tuple[list[str], list[str]]], chance: random.Random, several: list[World]
) -> None:
    texts = [block(denies, rules, f"{number}:{{v}}") for number, (denies, rules) in enumerate(blocks)]
    shuffled = chance.sample(texts, len(texts))
    one, other = policy("", *texts), policy("", *shuffled)
    for world in several:
        for number in range(len(texts)):
            assert bare(asked(one, world, f"{number}:1")) == bare(asked(other, world, f"{number}:1"))


def roughened(text: str, chance: random.Random) -> str:
    """The same text in another layout; only strings without spaces stay as they are."""
    words = {"&&": ("&&", "and"), "||": ("||", "or")}
    gaps = (" ", " ", "\n", "  ", " // why\n", "\n\n\n ")
    return "".join(chance.choice(words.get(word, (word,))) + chance.choice(gaps) for word in text.replace("!(", "! (").split(" "))


@quick
@given(some, st.lists(conditions, min_size=1, max_size=2), st.randoms(), st.lists(worlds, min_size=1, max_size=3))
def test_formatting_keeps_the_meaning(denies: list[str], rules: list[str], chance: random.Random, several: list[World]) -> None:
    rough = HEAD + roughened(block(denies, rules).replace("\n", " "), chance)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "p.policy"
        file.write_text(rough, encoding="utf-8", newline="\n")
        fmt(Path(name))
        smooth = file.read_bytes()
        fmt(Path(name), check=True)
    before, after = load({"p.policy": rough.encode()}).policy, load({"p.policy": smooth}).policy
    assert before is not None
    assert after is not None
    for world in several:
        assert bare(asked(before, world)) == bare(asked(after, world))


PATTERNS = {
    "c:{v}": "c:[^:#/,*&{} ]+",
    "d-{v:int}": "d-(0|[1-9][0-9]*)",
    "e:{v*}": "e:.+",
    "f": "f",
    "dialog#{a},{b}": "dialog#[^:#/,*& ]+,[^:#/,*& ]+",
}
channels = st.one_of(
    st.text(max_size=12),
    st.text("cdef:-#,019ab{}* &/\n$", max_size=12),
    st.builds("{}{}".format, st.sampled_from(["c:", "d-", "e:", "f", "dialog#a,"]), st.text("ab019:,#\n \0é", max_size=5)),
)


@quick
@given(st.lists(channels, min_size=1, max_size=8), st.sampled_from(["subscribe", "publish", "presence", "history", "map_remove"]))
def test_nothing_that_matches_denies(several: list[str], op: str) -> None:
    for channel in several:
        found = everything().decide(Request(op=op, user="u", channel=channel), Facts())
        matching = [name for name, text in PATTERNS.items() if re.fullmatch(text, channel)]
        printable = re.fullmatch("[!-~]{1,255}", channel) is not None
        if isinstance(found, Allow):
            assert printable
            assert matching
            assert op == "subscribe"
        else:
            assert isinstance(found, Deny)
            assert found.reason == ("bad_channel" if not printable else "no_rule" if matching else "no_channel")


@cache
def everything() -> Policy:
    return policy("".join(f'channel "{name}" {{ allow subscribe; }}\n' for name in PATTERNS))


@quick
@given(some, st.lists(worlds, min_size=1, max_size=3), st.sampled_from(["presence", "history", "map_publish"]))
def test_an_operation_without_a_rule_is_denied(denies: list[str], several: list[World], op: str) -> None:
    by = policy(block(denies, ["true"]))
    for _, values, known in several:
        found = asked(by, (op, values, known))
        assert isinstance(found, Deny)
        assert found.reason == "no_rule"


class Bomb:
    """A value that fails whatever is done with it."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def _fail(self, *_: object) -> bool:
        raise self.error

    __eq__ = __ne__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __lt__ = __add__ = _fail
    __hash__ = None  # type: ignore[assignment]


class Mined(Facts):
    """Facts that fail when they are looked up."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self.get = Bomb(error)._fail  # type: ignore[method-assign, assignment]


ERRORS = [RuntimeError, RecursionError, MemoryError, KeyError, TypeError, StopIteration, OverflowError, UnicodeError, AssertionError]


@pytest.mark.parametrize("error", ERRORS)
def test_an_exception_while_a_fact_is_looked_up_denies(error: type[Exception]) -> None:
    for denies, rules in (([], ["me == null"]), (["me != null"], ["true"]), ([], ["!(me != null)"]), ([], ["ok", "me == null || true"])):
        for op in ("subscribe", "publish"):
            found = asked(policy(block(denies, rules)), (op, mild(), Mined(error)))
            assert isinstance(found, Deny)
            assert found.reason == "error"


def mild() -> dict[str, object]:
    return expressions.values(random.Random(1)) | {"ok": False}  # noqa: S311 - the same values again are wanted


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    ("denies", "rule"), [("labels[s] == s", "true"), ("s in labels", "true"), ("false", "s in labels"), ("false", "!has(labels.k)")]
)
def test_an_exception_inside_an_expression_denies(denies: str, rule: str, error: type[Exception]) -> None:
    labels = cast("Mapping[str, str]", Bomb(error))
    request = Request(op="subscribe", user="u", channel="c:1", meta=mild(), data={"x": 1, "y": 1}, labels=labels)
    found = policy(block([denies], [rule])).decide(request, Facts())
    assert isinstance(found, Deny)
    assert found.reason == "error"


def spared(found: Outcome) -> Outcome:
    """The outcome without the payload or what is said of it."""
    if isinstance(found, NeedFacts):
        return found
    return dataclasses.replace(found, data=None) if isinstance(found, Allow) else dataclasses.replace(found, detail="")


@quick
@given(some, st.lists(conditions, min_size=1, max_size=3), st.lists(worlds, min_size=1, max_size=3), st.sampled_from(ERRORS))
def test_a_payload_that_is_no_json_is_not_even_touched(
    denies: list[str], rules: list[str], several: list[World], error: type[Exception]
) -> None:
    by = policy(block(denies, rules))
    for op, values, known in several:
        found, inert = (asked(by, (op, values | {"x": value, "y": value}, known)) for value in (Bomb(error), object()))
        assert bare(spared(found)) == bare(spared(inert))
