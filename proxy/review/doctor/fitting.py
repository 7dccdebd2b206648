"""Fits a configuration to the keys that a version knows, as Centrifugo does when it starts, and tells what does not fit."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from proxy.errors import Malformed
from proxy.review.doctor.document import Path, Tree, lowered
from proxy.review.doctor.vocabulary import Kind, Shape, milliseconds

Misfit = Literal["unknown-key", "wrong-kind", "bare-duration"]

_WORDS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_KINDS: Final[Mapping[Kind, str]] = {
    "text": "text",
    "bool": "true or false",
    "int": "a whole number",
    "duration": 'a duration with its unit, such as "3s"',
    "list": "a list of texts",
    "map": "an object of texts",
    "any": "anything",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A value that was left out: what is wrong, where, what was found and what belongs there."""

    id: Misfit
    path: Path
    found: object
    expected: str = ""


class Misfitting(Exception):
    """A value is of another kind; carries what belongs there."""


def fit(tree: Tree, shape: Mapping[str, Shape]) -> tuple[Tree, list[Trouble]]:
    """Give the tree with only what Centrifugo takes over, each value in its kind, and what was left out.

    Values are converted where Centrifugo does it: numbers to text, one text to a list, text to numbers and switches, and JSON text to
    objects. Null is left out without a word, like an absent key. Lower case of keys is taken for granted.
    """
    troubles: list[Trouble] = []
    return _object(tree, shape, (), troubles), troubles


def _object(tree: Tree, shape: Mapping[str, Shape], path: Path, troubles: list[Trouble]) -> Tree:
    out: dict[str, object] = {}
    for name, value in tree.items():
        here = (*path, name)
        if name not in shape:
            troubles.append(Trouble(id="unknown-key", path=here, found=value))
            continue
        try:
            fitted = None if value is None else _value(value, shape[name], here, troubles)
        except Misfitting as misfit:
            bare = shape[name] == "duration" and isinstance(value, int | float)
            troubles.append(Trouble(id="bare-duration" if bare else "wrong-kind", path=here, found=value, expected=str(misfit)))
            continue
        if fitted is not None:
            out[name] = fitted
    return out


def _value(value: object, shape: Shape, path: Path, troubles: list[Trouble]) -> object:
    if isinstance(shape, str):
        return _leaf(value, shape)
    value = _decoded(value)
    if isinstance(shape, Mapping) and isinstance(value, Mapping):
        return _object(value, shape, path, troubles)
    if isinstance(shape, list) and isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        return [_object(each, shape[0], (*path, place), troubles) for place, each in enumerate(value)]
    raise Misfitting("an object" if isinstance(shape, Mapping) else "a list of objects")


def _leaf(value: object, kind: Kind) -> object:
    found = _READERS[kind](value)
    if found is None:
        raise Misfitting(_KINDS[kind])
    return found


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def _bool(value: object) -> object:
    return _WORDS.get(value.lower()) if isinstance(value, str) else bool(value) if isinstance(value, int) else None


def _int(value: object) -> object:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else None
    return int(value) if isinstance(value, int) else None


def _duration(value: object) -> object:
    if isinstance(value, str):
        return value if milliseconds(value) is not None else None
    return "0s" if value == 0 else None


def _list(value: object) -> object:
    value = _decoded(value)
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [_text(each) for each in value] if isinstance(value, list) and all(_text(each) is not None for each in value) else None


def _map(value: object) -> object:
    value = _decoded(value)
    if isinstance(value, list) and all(isinstance(each, Mapping) and {"key", "value"} == set(each) for each in value):
        value = {str(each["key"]): each["value"] for each in value}
    if not isinstance(value, Mapping) or any(_text(each) is None for each in value.values()):
        return None
    return {str(name): _text(each) for name, each in value.items()}


def _any(value: object) -> object:
    return value


_READERS: Final[Mapping[Kind, Callable[[object], object]]] = {
    "text": _text,
    "bool": _bool,
    "int": _int,
    "duration": _duration,
    "list": _list,
    "map": _map,
    "any": _any,
}


def _decoded(value: object) -> object:
    """What a text stands for that is JSON; the environment gives objects and lists like that."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return lowered(json.loads(value), "a value")
    except (ValueError, RecursionError, Malformed):
        return value
