import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import pytest

from proxy.errors import FactFault
from proxy.facts.rows import MAX_ROWS, Shape
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, NULL, STRING, ListOf, MapOf, Member, Misfit, Record, Type, nullable

AGE = Record(fields={"age": Member(type=INT), "name": Member(type=STRING, optional=True)})


@pytest.mark.parametrize(("type_", "columns", "rows", "value"), [
    (AGE, ["age"], [], None),
    (AGE, ["name", "age", "more"], [("x", 1, 2)], {"name": "x", "age": 1}),
    (nullable(INT), ["x"], [(1,)], 1),
    (ListOf(of=nullable(INT)), ["x"], [(1,), (None,)], [1, None]),
    (ListOf(of=AGE), ["age"], [(1,), (2,)], [{"age": 1}, {"age": 2}]),
    (ListOf(of=INT), ["x"], [], []),
])  # fmt: skip
def test_rows_become_a_value(type_: Type, columns: Sequence[str], rows: Sequence[Sequence[object]], value: object) -> None:
    assert Shape(type_).value(columns, rows) == value


@pytest.mark.parametrize(("type_", "columns", "rows", "why"), [
    (AGE, ["age"], [(1,)] * 2, "more than 1 row"),
    (ListOf(of=INT), ["x"], [(1,)] * (MAX_ROWS + 1), "more than 1000 rows"),
    (AGE, ["age", "age"], [], "two columns of one name"),
    (INT, ["a", "b"], [], "expected one column, found 2"),
    (INT, [], [], "expected one column, found 0"),
])  # fmt: skip
def test_other_rows_and_columns_are_a_fault(type_: Type, columns: Sequence[str], rows: Sequence[Sequence[object]], why: str) -> None:
    with pytest.raises(FactFault, match=f"^{why}$"):
        Shape(type_).value(columns, rows)


NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.mark.parametrize(("type_", "given", "value"), [
    (BOOL, 1, True), (BOOL, 0, False), (BOOL, 2, 2), (BOOL, True, True), (BOOL, 1.0, 1.0),
    (INT, Decimal(3), 3), (INT, Decimal("3.5"), Decimal("3.5")), (INT, Decimal("NaN"), "NaN"), (INT, Decimal("Infinity"), "Infinity"),
    (INT, NOON, 1_767_348_000_000), (INT, NOON.replace(tzinfo=None), NOON.replace(tzinfo=None)), (INT, "3", "3"),
    (DOUBLE, Decimal("3.5"), 3.5), (DOUBLE, 3, 3), (DOUBLE, None, None),
    (STRING, Decimal("3.50"), "3.50"), (STRING, UUID(int=1), "00000000-0000-0000-0000-000000000001"), (STRING, 3, 3),
    (STRING, NOON, "2026-01-02T12:00:00+02:00"), (STRING, NOON.date(), "2026-01-02"), (STRING, NOON.time(), "12:00:00"),
    (NULL, 3, 3),
    (ANY, [Decimal(3), UUID(int=1), [NOON]], [3.0, "00000000-0000-0000-0000-000000000001", ["2026-01-02T12:00:00+02:00"]]),
    (MapOf(of=INT), '{"a": 1}', {"a": 1}), (MapOf(of=INT), {"a": 1}, {"a": 1}), (MapOf(of=INT), 5, 5),
    (MapOf(of=ListOf(of=INT)), b'{"a": [1]}', {"a": [1]}),
])  # fmt: skip
def test_what_drivers_give_becomes_what_the_language_has(type_: Type, given: object, value: object) -> None:
    found = Shape(type_).value(["x"], [(given,)])
    assert (str(found), type(found) in (type(value), Decimal)) == (str(value), True)


@pytest.mark.parametrize(("of", "given", "value"), [
    (INT, [Decimal(1)], [1]), (nullable(INT), [None, Decimal(1)], [None, 1]), (ListOf(of=STRING), [[UUID(int=0)]], [[str(UUID(int=0))]]),
    (STRING, ["[1]"], ["[1]"]), (INT, "[1, 2]", [1, 2]), (INT, 7, 7), (ListOf(of=INT), ["[1]"], ["[1]"]), (AGE, [{"age": 1}], [{"age": 1}]),
])  # fmt: skip
def test_the_elements_of_an_array_are_read_as_their_type_wants(of: Type, given: object, value: object) -> None:
    shape = Shape(Record(fields={"x": Member(type=nullable(ListOf(of=of)))}))
    assert shape.value(["x"], [(given,)]) == {"x": value}


@pytest.mark.parametrize(("type_", "given", "why"), [
    (DOUBLE, float("nan"), "expected double, found a number that JSON does not have"),
    (DOUBLE, Decimal("-Infinity"), "expected double, found a number that JSON does not have"),
    (ANY, [float("inf")], "expected double, found a number that JSON does not have"),
    (ANY, b"", "expected a JSON value, found bytes"),
    (ANY, dt.timedelta(1), "expected a JSON value, found timedelta"),
    (MapOf(of=INT), "x", "expected JSON, found other text"),
])  # fmt: skip
def test_what_the_language_does_not_have_is_a_misfit(type_: Type, given: object, why: str) -> None:
    with pytest.raises(Misfit, match=f"^{why}$"):
        Shape(type_).value(["x"], [(given,)])


def test_a_probe_of_columns_asks_for_those_that_are_required() -> None:
    assert Shape(AGE).trouble(["age", "more"]) == ""
    assert Shape(AGE).trouble(["name"]) == "there is no column age"
    assert Shape(ListOf(of=AGE)).trouble(["age", "age"]) == "two columns of one name"
    assert Shape(INT).trouble(["a", "b"]) == "expected one column, found 2"
