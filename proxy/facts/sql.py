"""Facts from SQL databases: bound parameters only, one query for a key or, with `batch`, one for many."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, String, bindparam, text
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import TypeEngine

from proxy.errors import FactFault
from proxy.facts.batch import Batch
from proxy.facts.database import Database
from proxy.facts.lane import SHARE, Lane
from proxy.facts.rows import Row, Shape
from proxy.policy.declared import Fact
from proxy.policy.types import BOOL, INT, Misfit, Type

_PIECES = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/)|(?<![:\w]):([A-Za-z_]\w*)|:", re.DOTALL)
_AGAIN = re.compile(r"(.+):\d+")
"""How SQLite renames the second of two columns of one name in a subquery."""


def loader(fact: Fact, query: str, database: Database) -> "Query | Batch":
    """What loads the fact: a query, for many keys at once where the fact says so."""
    one = Query(fact, query, database)
    return Batch(one) if fact.batch > 1 else one


class Query:
    """Loads one fact with its query, the columns of which become a value as the fact's type wants."""

    def __init__(self, fact: Fact, query: str, database: Database) -> None:
        self._parameters, self._takes = fact.parameters, fact.takes
        self._sql, self._database = query.strip().rstrip(";"), database
        self._lane = Lane(fact.name, SHARE, database.turns)
        self._shape = Shape(fact.type)
        self._one = self._text(database.kind.bounded(_named(self._sql), self._shape.limit + 1))
        self._sizes: dict[int, TextClause] = {}
        self.most = fact.batch

    async def __call__(self, arguments: Sequence[object], /) -> object:
        """The value as the database has it, not yet fitted to its type; raises `FactFault` or `Misfit`."""
        bound = dict(zip(self._parameters, arguments, strict=True))
        columns, rows = await self._rows(self._one, bound, self._shape.limit + 1)
        return self._shape.value(columns, rows)

    async def many(self, keys: Sequence[Sequence[object]], /) -> Sequence[object]:
        """For each key what a call gives or raises; raises `FactFault` where the query fails, be it for one of the keys."""
        size = min(self.most, 1 << (len(keys) - 1).bit_length())  # few sizes, so that few statements are prepared
        padded = [*keys, *[keys[-1]] * (size - len(keys))]
        names = [f"{name}_{number}" for number in range(size) for name in self._parameters]
        bound = dict(zip(names, (argument for key in padded for argument in key), strict=True))
        columns, rows = await self._rows(self._sized(size), bound, size * (self._shape.limit + 1))
        found: list[list[Row]] = [[] for _ in padded]
        for number, *row in rows:
            found[number].append(row)  # type: ignore[call-overload]  # the literal in front of each row
        return [self._settled(_plain(columns[1:]), found[number]) for number in range(len(keys))]

    async def probe(self) -> None:
        """Returns when the database understands the query and its columns suit the type; raises `FactFault`."""
        columns = await self._columns(_named(self._sql), ("",))
        if trouble := self._shape.trouble(_plain(columns)):
            raise FactFault(f"database {self._database.name}: {trouble}")
        if self.most > 1:
            await self._columns(self._united(2), ("_0", "_1"))

    async def _columns(self, sql: str, keys: Sequence[str]) -> Sequence[str]:
        query = self._text(f"select * from (\n{sql}\n) as found limit 0", keys)  # noqa: S608 - the policy's text
        columns, _ = await self._rows(query, {name + key: None for key in keys for name in self._parameters}, 1)
        return columns

    async def _rows(self, query: TextClause, bound: Mapping[str, object], limit: int) -> tuple[list[str], Sequence[Row]]:
        return await self._lane.run(lambda: self._database.rows(query, bound, limit))

    def _sized(self, size: int) -> TextClause:
        if size not in self._sizes:
            self._sizes[size] = self._text(self._united(size), [f"_{number}" for number in range(size)])
        return self._sizes[size]

    def _united(self, size: int) -> str:
        """The query once for each key, numbered, with the bound of each: what PostgreSQL and SQLite both plan as that many look-ups."""
        each = (_named(self._sql, f"_{number}") for number in range(size))
        return "\nunion all\n".join(
            f"select {number}, found.* from (select * from (\n{sql}\n) as every limit {self._shape.limit + 1}) as found"  # noqa: S608 - as above
            for number, sql in enumerate(each)
        )

    def _text(self, sql: str, keys: Sequence[str] = ("",)) -> TextClause:
        types = list(zip(self._parameters, self._takes, strict=True))
        return text(sql).bindparams(*(bindparam(name + key, type_=_bound(kind)) for key in keys for name, kind in types))

    def _settled(self, columns: Sequence[str], rows: Sequence[Row]) -> object:
        try:
            return self._shape.value(columns, rows)
        except (FactFault, Misfit) as failure:
            return failure


def _named(query: str, suffix: str = "") -> str:
    """The query as SQLAlchemy reads it, with `suffix` behind the names of its parameters; any other colon is no parameter."""
    return _PIECES.sub(lambda piece: f":{piece[2]}{suffix}" if piece[2] else piece[0].replace(":", "\\:"), query)


def _bound(kind: Type) -> TypeEngine[Any]:
    """PostgreSQL is told the types, so that it need not guess; what is compared with another type is cast in the query."""
    types: dict[Type, TypeEngine[Any]] = {BOOL: Boolean(), INT: BigInteger()}
    return types.get(kind, String())


def _plain(columns: Sequence[str]) -> list[str]:
    return [again[1] if (again := _AGAIN.fullmatch(name)) and again[1] in columns else name for name in columns]
