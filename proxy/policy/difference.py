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

    return lambda rule: differs(unit(rule))


def unit(rule: str) -> str:
    """Give what a rule belongs to, by which its id begins; see `Digests`."""
    return rule.rpartition("/")[0]


class Digests:
    """A digest for each unit of a policy: `connect`, `PATTERN/OP`, `rpc/METHOD`, `service/NAME/METHOD`, as the ids of rules begin.

    `identity/NAME` is one too.
    """

    def __init__(self, policy: Policy) -> None:
        decider = policy.decider
        self._bindings = decider.statics.bindings
        self._facts = policy.facts
        self._shared = repr((policy.guests, policy.meta, sorted(policy.databases.items()), sorted(policy.remotes.items())))
        self._lets: dict[int, str] = {}
        self._codes: dict[int, str] = {}
        self._units: Mapping[str, object] = {
            "connect": decider.plans.connect,
            **{f"{pattern.text}/{op}": plan for pattern, plans in decider.plans.channels for op, plan in plans.items()},
            **{f"rpc/{method}": plan for method, plan in decider.plans.rpcs.items()},
            **{f"service/{name}/{method}": plan for name, plans in decider.plans.services.items() for method, plan in plans.items()},
            **{f"identity/{name}": plan for name, plan in decider.plans.people.items()},
        }

    def of(self, unit: str) -> str:
        """Give the digest of a unit, `""` for one that the policy does not have."""
        own = self.own(unit)
        return own and _digest(self._shared, own)

    def own(self, unit: str) -> str:
        """Give the digest of a unit without what all units share: who is admitted, the type of meta, where facts come from."""
        found = self._units.get(unit)
        return "" if found is None else _digest(*self._written(found))

    def _written(self, value: object) -> Iterator[str]:
        match value:
            case Code():
                yield self._code(value)
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

    def _code(self, code: Code) -> str:
        """The digest of an expression, which many operations share."""
        if id(code) not in self._codes:
            self._codes[id(code)] = _digest(
                *self._written(code.node),
                f"{code.payload}{sorted(code.uses.names)}",
                *(self._let(slot) for slot in sorted(code.uses.direct)),
                *(self._fact(name) for name in sorted(code.uses.facts)),
            )
        return self._codes[id(code)]

    def _let(self, slot: int) -> str:
        if slot not in self._lets:
            binding = self._bindings[slot]
            self._lets[slot] = _digest(binding.name, *self._written(binding.value))
        return self._lets[slot]

    def _fact(self, name: str) -> str:
        return _digest(*self._written(self._facts[name]))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()
