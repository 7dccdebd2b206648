"""Which parts of a JSON text have two readings; `proxy.wire.read.ambiguous` says it of a whole."""

import json
from collections.abc import Sequence
from typing import Final

from proxy.wire.read import ambiguous

_DIGITS: Final = len(str(2**63))
_SIGNED_64: Final = range(-(2**63), 2**63)


class _Doubt:
    """Stands for an object that names a member twice, or for an integer beyond 64 bits."""


_DOUBT: Final = _Doubt()


def doubts(raw: bytes, member: str, count: int) -> Sequence[bool]:
    """Whether each of the `count` entries of the list `member` of this object has two readings.

    `raw` are bytes that were decoded here before, into just that. All entries have two if the object around them names a member twice:
    nobody knows then which list was meant.
    """
    if not count or not ambiguous(raw):
        return (False,) * count
    around = json.loads(raw, object_pairs_hook=_once, parse_int=_fits)
    return (True,) * count if around is _DOUBT else [_doubtful(entry) for entry in around[member]]


def _once(members: list[tuple[str, object]]) -> object:
    fields = dict(members)
    return fields if len(fields) == len(members) else _DOUBT


def _fits(digits: str) -> object:
    # Very long ones are not converted: that takes quadratic time, and Python refuses it.
    return None if len(digits) <= _DIGITS + 1 and int(digits) in _SIGNED_64 else _DOUBT


def _doubtful(value: object) -> bool:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if each is _DOUBT:
            return True
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return False
