"""From something that grants share to their keys."""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

MANY: Final = 16
"""So many keys under a value are a set; fewer are a tuple, since a set of two takes more room than all else about them."""

_At = TypeVar("_At", bound=Hashable)
_Key = TypeVar("_Key", bound=Hashable)


class _Few(tuple[_Key, ...]):
    """Two keys or some more; a class of its own, because keys are tuples, too."""

    __slots__ = ()


class Index(Generic[_At, _Key]):
    """Many keys under each value, most of which have one or a few. No key is None."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[_At, _Key | _Few[_Key] | set[_Key]] = {}

    def add(self, at: _At, key: _Key) -> None:
        """Put `key` under `at`, where it is not yet."""
        keys = self._keys
        found = keys.setdefault(at, key)
        if found is key:
            return
        if isinstance(found, set):
            found.add(key)
            return
        few = found if isinstance(found, _Few) else (found,)
        keys[at] = _Few((*few, key)) if len(few) < MANY - 1 else {*few, key}

    def discard(self, at: _At, key: _Key) -> None:
        """Take `key` from under `at`, where it is."""
        found = self._keys[at]
        if isinstance(found, set):
            found.discard(key)
            if found:
                return
        elif isinstance(found, _Few):
            left = _Few(each for each in found if each != key)
            self._keys[at] = left if len(left) > 1 else left[0]
            return
        del self._keys[at]

    def get(self, at: _At) -> tuple[_Key, ...]:
        """Give the keys under `at`, as they are now."""
        found = self._keys.get(at)
        if found is None:
            return ()
        return tuple(found) if isinstance(found, _Few | set) else (found,)

    def first(self, at: _At) -> _Key | None:
        """Give one of the keys under `at`, whichever; None where there is none."""
        found = self._keys.get(at)
        return next(iter(found)) if isinstance(found, _Few | set) else found
