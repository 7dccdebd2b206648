"""What two policies decide alike, by what their decisions are made of; where a rule stands and how it is laid out does not count."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping

from proxy.policy.checking.world import Code
from proxy.policy.policy import Policy
from proxy.policy.schemas import Schema

_UNSAID = frozenset({"at", "fit", "run", "uses"})


def changed(before: Policy, after: Policy) -> Callable[[str], bool]:
    """Make a test of the ids of `before`'s rules: whether what the rule allowed may be decided otherwise now.

    It may say so of what is decided alike, never the other way round.
    """
    old, new = Digests(before), Digests(after)

    @functools.cache
    def differs(unit: str) -> bool:
        return old.of(unit) != new.of(unit)

    return lambda rule: differs(rule.rpartition("/")[0])


class Digests:
    """A digest for each unit of a policy: `connect`, or a pattern and an operation, as the ids of their rules begin."""

    def __init__(self, policy: Policy) -> None:
        decider = policy.decider
        self._bindings = decider.statics.bindings
        self._facts = policy.facts
        self._shared = repr((policy.guests, policy.meta, sorted(policy.databases.items()), sorted(policy.remotes.items())))
        self._lets: dict[int, str] = {}
        self._units: Mapping[str, object] = {
            "connect": decider.plans.connect,
            **{f"{pattern.text}/{op}": plan for pattern, plans in decider.plans.channels for op, plan in plans.items()},
        }

    def of(self, unit: str) -> str:
        """Give the digest of a unit, `""` for one that the policy does not have."""
        found = self._units.get(unit)
        return "" if found is None else _digest(self._shared, *self._written(found))

    def _written(self, value: object) -> Iterator[str]:
        match value:
            case Code():
                yield from self._written(value.node)
                yield f"{value.payload}{sorted(value.uses.names)}"
                yield from (self._let(slot) for slot in sorted(value.uses.direct))
                yield from (self._fact(name) for name in sorted(value.uses.facts))
            case Schema():
                yield value.digest
            case tuple() | list():
                yield f"{len(value)}("
                for item in value:
                    yield from self._written(item)
            case _ if dataclasses.is_dataclass(value):
                yield type(value).__name__
                for field in dataclasses.fields(value):
                    if field.name not in _UNSAID:
                        yield from self._written(getattr(value, field.name))
            case _:
                yield repr(value)

    def _let(self, slot: int) -> str:
        if slot not in self._lets:
            binding = self._bindings[slot]
            self._lets[slot] = _digest(binding.name, *self._written(binding.value))
        return self._lets[slot]

    def _fact(self, name: str) -> str:
        return _digest(*self._written(self._facts[name]))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()
