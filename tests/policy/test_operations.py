"""Values that the conformance cases do not reach."""

import ast
import math

import pytest

from proxy.policy import operations
from proxy.policy.deciding.emit import verify
from proxy.policy.failure import Exhausted, Failed
from proxy.policy.findings import MAX_ERRORS
from proxy.policy.meter import Meter
from proxy.policy.operations import LEVELS
from proxy.review import probe


def nest(levels: int) -> list[object]:
    whole: list[object] = []
    for _ in range(levels):
        whole = [whole]
    return whole


@pytest.mark.parametrize(
    ("text", "variables", "wanted"),
    [
        ("-x == 1.5", {"x": -1.5}, True),
        ("-x", {"x": "a"}, None),
        ("x - y", {"x": "b", "y": "a"}, None),
        ("int(x)", {"x": -(2.0**63)}, None),
        ("int(x)", {"x": -(2.0**63) + 1024}, -(2**63) + 1024),
        ("x % y", {"x": 5, "y": 0}, None),
        ("x % y", {"x": 5, "y": 2.0}, None),
        ("x % y", {"x": 5.0, "y": 2}, None),
        ("x * y", {"x": 1e300, "y": 10.0}, 1e301),
        ("x * y", {"x": -7, "y": 0}, 0),
        ("string(x)", {"x": False}, "false"),
        ("x.lowerAscii()", {"x": "AZ[@\u00c9"}, "az[@\u00c9"),
        ("string(x)", {"x": "a"}, "a"),
        ("int(x)", {"x": "0" * 19 + "7"}, 7),
        ("int(x)", {"x": "0" * 20 + "7"}, None),
        ("9223372036854775807", {}, 2**63 - 1),
        ("x in y", {"x": "a", "y": ["b", "c"]}, False),
        ('x in [x, "a"]', {"x": "a"}, True),
        ("x.size()", {"x": 5}, None),
        ("x > y", {"x": 1.5, "y": 1}, True),
        ('x.matches("a")', {"x": "\ud800"}, None),
        ("x in y", {"x": nest(4), "y": [nest(4)]}, True),
        ("x == y", {"x": nest(LEVELS + 1), "y": nest(LEVELS + 1)}, None),
        ("x in y", {"x": nest(LEVELS + 1), "y": [nest(LEVELS + 1)]}, None),
    ],
)
def test_an_expression_gives(text: str, variables: dict[str, object], wanted: object) -> None:
    answer = probe.evaluate(text, {}, variables)
    assert (answer.value if answer.error is None else None) == wanted
    assert (answer.error is None) is (wanted is not None)


def test_doubles_divide_by_zero_as_ieee_says() -> None:
    assert operations.divide(1.0, -0.0) == -math.inf
    assert math.isnan(operations.divide(0.0, 0.0))  # type: ignore[arg-type]  # a double
    assert math.isnan(operations.divide(math.nan, 0.0))  # type: ignore[arg-type]  # a double
    with pytest.raises(Failed):
        operations.divide(1.0, 1)


def test_emitted_code_cannot_reach_attributes_or_imports() -> None:
    for text in ("r.user.__class__", "__import__('os')", "lambda: (yield)", "[x async for x in r]", "f'{r}'"):
        tree = ast.parse(text, mode="eval")
        if text.startswith("__import__"):
            verify(tree)
            with pytest.raises(NameError):
                eval(compile(tree, "x", "eval"), {"__builtins__": {}})  # noqa: S307 - shows that there are no builtins
        else:
            with pytest.raises(AssertionError):
                verify(tree)


def test_a_variable_type_that_is_none_is_a_load_error() -> None:
    for text in ("strng", "int; meta { a: int", "int, b: int", "", "list<"):
        assert probe.evaluate("x", {"x": text}, {"x": 1}).finding is not None, text


@pytest.mark.parametrize("text", ["x,x", "x;", "1 )", "x }"])
def test_text_behind_an_expression_is_a_syntax_error(text: str) -> None:
    finding = probe.evaluate(text, {}, {"x": 1}).finding
    assert finding is not None
    assert finding.id == "syntax"


def test_a_comparison_that_spends_the_last_step_ends_the_search_for_a_member() -> None:
    meter = Meter()
    meter.left = len("abc")
    with pytest.raises(Exhausted):
        operations.within(meter, [1], [[2], [3], [1]])


def test_errors_beyond_counting_are_one_answer() -> None:
    unknown = " && ".join(f"nobody{n}" for n in range(MAX_ERRORS + 1))
    fields = ", ".join(f"f{n}: nothing" for n in range(MAX_ERRORS + 1))
    for answer in (probe.evaluate(unknown, {}, {}), probe.evaluate("x", {"x": f"{{{fields}}}"}, {"x": 1})):
        assert answer.finding is not None
        assert answer.finding.id == "too-large"


@pytest.mark.parametrize(("value", "at", "says"), [([1], "a", "cannot index list with string"), ({"a": 1}, 0, "cannot index map with int")])
def test_what_has_no_such_place_says_so(value: object, at: object, says: str) -> None:
    with pytest.raises(Failed, match=says):
        operations.index(value, at)
