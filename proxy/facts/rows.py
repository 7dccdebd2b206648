"""From rows to the value of a fact: how many there may be, and what a driver's values are in the types of the language."""

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import orjson

from proxy.errors import FactFault
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, STRING, ListOf, MapOf, Misfit, Nullable, Record, Type, describe

MAX_ROWS = 1000
"""Rows of a fact whose type is a list."""

Row = Sequence[object]
Reader = Callable[[object], object]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


class Shape:
    """How rows become a value: a record takes one row, a list up to `MAX_ROWS`, anything else one column of one row; no row is None."""

    def __init__(self, wanted: Type) -> None:
        of = _present(wanted)
        self._many = isinstance(of, ListOf)
        self._row = _present(of.of) if isinstance(of, ListOf) else of
        self._readers = {name: _reader(member.type) for name, member in self._row.fields.items()} if isinstance(self._row, Record) else {}
        self._reader = _reader(self._row)
        self.limit = MAX_ROWS if self._many else 1

    def value(self, columns: Sequence[str], rows: Sequence[Row]) -> object:
        """The value, not yet fitted to its type; raises `FactFault` for too many rows or other columns, `Misfit`."""
        if len(rows) > self.limit:
            raise FactFault(f"more than {self.limit} row{'s' if self._many else ''}")
        if trouble := self._counted(columns):
            raise FactFault(trouble)
        values = [self._shaped(columns, row) for row in rows]
        if self._many:
            return values
        return values[0] if values else None

    def trouble(self, columns: Sequence[str]) -> str:
        """What is wrong with these columns for every row, or nothing."""
        if isinstance(self._row, Record):
            absent = [name for name, member in self._row.fields.items() if name not in columns and not member.optional]
            if absent:
                return f"there is no column {', '.join(absent)}"
        return self._counted(columns)

    def _counted(self, columns: Sequence[str]) -> str:
        if not isinstance(self._row, Record):
            return "" if len(columns) == 1 else f"expected one column, found {len(columns)}"
        return "two columns of one name" if len(set(columns)) < len(columns) else ""

    def _shaped(self, columns: Sequence[str], row: Row) -> object:
        if not isinstance(self._row, Record):
            return self._reader(row[0])
        readers = self._readers
        return {name: readers[name](value) for name, value in zip(columns, row, strict=True) if name in readers}


def _present(wanted: Type) -> Type:
    return wanted.of if isinstance(wanted, Nullable) else wanted


def _reader(wanted: Type) -> Reader:
    wanted = _present(wanted)
    if not isinstance(wanted, ListOf | MapOf | Record):
        return _scalar(wanted)
    read = _elements(wanted)
    return lambda value: _json(value) if isinstance(value, str | bytes) else read(value)


def _scalar(wanted: Type) -> Reader:
    readers: dict[Type, Reader] = {BOOL: _bool, INT: _int, DOUBLE: _double, STRING: _string, ANY: _any}
    return readers.get(wanted, _same)


def _elements(wanted: Type) -> Reader:
    """The elements of an array; what came as JSON is in the types of the language already."""
    wanted = _present(wanted)
    if not isinstance(wanted, ListOf):
        return _scalar(wanted)
    inner = _elements(wanted.of)
    return lambda value: [inner(item) for item in value] if isinstance(value, list) else value


def _same(value: object) -> object:
    return value


def _bool(value: object) -> object:
    return {0: False, 1: True}.get(value, value) if type(value) is int else value


def _int(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return (value - _EPOCH) // _MILLISECOND
    return value


def _double(value: object) -> object:
    value = float(value) if isinstance(value, Decimal) else value
    if isinstance(value, float) and not math.isfinite(value):
        raise Misfit("expected double, found a number that JSON does not have")
    return value


def _string(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _any(value: object) -> object:
    if isinstance(value, list):
        return [_any(item) for item in value]
    value = _string(_double(value))
    if not isinstance(value, bool | int | float | str | Mapping | None):
        raise Misfit(f"expected a JSON value, found {describe(value)}")
    return value


def _json(value: str | bytes) -> object:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Misfit("expected JSON, found other text") from None
