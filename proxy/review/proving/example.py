"""From a model of the solver to a request with its facts, as the command `decide` reads it."""

from collections.abc import Mapping
from typing import Any, Final

import z3

from proxy.policy.names import LABELS
from proxy.policy.policy import Policy
from proxy.policy.types import ANY, INT, STRING, Type
from proxy.review import lines
from proxy.review.comparing.samples import sample
from proxy.review.comparing.world import LOST, NOW_MS
from proxy.review.proving.decisions import Asked
from proxy.review.proving.logic import text
from proxy.review.proving.trees import Arguments, Node, Tree, World, apply
from proxy.review.proving.values import SCALARS, Kind

MOST: Final = 1000
"""Members of a list that are written out."""

_USUAL: Final[Mapping[str, object]] = {"client": "c1", "transport": "websocket", "key": "k", "timestamp_ms": NOW_MS}
_TREES: Final[Mapping[str, Type]] = {"data": ANY, "labels": LABELS, "tags": LABELS}


class Example:
    """One model as JSON."""

    def __init__(self, policy: Policy, world: World, model: z3.ModelRef) -> None:
        self._policy, self._world, self._model = policy, world, model

    def line(self, asked: Asked) -> dict[str, Any]:
        """The request, which has a channel, as members of a line; what it may lack it does not lack."""
        out: dict[str, Any] = {"service": asked.service, "method": asked.op}
        if asked.service is None:
            out = {"op": asked.op, "user": self._plain(z3.String("user"))}
        out["channel"] = self._plain(z3.String("channel"))
        for name, usual in _USUAL.items():
            known = name in self._world.roots
            out[name] = self._read(self._world.root(name), INT if type(usual) is int else STRING, ()) if known else usual
        for name, type_ in {**_TREES, "meta": self._policy.meta or ANY}.items():
            if name in self._world.roots:
                out[name] = self._read(self._world.root(name), type_, ())
        return {**out, "facts": self._facts()}

    def _facts(self) -> dict[str, object]:
        out: dict[str, object] = {}
        for (fact, _), (node, arguments) in self._world.calls.items():
            known = tuple(self._value(each) for each in arguments)
            lost = z3.is_true(self._value(self._world.flag(f"{fact}!lost", known)))
            key = lines.fact_text((fact, *(self._plain(each) for each in known)))
            out[key] = LOST if lost else self._read(node, self._policy.facts[fact].type, known)
        return out

    def _read(self, node: Node, type_: Type, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
        tree = Tree(self._world, node, type_, arguments)
        kind: Kind = next(kind for kind, so in tree.kinds.items() if z3.is_true(self._value(so)))
        if kind == "null":
            return None
        if kind in SCALARS:
            return self._plain(tree.term(kind))
        return self._list(tree, arguments) if kind == "list" else self._map(tree, type_)

    def _map(self, tree: Tree, type_: Type) -> dict[str, object]:
        needed = sample(type_)
        out: dict[str, object] = dict(needed) if isinstance(needed, dict) else {}
        for name in tree.node.children:
            present, child = tree.member(name)
            if z3.is_true(self._value(present)):
                out[name] = self._read(child.node, child.type, child.arguments)
            else:
                out.pop(name, None)
        return out

    def _list(self, tree: Tree, arguments: Arguments) -> list[object]:
        out: dict[object, None] = {}
        for kind, item in tree.node.items:
            value = self._value(item)
            held = apply(f"{tree.node.name}!set:{kind}", arguments, z3.ArraySort(value.sort(), z3.BoolSort()))
            if z3.is_true(self._value(z3.Select(held, value))):
                out[self._plain(value)] = None
        count = self._plain(tree.size()) if tree.node.sized else 0
        return [*out, *["x"] * (min(count, MOST) - len(out))]

    def _value(self, term: z3.ExprRef) -> z3.ExprRef:
        return self._model.eval(term, model_completion=True)

    def _plain(self, term: z3.ExprRef) -> Any:  # noqa: ANN401 - JSON
        """A scalar of the model as JSON."""
        found = self._value(term)
        if z3.is_bool(found):
            return z3.is_true(found)
        if z3.is_int_value(found):
            return found.as_long()
        if z3.is_rational_value(found):
            return float(found.as_fraction())
        return text(found)
