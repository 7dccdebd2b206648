"""What two policies declare otherwise: who may speak, where facts come from, what backends and the log are given."""

from collections.abc import Iterator, Mapping
from typing import Final

from proxy.policy.declared import Fact, Identity
from proxy.policy.difference import Digests
from proxy.policy.policy import Policy
from proxy.review.comparing.changes import Declared, Kind
from proxy.review.comparing.duties import time

_EITHER: Final[frozenset[Kind]] = frozenset(("newly allowed", "newly denied"))
_MORE: Final[frozenset[Kind]] = frozenset(("newly allowed",))
_LESS: Final[frozenset[Kind]] = frozenset(("newly denied",))
_OTHER: Final[frozenset[Kind]] = frozenset(("changed",))
_STALER: Final[frozenset[Kind]] = frozenset(("loosened",))
_FRESHER: Final[frozenset[Kind]] = frozenset(("tightened",))


def declarations(old: Policy, new: Policy) -> Iterator[Declared]:
    """Give what differs outside of the rules."""
    yield from _identities(old, new)
    yield from _sources("database", old.databases, new.databases)
    yield from _sources("http", old.remotes, new.remotes)
    for name in old.facts.keys() & new.facts.keys():
        yield from _fact(old.facts[name], new.facts[name])
    if old.meta != new.meta:
        yield Declared(what="meta", detail=f"its type is {new.meta or 'any'}, was {old.meta or 'any'}", may=_EITHER)
    for name in old.services.keys() & new.services.keys():
        before, after = old.services[name], new.services[name]
        if before.key != after.key:
            yield Declared(what=f"service {name}", detail=f"its key is {after.key.name}, was {before.key.name}", may=_EITHER)
        if before.delivery != after.delivery:
            yield Declared(what=f"service {name}", detail=f"delivery is {after.delivery}, was {before.delivery}", may=_OTHER)
    if old.logging != new.logging:
        yield Declared(what="log", detail="what is masked or sampled differs", may=_OTHER)


def _identities(old: Policy, new: Policy) -> Iterator[Declared]:
    before, after = _people(old), _people(new)
    for name, found in before.items():
        if name not in after:
            yield Declared(what=f"identity {name}", detail="is gone", may=_EITHER if len(after) > 0 else _LESS)
        elif found != after[name]:
            yield Declared(
                what=f"identity {name}", detail="is another one: somebody else may be known by it, or be known as another", may=_EITHER
            )
    for name in after:
        if name not in before:
            yield Declared(what=f"identity {name}", detail="is new: whoever it knows may speak", may=_MORE)
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield Declared(what="identities", detail="are asked in another order", may=_EITHER)


def _people(policy: Policy) -> Mapping[str, tuple[Identity, str]]:
    digests = Digests(policy)
    return {identity.name: (identity, digests.own(f"identity/{identity.name}")) for identity in policy.identities}


def _sources(word: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Declared]:
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            yield Declared(what=f"{word} {name}", detail="is another one: what comes from it is decided from other data", may=_EITHER)


def _fact(before: Fact, after: Fact) -> Iterator[Declared]:
    what = f"fact {before.name}"
    if (before.source, before.parameters, before.takes) != (after.source, after.parameters, after.takes):
        yield Declared(what=what, detail="has another source: its rules are decided from other data", may=_EITHER)
    if str(before.type) != str(after.type):
        yield Declared(what=what, detail=f"its type is {after.type}, was {before.type}", may=_EITHER)
    for name, old, new in (("cache", before.ttl_ms, after.ttl_ms), ("negative", before.negative_ms, after.negative_ms)):
        if old != new:
            yield Declared(what=what, detail=f"{name} {_kept(old)} → {_kept(new)}", may=_STALER if new > old else _FRESHER)
    if before.topics != after.topics:
        fewer = not set(before.topics) <= set(after.topics)
        yield Declared(what=what, detail="is invalidated on other topics", may=_STALER if fewer else _FRESHER)
    if (before.timeout_ms, before.max_entries, before.batch) != (after.timeout_ms, after.max_entries, after.batch):
        yield Declared(what=what, detail="timeout, max or batch differ", may=_OTHER)


def _kept(span: int) -> str:
    return time(span) if span else "0"
