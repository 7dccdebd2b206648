"""What a decision pays, remembers and asks for, and that what has a value is evaluated once."""

from unittest import mock

import pytest

from proxy.policy.deciding import context, inquiry
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.decide import Decision
from proxy.policy.deciding.evaluate import Failure, Loss, Need, Outcome
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, NeedFacts, Request
from proxy.policy.meter import FAILURE, STEPS
from proxy.policy.operations import Failed
from proxy.policy.reading.syntax import Expression
from proxy.policy.types import Misfit
from tests.policy.policies import Facts, policy
from tests.policy.test_emit import CALLS, LONG, LOOPS, PAYLOADS, SHORT, by, request

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
    "a let that errs, once": ([1], "(data.all(i, slow) || true) && (data.all(i, slow) || true)", 2 + 3),
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
@pytest.mark.parametrize("slowly", [False, True])
def test_a_decision_pays_for(name: str, slowly: bool) -> None:  # noqa: FBT001 - which way
    data, text, price = PRICES[name]
    errs = "let slow = data == [1] && data.a;\n"
    decider = policy(f"{errs if 'slow' in text else ''}{by.__name__ and ''}" + _policy(text)).decider
    by_hand = Decision(decider, request(data), FACTS, {}, (lambda _node, _found: None) if slowly else None)
    assert isinstance(by_hand.decide(), Allow)
    assert STEPS - by_hand.left == price


def _policy(text: str) -> str:
    from tests.policy.test_emit import HEAD

    return f'{HEAD}channel "c:{{v}}" {{ allow subscribe data = {text}; }}'
