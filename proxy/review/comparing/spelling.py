"""Spells expressions as keys: equal keys have equal values for one request, whichever policy they come from."""

from collections.abc import Callable, Iterator

from proxy.policy.patterns import Parameter, Pattern
from proxy.policy.reading import syntax
from proxy.policy.reading.walk import parts
from proxy.review.comparing.logic import Key


def constant(value: bool | float | str | None) -> Key:  # noqa: FBT001 - a JSON value
    """A literal; `1`, `1.0` and `true` are three."""
    return ("const", type(value).__name__, value)


def frame(pattern: Pattern) -> Key:
    """A pattern but for the names of its parameters."""
    return tuple(piece if isinstance(piece, str) else (piece.kind,) for piece in pattern.pieces)


def variable(pattern: Pattern, name: str) -> Key:
    """A parameter by its place."""
    parameters = [piece.name for piece in pattern.pieces if isinstance(piece, Parameter)]
    return ("vars", frame(pattern), parameters.index(name))


def whole(node: syntax.Expression, named: Callable[[syntax.Name], Key], bound: tuple[str, ...] = ()) -> Key:  # noqa: PLR0911 - one line a kind
    """An expression as it is written, without parentheses and with macro variables by their depth; `named` spells names."""
    match node:
        case syntax.Literal():
            return constant(node.value)
        case syntax.Paren():
            return whole(node.of, named, bound)
        case syntax.Name():
            return ("bound", bound.index(node.id)) if node.id in bound else named(node)
        case syntax.Macro():
            inner = (node.variable.text, *bound)
            return ("macro", node.name.text, whole(node.of, named, bound), whole(node.body, named, inner))
        case syntax.Member() | syntax.Has():
            return ("has" if isinstance(node, syntax.Has) else "member", whole(node.of, named, bound), node.name.text)
        case syntax.Index(index=syntax.Literal(value=str() as name)):
            return ("member", whole(node.of, named, bound), name)
        case _:
            return (*_head(node), *(whole(part, named, bound) for part in parts(node)))


def _head(node: syntax.Expression) -> Key:
    match node:
        case syntax.Method():
            return ("method", node.name.text)
        case syntax.Unary() | syntax.Binary() | syntax.Chain():
            return ("sign", node.op)
        case syntax.Call():
            return ("call", node.name)
        case syntax.MapOf():
            return ("map", *(key.value for key, _ in node.entries))
        case _:
            return (type(node).__name__.lower(),)


def inside(key: Key) -> Iterator[Key]:
    """A key and all keys that it is made of."""
    waiting: list[object] = [key]
    while waiting:
        found = waiting.pop()
        if isinstance(found, tuple):
            yield found
            if found[0] not in ("const", "vars", "on"):
                waiting.extend(reversed(found))
