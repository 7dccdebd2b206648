"""JSON Schemas as formulas: what must be so of a payload that one accepts; what is not understood asks for nothing."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import z3

from proxy.policy.schemas import Schema
from proxy.policy.types import ANY
from proxy.review.comparing.samples import meant
from proxy.review.proving.logic import FALSE, TRUE, every, implied, opposite, some, told
from proxy.review.proving.operators import equal, real, unlike
from proxy.review.proving.trees import Node, Tree, World
from proxy.review.proving.values import Kind, Value, constant, of

_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "null": ("null",),
    "boolean": ("bool",),
    "integer": ("int", "double"),
    "number": ("int", "double"),
    "string": ("string",),
    "array": ("list",),
    "object": ("map",),
}
_DEEPEST: Final = 8
_BOUNDS: Final[Mapping[str, Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]]] = {
    "minimum": lambda number, edge: number >= edge,
    "maximum": lambda number, edge: number <= edge,
    "exclusiveMinimum": lambda number, edge: number > edge,
    "exclusiveMaximum": lambda number, edge: number < edge,
}
_LENGTHS: Final[Mapping[str, Callable[[z3.ArithRef, int], z3.BoolRef]]] = {
    "minLength": lambda length, edge: length >= edge,
    "maxLength": lambda length, edge: length <= edge,
}


class Payloads:
    """The payload of a request, and what the schemas of some files say of it."""

    def __init__(self, world: World, files: Mapping[str, bytes]) -> None:
        self._world = world
        self._files = {hashlib.sha256(raw).hexdigest(): raw for name, raw in files.items() if name.endswith(".json")}
        self._closed: list[tuple[z3.BoolRef, Node, frozenset[str]]] = []
        self._accepted: dict[str, z3.BoolRef] = {}
        self.sent = Tree(world, world.root("data"), ANY)

    def fitted(self, schema: Schema) -> Value:
        """The payload as the schema types it."""
        return Tree(self._world, self.sent.node, schema.type, fitted=True)

    def accepted(self, schema: Schema) -> z3.BoolRef:
        """Whether the schema accepts the payload."""
        if schema.digest not in self._accepted:
            found = self._accepted[schema.digest] = self._world.flag(f"fits!{schema.digest}")
            document = json.loads(self._files[schema.digest]) if schema.digest in self._files else True
            self._world.axioms.append(implied(found, self._demanded(document, document, self.sent, found, 0)))
        return self._accepted[schema.digest]

    def settle(self) -> None:
        """Say that closed objects hold nothing of what was asked for beyond their properties; to be called when all was asked."""
        for accepted, node, names in self._closed:
            for name, child in node.children.items():
                if name not in names:
                    self._world.axioms.append(implied(accepted, opposite(self._world.flag(f"{child.name}!has"))))

    def _demanded(self, schema: Any, root: Any, tree: Tree, accepted: z3.BoolRef, depth: int) -> z3.BoolRef:  # noqa: ANN401 - JSON
        """What a schema demands of a place; `accepted` is that this place must fit at all."""
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return FALSE if schema is False else TRUE
        schema = meant(schema, root)
        return every(
            (
                *_kind(schema, tree),
                *_scalar(schema, tree),
                *self._object(schema, root, tree, accepted, depth),
                *(self._demanded(each, root, tree, accepted, depth + 1) for each in schema.get("allOf", ())),
            )
        )

    def _object(self, schema: Mapping[str, Any], root: Any, tree: Tree, accepted: z3.BoolRef, depth: int) -> Iterator[z3.BoolRef]:  # noqa: ANN401 - JSON
        is_map = of(tree, "map")
        for name in schema.get("required", ()):
            yield implied(is_map, tree.member(name)[0])
        properties = schema.get("properties", {})
        for name, inner in properties.items():
            present, child = tree.member(name)
            here = every((is_map, present))
            yield implied(here, self._demanded(inner, root, child, every((accepted, here)), depth + 1))
        if schema.get("additionalProperties") is False and "patternProperties" not in schema:
            self._closed.append((every((accepted, is_map)), tree.node, frozenset(properties)))


def _kind(schema: Mapping[str, Any], tree: Tree) -> Iterator[z3.BoolRef]:
    named = schema.get("type")
    if named is not None:
        names = [named] if isinstance(named, str) else named
        kinds = {kind for name in names for kind in _KINDS[name]}
        yield opposite(unlike(tree, *kinds))
        if "integer" in names and "number" not in names:
            yield implied(of(tree, "double"), z3.IsInt(tree.term("double")))
    for values in ([schema["const"]] if "const" in schema else None, schema.get("enum")):
        if values is not None and all(not isinstance(value, dict | list) and told(value) for value in values):
            yield some(_same(tree, value) for value in values)


def _same(tree: Tree, value: float | str | None) -> z3.BoolRef:
    found = equal(tree, constant(value))
    return every((opposite(found.err), opposite(found.free), found.holds))


def _scalar(schema: Mapping[str, Any], tree: Tree) -> Iterator[z3.BoolRef]:
    for word, bounded in _BOUNDS.items():
        if word in schema:
            yield implied(opposite(unlike(tree, "int", "double")), bounded(real(tree), real(constant(schema[word]))))
    for word, measured in _LENGTHS.items():
        if word in schema:
            yield implied(of(tree, "string"), measured(z3.Length(tree.term("string")), int(schema[word])))
