"""What a comparison of two policies found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from proxy.policy.policy import Policy
from proxy.review.comparing.witness import Witness

Kind = Literal["newly allowed", "newly denied", "loosened", "tightened", "changed", "refused otherwise", "not compared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A policy with the files that it was loaded from."""

    policy: Policy
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference: of which operation on which target, when, and the request that shows it.

    Without a `witness` no request was found that shows it, nor was it proven that there is none. `more` counts further ways to the same
    difference. `before` and `after` name the rule, or the reason of a refusal; `detail` says what else differs.
    """

    kind: Kind
    operation: str
    target: str
    when: tuple[str, ...] = ()
    detail: str = ""
    before: str = ""
    after: str = ""
    witness: Witness | None = None
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Something outside of the rules that differs: `detail` says how, `may` what can follow from it."""

    what: str
    detail: str
    may: frozenset[Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All differences; `rewritten` are units that are written otherwise and decide the same, `same` counts those that are not."""

    changes: tuple[Change, ...] = ()
    declared: tuple[Declared, ...] = ()
    rewritten: tuple[str, ...] = ()
    same: int = 0

    @property
    def kinds(self) -> frozenset[Kind]:
        """What differs or may differ."""
        return frozenset(change.kind for change in self.changes).union(*(each.may for each in self.declared))
