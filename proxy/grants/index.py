"""From the topics that grants rest on to those grants."""

from typing import Final, TypeAlias

from proxy.grants.grant import Grant

MANY: Final = 16
"""So many grants at a place are a set; fewer are a list, since a set of two takes more room than all else about them."""

_Place: TypeAlias = Grant | list[Grant] | set[Grant]


class Index:
    """Many grants under each name, most of which have one or a few."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def add(self, name: str, grant: Grant) -> None:
        """Put a grant there; it may be there already only if it was put there last."""
        found = self._places.setdefault(name, grant)
        if found is grant:
            return
        if isinstance(found, set):
            found.add(grant)
        elif isinstance(found, list):
            if found[-1] is not grant:
                found.append(grant)
                if len(found) == MANY:
                    self._places[name] = set(found)
        else:
            self._places[name] = [found, grant]

    def discard(self, name: str, grant: Grant) -> None:
        """Take a grant from there if it is there."""
        found = self._places.get(name)
        if isinstance(found, set):
            found.discard(grant)
            if not found:
                del self._places[name]
        elif isinstance(found, list):
            if grant in found:
                found.remove(grant)
                if len(found) == 1:
                    self._places[name] = found[0]
        elif found is grant:
            del self._places[name]

    def get(self, name: str) -> tuple[Grant, ...]:
        """Give the grants that are there now."""
        found = self._places.get(name)
        if found is None:
            return ()
        return (found,) if isinstance(found, Grant) else tuple(found)
