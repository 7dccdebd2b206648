"""Fitting JSON values to types."""

import pytest

from proxy.policy.types import ANY, BOOL, DOUBLE, INT, NULL, STRING, ListOf, MapOf, Member, Misfit, Nullable, Record, Type, fitter

RECORD = Record(fields={"a": Member(type=STRING), "b": Member(type=INT, optional=True)})


@pytest.mark.parametrize(
    ("wanted", "value", "fitted"),
    [
        (DOUBLE, 1, 1.0),
        (ANY, [None], [None]),
        (NULL, None, None),
        (Nullable(of=INT), None, None),
        (ListOf(of=DOUBLE), [1, 2.5], [1.0, 2.5]),
        (MapOf(of=BOOL), {"x": True}, {"x": True}),
        (RECORD, {"a": "x", "b": None, "more": 1}, {"a": "x"}),
        (Record(fields=RECORD.fields, open=True), {"a": "x", "b": None, "more": 1}, {"a": "x", "more": 1}),
    ],
)
def test_a_value_that_fits_is_given_as_its_type_has_it(wanted: Type, value: object, fitted: object) -> None:
    found = fitter(wanted)(value)
    assert found == fitted
    assert repr(found) == repr(fitted)


@pytest.mark.parametrize(
    ("wanted", "value", "why"),
    [
        (INT, True, "expected int, found bool"),
        (INT, 2**63, "expected int, found int"),
        (INT, 1.0, "expected int, found double"),
        (DOUBLE, "1", "expected double, found string"),
        (STRING, b"x", "expected string, found bytes"),
        (ListOf(of=INT), {"a": 1}, "expected list<int>, found map"),
        (ListOf(of=INT), [1, "2"], "[1]: expected int, found string"),
        (MapOf(of=INT), [1], "expected map<string, int>, found list"),
        (MapOf(of=INT), {"x": None}, "['x']: expected int, found null"),
        (RECORD, [], "expected {a: string, b?: int}, found list"),
        (RECORD, {"b": 1}, "a: expected string, found nothing"),
        (RECORD, {"a": "x", "b": "y"}, "b: expected int, found string"),
        (Nullable(of=STRING), 5, "expected string, found int"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_place(wanted: Type, value: object, why: str) -> None:
    with pytest.raises(Misfit) as error:
        fitter(wanted)(value)
    assert str(error.value) == why
