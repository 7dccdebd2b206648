"""What an expression can see: facts, lets, built-in names, and the place where findings go."""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.policy.declared import Fact
from proxy.policy.findings import MAX_ERRORS, Enough, Finding, Position
from proxy.policy.reading.syntax import Expression
from proxy.policy.types import Type


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What evaluating an expression may read, lets included: built-in names, facts, and how many loads of facts follow one another.

    `direct` are the slots of the lets that the expression itself names.
    """

    names: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    direct: frozenset[int] = frozenset()
    depth: int = 0

    def through(self, other: "Uses") -> "Uses":
        """These uses and those of a let that is named."""
        return Uses(
            names=self.names | other.names,
            facts=self.facts | other.facts,
            direct=self.direct,
            depth=max(self.depth, other.depth),
        )


def _unfinished(_context: object, _request: object, /) -> object:  # pragma: no cover - a policy is compiled before it is asked
    raise RuntimeError("the expression was checked but not compiled")


@dataclasses.dataclass(slots=True, kw_only=True)
class Code:
    """A checked expression; the compiler gives it `run`, and says in `pays` whether that may take steps of the decision.

    `payload` says that `data` in it means the payload fitted to the rule's schema.
    """

    node: Expression
    type: Type
    uses: Uses
    payload: bool = False
    pays: bool = False
    run: Callable[..., Any] = _unfinished


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A checked let: `slot` is its place in a decision's memory, `where` the operations in which it can be evaluated."""

    name: str
    at: Position
    slot: int
    value: Code
    where: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where an expression stands: for which operations, with which lets and with which narrower types of built-in names."""

    where: frozenset[str]
    types: Mapping[str, Type] = dataclasses.field(default_factory=dict)
    lets: Mapping[str, Binding] = dataclasses.field(default_factory=dict)
    block: bool = False
    payload: bool = False


@dataclasses.dataclass(slots=True, kw_only=True)
class Book:
    """What checking one policy set gathers: findings, the type of each node, and what was used."""

    findings: list[Finding] = dataclasses.field(default_factory=list)
    types: dict[int, Type] = dataclasses.field(default_factory=dict)
    facts: dict[str, Fact] = dataclasses.field(default_factory=dict)
    parameters: dict[str, tuple[Type, ...]] = dataclasses.field(default_factory=dict)
    patterns: dict[int, Any] = dataclasses.field(default_factory=dict)
    codes: list[Code] = dataclasses.field(default_factory=list)
    bindings: list[Binding] = dataclasses.field(default_factory=list)
    used_lets: set[int] = dataclasses.field(default_factory=set)
    used_facts: set[str] = dataclasses.field(default_factory=set)

    errors: int = 0

    def find(self, id_: str, at: Position, message: str, hint: str = "") -> None:
        """Notes what was found; raises `Enough` with the last error that is too many."""
        self.note(Finding(id=id_, at=at, message=message, hint=hint))

    def note(self, finding: Finding) -> None:
        """Notes a finding; raises likewise."""
        self.findings.append(finding)
        if finding.severity == "error":
            self.errors += 1
            if self.errors == MAX_ERRORS:
                raise Enough(finding.at)

    @property
    def broken(self) -> bool:
        """Whether something found keeps the set from loading."""
        return any(f.severity == "error" for f in self.findings)


_LONGEST, _MANY = 64, 1000
"""Longer words and more names than these are not compared: it would take long and hardly help."""


def meant(word: str, known: Iterable[str]) -> str:
    """A suggestion for a misspelled word, or the empty string."""
    length, names = len(word), {*known}
    if length > _LONGEST or len(names) > _MANY:
        return ""
    near = difflib.get_close_matches(word, sorted(name for name in names if abs(len(name) - length) <= length), n=1)
    return f'did you mean "{near[0]}"?' if near else ""
