"""JSON values as the solver knows them: of which kind they are, under which condition, and what they are then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import z3

from proxy.review.proving.logic import FALSE, TRUE, choice, every, opposite, some, string

Kind = Literal["null", "bool", "int", "double", "string", "list", "map"]
KINDS: Final[tuple[Kind, ...]] = ("null", "bool", "int", "double", "string", "list", "map")
SCALARS: Final[tuple[Kind, ...]] = ("null", "bool", "int", "double", "string")

_OF: Final[Mapping[type, Kind]] = {bool: "bool", int: "int", float: "double", str: "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A condition: when it errs, when nothing is known of it, and otherwise when it is true."""

    err: z3.BoolRef = FALSE
    free: z3.BoolRef = FALSE
    holds: z3.BoolRef = FALSE


class Value(Protocol):
    """A JSON value. `kinds` exclude each other and one of them holds; what is asked for another kind means nothing."""

    @property
    def kinds(self) -> Mapping[Kind, z3.BoolRef]:
        """When it is of which kind; what is missing it never is."""
        ...

    @property
    def nan(self) -> z3.BoolRef:
        """When it is a double that is no number."""
        ...

    def term(self, kind: Kind) -> z3.ExprRef:
        """The scalar of this kind: a Bool, an Int, a Real or a String."""
        ...

    def member(self, name: str) -> "tuple[z3.BoolRef, Value]":
        """Whether the map has this member, and which."""
        ...

    def among(self, item: "Value") -> Judged:
        """Whether the list has the item as a member."""
        ...

    def size(self) -> z3.ArithRef | None:
        """How many members the list or map has; None if nothing is known."""
        ...


def of(value: Value, kind: Kind) -> z3.BoolRef:
    """When the value is of a kind."""
    return value.kinds.get(kind, FALSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A bool, int, double or string."""

    kind: Kind
    of: z3.ExprRef
    nan: z3.BoolRef = FALSE

    @property
    def kinds(self) -> Mapping[Kind, z3.BoolRef]:
        """One."""
        return {self.kind: TRUE}

    def term(self, _kind: Kind) -> z3.ExprRef:
        """The term."""
        return self.of

    def member(self, _name: str) -> tuple[z3.BoolRef, Value]:
        """None."""
        return FALSE, NULL

    def among(self, _item: Value) -> Judged:
        """None."""
        return Judged()

    def size(self) -> z3.ArithRef | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A list (`items`) or map (`entries`) as it is written in the policy, or null (neither)."""

    items: tuple[Value, ...] | None = None
    entries: Mapping[str, Value] | None = None
    same: Callable[[Value, Value], Judged] = field(default=lambda _one, _other: Judged(free=TRUE), repr=False)
    """Equality of two values, which `in` asks about."""
    nan: z3.BoolRef = FALSE

    @property
    def kinds(self) -> Mapping[Kind, z3.BoolRef]:
        """One."""
        return {"list" if self.items is not None else "map" if self.entries is not None else "null": TRUE}

    def term(self, _kind: Kind) -> z3.ExprRef:
        """None that counts."""
        return FALSE

    def member(self, name: str) -> tuple[z3.BoolRef, Value]:
        """One of the entries."""
        return (TRUE, self.entries[name]) if self.entries is not None and name in self.entries else (FALSE, NULL)

    def among(self, item: Value) -> Judged:
        """`||` over the items."""
        return first([self.same(item, each) for each in self.items or ()])

    def size(self) -> z3.ArithRef | None:
        """The count."""
        return z3.IntVal(len(self.items if self.items is not None else self.entries or ()))


NULL: Final = Built()


def first(judged: Sequence[Judged]) -> Judged:
    """`||`, which absorbs errors; of what is not known nothing is known."""
    free, holds = some(each.free for each in judged), some(every((each.holds, opposite(each.err), opposite(each.free))) for each in judged)
    err = every((some(each.err for each in judged), opposite(holds), opposite(free)))
    return Judged(err=err, free=every((free, opposite(holds))), holds=holds)


def constant(value: bool | float | str | None) -> Value:  # noqa: FBT001 - a JSON value
    """A value that is written in the policy."""
    if value is None:
        return NULL
    kind = _OF[type(value)]
    match value:
        case bool():
            return Scalar(kind=kind, of=z3.BoolVal(value))
        case int():
            return Scalar(kind=kind, of=z3.IntVal(value))
        case str():
            return Scalar(kind=kind, of=string(value))
        case _:
            return Scalar(kind=kind, of=z3.RealVal("{}/{}".format(*value.as_integer_ratio())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of two values."""

    test: z3.BoolRef
    then: Value
    other: Value

    @property
    def kinds(self) -> Mapping[Kind, z3.BoolRef]:
        """Those of both."""
        one, two = self.then.kinds, self.other.kinds
        return {kind: choice(self.test, of(self.then, kind), of(self.other, kind)) for kind in KINDS if kind in one or kind in two}

    @property
    def nan(self) -> z3.BoolRef:
        """That of the one that is taken."""
        return choice(self.test, self.then.nan, self.other.nan)

    def term(self, kind: Kind) -> z3.ExprRef:
        """That of the one that is taken, or of the only one of this kind."""
        if kind not in self.then.kinds or kind not in self.other.kinds:
            return (self.then if kind in self.then.kinds else self.other).term(kind)
        return choice(self.test, self.then.term(kind), self.other.term(kind))

    def member(self, name: str) -> tuple[z3.BoolRef, Value]:
        """Likewise."""
        (one, then), (two, other) = self.then.member(name), self.other.member(name)
        return choice(self.test, one, two), Choice(test=self.test, then=then, other=other)

    def among(self, item: Value) -> Judged:
        """Likewise."""
        one, two = self.then.among(item), self.other.among(item)
        return Judged(
            err=choice(self.test, one.err, two.err),
            free=choice(self.test, one.free, two.free),
            holds=choice(self.test, one.holds, two.holds),
        )

    def size(self) -> z3.ArithRef | None:
        """Likewise."""
        one, two = self.then.size(), self.other.size()
        return None if one is None or two is None else choice(self.test, one, two)
