"""Reads a configuration file of Centrifugo: its values, and the line of each key."""

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

import yaml

from proxy.errors import Malformed

Path = tuple[str | int, ...]
"""The way to a value: names of members and places in lists."""
Tree = Mapping[str, object]
"""A configuration; the names of its keys are in lower case, as Centrifugo reads them."""

LARGEST: Final = 1 << 20
"""Bytes of the longest file that is read."""
DEEPEST: Final = 40
"""So many values may stand inside each other."""

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],\n]|[^\s{}\[\],:"]+')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file; `lines` count from 1 and are known for JSON and YAML, `repeated` are keys that stand twice (JSON only)."""

    file: str
    tree: Tree
    lines: Mapping[Path, int] = dataclasses.field(default_factory=dict)
    repeated: tuple[Path, ...] = ()

    def line(self, path: Path) -> int | None:
        """The line of a key, else of the nearest one around it that is there."""
        near = (path[:length] for length in range(len(path), 0, -1))
        return next((self.lines[each] for each in near if each in self.lines), None)


def read(file: str, data: bytes) -> Document:
    """Read a file by its suffix: `.json`, `.yaml`, `.yml` or `.toml`; raises `Malformed` for what is no configuration."""
    if len(data) > LARGEST:
        raise Malformed(f"{file} is longer than {LARGEST} bytes, so it is no configuration of Centrifugo")
    try:
        text = data.decode()
        found = _READERS[PurePath(file).suffix.lower()](file, text)
    except KeyError:
        raise Malformed(f"{file} must end in .json, .yaml, .yml or .toml, by which Centrifugo tells them apart, too") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Malformed(f"{file} cannot be read: {' '.join(str(error).split()) or 'it is nested too deeply'}") from None
    if not isinstance(found.tree, dict):
        raise Malformed(f"{file} must hold one object with the keys of the configuration")
    return dataclasses.replace(found, tree=lowered(found.tree, file))


def _json(file: str, text: str) -> Document:
    tree = json.loads(text)
    lines: dict[Path, int] = {}
    repeated = []
    for path, line in _keys(text):
        if path in lines and isinstance(path[-1], str):
            repeated.append(path)
        lines[path] = line
    return Document(file=file, tree=tree, lines=lines, repeated=tuple(repeated))


def _keys(text: str) -> Iterator[tuple[Path, int]]:
    """The keys and the places in lists with their lines, in the order in which they stand; the text is known to be JSON."""
    line, here = 1, list[str | int | None]()
    for word in _TOKEN.findall(text):
        match word:
            case "\n":
                line += 1
            case "{" | "[":
                here.append(None if word == "{" else 0)
            case "}" | "]":
                here.pop()
            case ",":
                here[-1] = here[-1] + 1 if isinstance(here[-1], int) else None
            case _ if here and here[-1] is None:
                here[-1] = json.loads(word).lower()
                yield tuple(step for step in here if step is not None), line


def _yaml(file: str, text: str) -> Document:
    if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
        raise ValueError("it repeats parts by reference (*name); write them out")
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return Document(file=file, tree=yaml.safe_load(text), lines=dict(_marks(node, ())))


def _marks(node: yaml.Node | None, path: Path) -> Iterator[tuple[Path, int]]:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                inner = (*path, str(key.value).lower())
                yield inner, key.start_mark.line + 1
                yield from _marks(value, inner)
        case yaml.SequenceNode():
            for place, value in enumerate(node.value):
                yield from _marks(value, (*path, place))


def _toml(file: str, text: str) -> Document:
    return Document(file=file, tree=tomllib.loads(text))


_READERS: Final = {".json": _json, ".yaml": _yaml, ".yml": _yaml, ".toml": _toml}


def lowered(value: Any, file: str, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """The value with all names of members in lower case; raises `Malformed` for one that is nested too deeply."""
    if depth > DEEPEST:
        raise Malformed(f"{file} is nested deeper than {DEEPEST}, so it is no configuration of Centrifugo")
    if isinstance(value, dict):
        return {str(name).lower(): lowered(each, file, depth + 1) for name, each in value.items()}
    return [lowered(each, file, depth + 1) for each in value] if isinstance(value, list) else value
