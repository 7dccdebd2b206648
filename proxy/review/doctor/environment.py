"""Lays the variables of Centrifugo's environment over its file; the environment wins."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.review.doctor.document import Path, Tree
from proxy.review.doctor.vocabulary import SIXTH, Shape, Version, shape, within

PREFIX: Final = "CENTRIFUGO_"
"""Begins the name of every variable that Centrifugo reads."""
OWN: Final = "CENTRIFUGO_VAR_"
"""Begins the names of those that a header may hold."""

_NAMED: Final[tuple[Path, ...]] = (("channel", "namespaces"), ("proxies",), ("rpc", "namespaces"), ("consumers",))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """The tree with the variables in it, the keys that they set, and the variables that Centrifugo does not know."""

    tree: Tree
    set: Mapping[Path, str]
    unknown: tuple[str, ...]


def lay(tree: Tree, variables: Mapping[str, str], version: Version) -> Laid:
    """Set what the variables say, in a copy; an empty variable is none."""
    out = _copied(tree)
    known = dict(_names(shape(version), ()))
    placed: dict[Path, str] = {}
    unknown = []
    given = {name: value for name, value in sorted(variables.items()) if value and name.startswith(PREFIX) and not name.startswith(OWN)}
    for name, value in given.items():
        path = known.get(name) or _within(out, name, version)
        if path is None:
            unknown.append(name)
        else:
            _put(out, path, value)
            placed[path] = name
    return Laid(tree=out, set=placed, unknown=tuple(unknown))


def _names(tree: Mapping[str, Shape], path: Path) -> Iterator[tuple[str, Path]]:
    for name, inner in tree.items():
        here = (*path, name)
        if isinstance(inner, Mapping):
            yield from _names(inner, here)
        else:
            yield PREFIX + "_".join(map(str, here)).upper(), here


def _within(tree: dict[str, object], name: str, version: Version) -> Path | None:
    """The key of a named item that a variable sets, such as CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE (version 6 only)."""
    for way in _NAMED if version == SIXTH else ():
        items = _at(tree, way)
        options = within(shape(version), (*way, 0))
        for place, item in enumerate(items if isinstance(items, list) else ()):
            start = PREFIX + "_".join([*map(str, way), re.sub(r"[.-]", "_", str(item.get("name")))]).upper() + "_"
            if name.startswith(start) and isinstance(options, Mapping):
                found = {each.removeprefix(PREFIX): path for each, path in _names(options, ())}.get(name.removeprefix(start))
                return None if found is None else (*way, place, *found)
    return None


def _at(tree: object, path: Path) -> object:
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def _put(tree: dict[str, object], path: Path, value: str) -> None:
    node: Any = tree
    for step in path[:-1]:
        if isinstance(step, str) and not isinstance(node.get(step), dict | list):
            node[step] = {}
        node = node[step]
    node[path[-1]] = value


def _copied(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return {name: _copied(each) for name, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value
