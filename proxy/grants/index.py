"""From something that grants share to their keys."""

from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeVar

MANY: Final = 16
"""So many keys under a value are a set; fewer are a list, since a set of two takes more room than all else about them."""

_SEVERAL: Final = (list, set)

_At = TypeVar("_At", bound=Hashable)
_Key = TypeVar("_Key", bound=Hashable)


class Index(Generic[_At, _Key]):
    """Many keys under each value, most of which have one or a few. No key is None, or a list or set."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[_At, _Key | list[_Key] | set[_Key]] = {}

    def add(self, places: Iterable[_At], key: _Key) -> None:
        """Put `key` under each of these; it may stand there already only if it was put there last."""
        keys = self._keys
        for at in places:
            found = keys.setdefault(at, key)
            if found is key:
                continue
            if isinstance(found, list):
                if found[-1] is not key:
                    found.append(key)
                    if len(found) == MANY:
                        keys[at] = set(found)
            elif isinstance(found, set):
                found.add(key)
            else:
                keys[at] = [found, key]

    def discard(self, places: Iterable[_At], key: _Key) -> None:
        """Take `key` from under each of these where it is."""
        keys = self._keys
        for at in places:
            found = keys.get(at)
            if isinstance(found, list):
                if key in found:
                    found.remove(key)
                    if len(found) == 1:
                        keys[at] = found[0]
            elif isinstance(found, set):
                found.discard(key)
                if not found:
                    del keys[at]
            elif found == key:
                del keys[at]

    def get(self, at: _At) -> tuple[_Key, ...]:
        """Give the keys under `at`, as they are now."""
        found = self._keys.get(at)
        if found is None:
            return ()
        return tuple(found) if isinstance(found, _SEVERAL) else (found,)

    def first(self, at: _At) -> _Key | None:
        """Give one of the keys under `at`, whichever; None where there is none."""
        found = self._keys.get(at)
        return next(iter(found)) if isinstance(found, _SEVERAL) else found
