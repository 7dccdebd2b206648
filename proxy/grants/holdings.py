"""Grants by their keys: by user, then by client or token, then by channel."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, TypeAlias

from proxy.grants.grant import Grant, Key

MANY: Final = 16
"""So many grants whose keys begin alike are found by what comes next in them; fewer are looked through, which takes less room."""

_Node: TypeAlias = "Grant | list[Grant] | dict[str, _Node]"


class Holdings:
    """One grant for each key, those of a user together, in the order in which users came."""

    __slots__ = ("_count", "_users")

    def __init__(self) -> None:
        self._users: dict[str, _Node] = {}
        self._count = 0

    def __len__(self) -> int:
        """Give the number of grants."""
        return self._count

    def __iter__(self) -> Iterator[Grant]:
        """Give all grants; none may be placed or removed meanwhile."""
        for found in self._users.values():
            if isinstance(found, Grant):
                yield found
            else:
                yield from _all(found)

    def place(self, grant: Grant) -> Grant:
        """Put a grant where none is for its key, and give the one that is there then."""
        found = self._users.setdefault(grant.user, grant)
        if found is not grant:
            held = self._beside(found, grant)
            if held is not grant:
                return held
        self._count += 1
        return grant

    def get(self, key: Key) -> Grant | None:
        """Give the grant of a key."""
        level, part, _ = self._place(key)
        return _among(_few(level.get(part)), key[1], key[2])

    def of_user(self, user: str) -> tuple[Grant, ...]:
        """Give what a user has now."""
        found = self._users.get(user)
        return () if found is None else tuple(_all(found))

    def of_holder(self, user: str, holder: str) -> tuple[Grant, ...]:
        """Give what a client or token of a user has now, in the order in which it came."""
        found = self._users.get(user)
        if isinstance(found, dict):
            found = found.get(holder)
        return () if found is None else tuple(grant for grant in _all(found) if grant.holder == holder)

    def remove(self, grant: Grant) -> None:
        """Take away a grant that is there."""
        level, part, _ = self._place(grant.key)
        left = [each for each in _few(level[part]) if each is not grant]
        if left:
            level[part] = left[0] if len(left) == 1 else left
        else:
            del level[part]
            self._tidy(grant)
        self._count -= 1

    def _beside(self, found: _Node, grant: Grant) -> Grant:
        """Put a grant beside what its user has, if there is none for its key; give the one that is there then."""
        level, part, depth, few = self._users, grant.user, 1, _few(found)
        if isinstance(found, dict):
            level, part, depth = self._place(grant.key)
            few = _few(level.get(part))
        held = _among(few, grant.holder, grant.channel)
        if held is not None:
            return held
        grant.share(few[0] if few else _first(found))
        level[part] = _sorted([*few, grant], depth) if few else grant
        return grant

    def _place(self, key: Key) -> tuple[dict[str, _Node], str, int]:
        """The dictionary and the part of the key, with its number, where the key leads to a few grants, or to none."""
        user, holder, channel = key
        of_user = self._users.get(user)
        if not isinstance(of_user, dict):
            return self._users, user, 1
        of_holder = of_user.get(holder)
        return (of_holder, channel, 3) if isinstance(of_holder, dict) else (of_user, holder, 2)

    def _tidy(self, grant: Grant) -> None:
        """Take away the dictionaries that this grant was the last in."""
        of_user = self._users.get(grant.user)
        if isinstance(of_user, dict):
            if of_user.get(grant.holder) == {}:
                del of_user[grant.holder]
            if not of_user:
                del self._users[grant.user]


def _sorted(grants: list[Grant], depth: int) -> list[Grant] | dict[str, _Node]:
    """Several grants whose keys are alike in the first `depth` parts."""
    if len(grants) < MANY:
        return grants
    by_part: defaultdict[str, list[Grant]] = defaultdict(list)
    for grant in grants:
        by_part[grant.key[depth]].append(grant)
    return {part: group[0] if len(group) == 1 else _sorted(group, depth + 1) for part, group in by_part.items()}


def _first(found: _Node) -> Grant:
    """One of the grants there."""
    while not isinstance(found, Grant):
        found = found[0] if isinstance(found, list) else next(iter(found.values()))
    return found


def _few(found: "_Node | None") -> list[Grant]:
    """The grants in a place that is no dictionary."""
    if isinstance(found, list):
        return found
    return [found] if isinstance(found, Grant) else []


def _among(few: list[Grant], holder: str, channel: str) -> Grant | None:
    """The grant that a client or token has of a channel, among some of its user."""
    for grant in few:
        if grant.holder == holder and grant.channel == channel:
            return grant
    return None


def _all(found: _Node) -> Iterator[Grant]:
    if isinstance(found, Grant):
        yield found
    else:
        for each in found.values() if isinstance(found, dict) else found:
            yield from _all(each)
