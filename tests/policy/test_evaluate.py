"""What a decision pays, remembers and asks for, and that what has a value is evaluated once."""

from unittest import mock

import pytest

from proxy.policy.deciding import context, evaluate, inquiry
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.decide import Decision
from proxy.policy.deciding.evaluate import Failure, Loss, Need, Outcome, Watch
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, NeedFacts, Request
from proxy.policy.failure import Failed
from proxy.policy.meter import FAILURE, STEPS
from proxy.policy.reading.syntax import Chain, Expression, Name
from proxy.policy.types import Misfit
from tests.policy.policies import Facts, policy
from tests.policy.test_emit import CALLS, HEAD, LONG, LOOPS, PAYLOADS, SHORT, by, request

FACT = 'fact h(u: string) -> string { python "m:h"; timeout 50ms; }\n'
FACTS = Facts({("f", "u"): Known(value=LONG), ("g", 1): Known(value=True)})


def watched(text: str, data: object) -> list[Outcome]:
    """The outcome of each part of an expression."""
    seen: list[Outcome] = []
    Decision(by(text).decider, request(data), FACTS, {}, lambda _, found: seen.append(found)).decide()
    return seen


@pytest.mark.parametrize("text", [*CALLS, *LOOPS])
def test_what_has_a_value_is_not_evaluated_again(text: str) -> None:
    decider = by(text).decider
    for data in PAYLOADS:
        erred = any(isinstance(found, Failure | Loss | Need) for found in watched(text, data))
        with mock.patch.object(inquiry, "exact", side_effect=Failed("again")) as exact:
            Decision(decider, request(data), FACTS, {}).decide()
        assert erred or not exact.called, data


@pytest.mark.parametrize("steps", [3, 12, 30, 60, 90, 150, 300])
@pytest.mark.parametrize("text", LOOPS)
def test_both_ways_end_at_the_same_step(text: str, steps: int) -> None:
    decider = by(text).decider
    for data in PAYLOADS:
        with mock.patch.object(context, "STEPS", steps):
            fast = Decision(decider, request(data), FACTS, {})
            slow = Decision(decider, request(data), FACTS, {}, lambda _node, _found: None)
        one, other = fast.decide(), slow.decide()
        assert isinstance(one, Allow) is isinstance(other, Allow)
        assert fast.left == slow.left


NODES = 3
"""Steps of `i != 0`, a macro's body of three nodes."""

PRICES: dict[str, tuple[object, str, int]] = {
    "nothing": (1, "user == plain", 0),
    "a comparison of scalars": (1, "data == 1", 0),
    "a macro over nothing": ([], "data.all(i, i != 0)", 0),
    "each element of a macro": ([1, 2, 3], "data.all(i, i != 0)", 3 * NODES),
    "all elements, looked at or not": ([0, 0, 0], "data.all(i, i != 0)", 3 * NODES),
    "parentheses in its body": ([1], "data.all(i, (i != 0))", NODES + 1),
    "a macro in a macro": ([1, 2], "data.all(i, data.all(j, j != 0))", 2 * 2 + 2 * 2 * NODES),
    "a long text that stands in its body": ([1], f'data.all(i, i != "{LONG}" || true)', 5 + 1 + FAILURE),
    "a text that is no longer than a grain": ([1], f'data.all(i, i != "{SHORT}" || true)', 5 + FAILURE),
    "an error in a macro": ([1], "data.all(i, i.a == 1) || true", 4 + FAILURE),
    "an error in a macro that counts": ([1], "data.exists_one(i, i.a == 1) || true", 4 + FAILURE),
    "an error outside": (1, "data.a == 1 || true", 0),
    "two lists": ([1, 2], "data == [1, 2]", 4 + 2),
    "lists of different lengths": ([1, 2, 3], "data == [1, 2]", 4),
    "lists in lists": ([[1], [2]], "data == [[1], [2]]", 4 + 2 + 2 * (4 + 1)),
    "long texts in lists": ([LONG], f'data == ["{LONG}"]', 4 + 1 + 1),
    "two maps": ({"a": 1}, 'data == {"a": 1}', 4 + 1),
    "a list that is searched": ([1, 2], "1 in data", 2),
    "a list that is searched for a long text": ([LONG, LONG], "meta.s in data", 2 * 2),
    "a list of texts that is searched": (1, "meta.s in meta.xs", 2 * 2),
    "a list that stands in the policy": (1, "data in [1, 2]", 0),
    "lists in a list that is searched": ([[1], [2]], "[2] in data", 2 + 2 * (4 + 1)),
    "keys": ({"a": 1}, '"a" in data', 0),
    "a let, once": ([1], "dear && dear", 4 + 1),
    "a let of a let": ([1], "further && dear", 4 + 1),
    "a let that errs, once": ([1], "(data.all(i, slow) || true) && (data.all(i, slow) || true)", 2 + 4 + 1),
    "texts outside of macros": (LONG, "data == meta.s && data + data == data", 0),
    "an index outside of macros": ({LONG: 1}, "data[meta.s] == 1", 0),
    "equal texts in macros": ([LONG], "data.all(i, i == meta.s)", 4 + 1),
    "joined texts in macros": ([LONG], 'data.all(i, i + "a" == "")', 5 + 1),
    "an index in macros": ({LONG: 1}, "data.all(i, data[i] == 1)", 5 + 1),
    "a key in macros": ({LONG: 1}, "data.all(i, i in data)", NODES + 1),
    "lower case in macros": ([LONG], 'data.all(i, i.lowerAscii() == "")', 4 + 70),
    "the beginning in macros": ([LONG], "data.all(i, i.startsWith(meta.s))", 4 + 1),
    "the end in macros": ([LONG], "data.all(i, i.endsWith(meta.s))", 4 + 1),
    "a search in macros": ([LONG], "data.all(i, i.contains(meta.s))", 4 + 70 * 70 // 64),
}


@pytest.mark.parametrize("name", PRICES)
@pytest.mark.parametrize("watch", [None, lambda _node, _found: None], ids=["compiled", "exact"])
def test_a_decision_pays_for(name: str, watch: Watch | None) -> None:
    data, text, price = PRICES[name]
    decision = Decision(by(text, "let slow = data == [1] && data.a;\n").decider, request(data), FACTS, {}, watch)
    assert isinstance(decision.decide(), Allow)
    assert STEPS - decision.left == price


def test_what_was_paid_before_an_error_is_not_given_back() -> None:
    rules = "deny early on subscribe when !dear; allow subscribe when data.all(i, further) && data.x == 1; allow subscribe;"
    decider = policy(f'{HEAD}channel "c:{{v}}" {{ {rules} }}').decider
    fast, slow = (Decision(decider, request([1]), FACTS, {}, watch) for watch in (None, lambda _node, _found: None))
    assert isinstance(fast.decide(), Allow)
    assert isinstance(slow.decide(), Allow)
    assert fast.left == slow.left == STEPS - (4 + 1) - 1


NEEDS: dict[str, set[FactKey]] = {
    "h(user) == op": {("h", "u")},
    "h(user) == h(op)": {("h", "u"), ("h", "subscribe")},
    "[h(user), h(op), user]": {("h", "u"), ("h", "subscribe")},
    "[h(user), data.x, h(op)]": {("h", "u")},
    "[user, h(op)]": {("h", "subscribe")},
    "h(user) == op && h(op) == op": {("h", "u"), ("h", "subscribe")},
    "h(user) == op && false && h(op) == op": {("h", "u")},
    "h(user) == op || data.x || h(op) == op": {("h", "u"), ("h", "subscribe")},
    "user == h(op)": {("h", "subscribe")},
    "h(op) == user": {("h", "subscribe")},
    "h(user) == data.x": {("h", "u")},
    "h(user) == op ? h(op) : h(channel)": {("h", "u"), ("h", "subscribe"), ("h", "c:a")},
    "g(1) ? 1 : 2": {("g", 1)},
    "g(1) ? data.x : h(op)": {("g", 1), ("h", "subscribe")},
    "asked == op && asked == h(op)": {("h", "u"), ("h", "subscribe")},
    "g(2) == g(1)": {("g", 1)},
    "meta.xs.exists_one(i, asked == i)": {("h", "u")},
}


@pytest.mark.parametrize("text", NEEDS)
def test_all_facts_that_can_still_matter_are_asked_for_at_once(text: str) -> None:
    at_hand = Facts({("g", 2): Known(value=True)})
    found = by(text, f"{FACT}let asked = h(user);\n").decide(request({}), at_hand)
    assert found == NeedFacts(keys=frozenset(NEEDS[text]))


@pytest.mark.parametrize(
    "text", ["g(1)", "g(1) || true", "true && g(1)", "[g(1), h(user)]", "g(1) ? 1 : 1", "g(1) == data.x", "lost || true"]
)
def test_a_lost_fact_takes_its_rule_away(text: str) -> None:
    found = by(text, f"{FACT}let lost = g(1);\n").decide(request({}), Facts({("g", 1): Lost(why="down"), ("h", "u"): Known(value="")}))
    assert isinstance(found, Deny)
    assert found.reason == "fact_error"


def test_the_end_of_the_steps_is_an_outcome_of_the_whole_expression() -> None:
    seen: list[tuple[type[Expression], Outcome]] = []
    decider = by("data.all(i, i == 1) || true").decider
    with mock.patch.object(context, "STEPS", 5):
        Decision(decider, request([1, 1]), FACTS, {}, lambda node, found: seen.append((type(node), found))).decide()
    assert seen == [(Name, [1, 1]), (Chain, Failure(why="the decision takes too much work"))]


def test_the_end_of_the_steps_behind_an_error_takes_the_rule_away() -> None:
    with mock.patch.object(context, "STEPS", 5):
        found = by("data.x || data.all(i, i == 1)").decide(request([1, 1]), FACTS)
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"


@pytest.mark.parametrize("watch", [None, lambda _node, _found: None], ids=["compiled", "exact"])
def test_a_let_without_a_value_holds_nowhere(watch: Watch | None) -> None:
    rules = "allow subscribe when wrong; allow subscribe when wrong;"
    decider = policy(f'let wrong = data.x == 1 && true;\nchannel "c:{{v}}" {{ {rules} }}').decider
    assert isinstance(Decision(decider, request({}), FACTS, {}, watch).decide(), Deny)


def test_a_let_is_remembered_from_the_exact_evaluation() -> None:
    decider = policy('let fine = user == "u";\nchannel "c:{v}" { allow subscribe when data.x && fine; allow subscribe when fine; }').decider
    with mock.patch.object(inquiry, "exact", side_effect=evaluate.exact) as exact:
        assert isinstance(decider.decide(request({}), FACTS), Allow)
        assert exact.call_count == 1


@pytest.mark.parametrize(("data", "detail"), [({}, "no such key: x"), ({"x": 1}, "expected bool")])
def test_a_deny_says_what_went_wrong_in_a_chain(data: object, detail: str) -> None:
    found = policy('channel "c:{v}" { deny odd on subscribe when true && data.x; allow subscribe; }').decide(request(data), FACTS)
    assert isinstance(found, Deny)
    assert (found.reason, found.detail) == ("error", detail)


def test_a_payload_is_judged_as_its_schema_reads_it() -> None:
    text = 'channel "c:{v}" { allow publish when data.n + 1 == 2 && data.n == 1 schema "schemas/s.json"; }'
    schema = '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}'
    asked = Request(op="publish", user="u", channel="c:a", data={"n": 1.0})
    with mock.patch.object(inquiry, "exact", side_effect=Failed("again")):
        assert isinstance(policy(text, s=schema).decide(asked, FACTS), Allow)


@pytest.mark.parametrize(("condition", "reason"), [("data == {}", "schema"), ('user == "u"', "some")])
def test_a_deny_does_not_look_at_a_payload_that_can_be_read_in_two_ways(condition: str, reason: str) -> None:
    asked = Request(op="publish", user="u", channel="c:a", data={}, ambiguous=True)
    found = policy(f'channel "c:{{v}}" {{ deny some on publish when {condition}; }}').decide(asked, FACTS)
    assert isinstance(found, Deny)
    assert found.reason == reason


@pytest.mark.parametrize(("tags", "passed"), [({"a": "b"}, {"a": "b"}), ({}, None), (None, None)])
def test_tags_that_were_sent_are_passed_on(tags: dict[str, str] | None, passed: dict[str, str] | None) -> None:
    service = policy('service s { key env KEY; allow publish on "c:{v}" when channel != ""; }')
    found = service.decide(Request(op="publish", service="s", channel="c:a", data={}, tags=tags), FACTS)
    assert isinstance(found, Allow)
    assert found.tags == passed


def test_a_let_without_a_value_is_computed_once_in_a_decision() -> None:
    rules = "".join(f"allow subscribe when slow == {number};" for number in range(3))
    decider = policy(f'{HEAD}let slow = data.x;\nchannel "c:{{v}}" {{ {rules} }}').decider
    [slow] = [binding.value for binding in decider.statics.bindings if binding.name == "slow"]
    with mock.patch.object(slow, "run", side_effect=slow.run) as run:
        assert isinstance(decider.decide(request({}), FACTS), Deny)
    assert run.call_count == 1


def test_meta_is_fitted_once_in_a_decision() -> None:
    fit = mock.Mock(side_effect=[{"n": 1}, Misfit("no")])
    fine, wrong = (Context(request(None), FACTS, {}) for _ in range(2))
    assert context.meta(fine, fit) is context.meta(fine, fit)
    for _ in range(2):
        with pytest.raises(Failed, match="no"):
            context.meta(wrong, fit)
    assert fit.call_count == 2


def test_a_channel_that_is_named_twice_is_decided_once() -> None:
    seen: list[str] = []
    rules = 'connect { allow; subscribe "c:1"; subscribe "c:1"; subscribe "d"; subscribe "d"; }\n'
    decider = policy(f'{rules}channel "c:{{n}}" {{ allow subscribe when channel != ""; }}').decider
    asked = Request(op="connect", user="u")
    Decision(decider, asked, FACTS, {}, lambda node, found: seen.append(str(found)) if type(node) is Name else None).decide()
    assert seen == ["c:1"]
