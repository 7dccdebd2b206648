"""From something that grants share to their keys."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

_At = TypeVar("_At", bound=Hashable)
_Key = TypeVar("_Key", bound=Hashable)


class Index(Generic[_At, _Key]):
    """Many keys under each value. Most values have one key, and a set for one key would take four times the room of all else."""

    __slots__ = ("_many", "_one")

    def __init__(self) -> None:
        self._one: dict[_At, _Key] = {}
        self._many: dict[_At, set[_Key]] = {}

    def add(self, at: _At, key: _Key) -> bool:
        """Put `key` under `at`, where it is not yet; whether it is the first there."""
        many = self._many.get(at)
        if many is not None:
            many.add(key)
            return False
        one = self._one.setdefault(at, key)
        if one is key:
            return True
        del self._one[at]
        self._many[at] = {one, key}
        return False

    def discard(self, at: _At, key: _Key) -> bool:
        """Take `key` from under `at`, where it is; whether nothing is left there."""
        many = self._many.get(at)
        if many is not None:
            many.discard(key)
            if not many:
                del self._many[at]
            return not many
        del self._one[at]
        return True

    def get(self, at: _At) -> tuple[_Key, ...]:
        """Give the keys under `at`, as they are now."""
        many = self._many.get(at)
        if many is not None:
            return tuple(many)
        return (self._one[at],) if at in self._one else ()

    def __iter__(self) -> Iterator[_At]:
        """Give every value that has a key."""
        yield from tuple(self._one)
        yield from tuple(self._many)
