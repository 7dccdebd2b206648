"""What a condition proves: which values are not null and which optional members are there."""

from proxy.policy.reading import syntax
from proxy.policy.reading.syntax import Expression

Path = tuple[object, ...]
Known = frozenset[tuple[str, Path]]
"""`("null", path)`: the value at path is not null; `("has", path)`: the member at path is present."""

NOTHING: Known = frozenset()


def path(node: Expression) -> Path | None:
    """What an expression denotes, as a key: equal keys have equal values within one decision. None where that cannot be said."""
    match node:
        case syntax.Paren():
            return path(node.of)
        case syntax.Name():
            return (node.id,)
        case syntax.Member():
            return _below(node.of, node.name.text)
        case syntax.Index(index=syntax.Literal(value=str() as name)):
            return _below(node.of, name)
        case syntax.Call():
            arguments = [_argument(a) for a in node.arguments]
            return None if None in arguments else (("call", node.name, *arguments),)
        case _:
            return None


def _below(of: Expression, name: str) -> Path | None:
    head = path(of)
    return None if head is None else (*head, name)


def _argument(node: Expression) -> Path | None:
    return (type(node.value), node.value) if isinstance(node, syntax.Literal) else path(node)


def learn(node: Expression, *, outcome: bool) -> Known:  # noqa: PLR0911 - one line a kind
    """What is known when `node` evaluated to `outcome`."""
    match node:
        case syntax.Paren():
            return learn(node.of, outcome=outcome)
        case syntax.Unary(op="!"):
            return learn(node.of, outcome=not outcome)
        case syntax.Chain():
            parts = [learn(term, outcome=outcome) for term in node.terms]
            every = (node.op == "&&") is outcome
            return NOTHING.union(*parts) if every else parts[0].intersection(*parts[1:])
        case syntax.Binary(op="==" | "!="):
            return _compared(node, outcome=outcome)
        case syntax.Has() if outcome:
            head = path(node.of)
            return NOTHING if head is None else frozenset({("has", (*head, node.name.text))})
        case syntax.Conditional():
            return _either(node, outcome=outcome)
        case _:
            return NOTHING


def _compared(node: syntax.Binary, *, outcome: bool) -> Known:
    if (node.op == "!=") is not outcome:
        return NOTHING
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if is_null(other):
            key = path(side)
            return NOTHING if key is None else frozenset({("null", key)})
    return NOTHING


def is_null(node: Expression) -> bool:
    """Whether the expression is the literal `null`."""
    while isinstance(node, syntax.Paren):
        node = node.of
    return isinstance(node, syntax.Literal) and node.value is None


def _either(node: syntax.Conditional, *, outcome: bool) -> Known:
    """What both branches prove; one that is the opposite literal cannot have been taken: `x == null ? false : y`."""
    then = learn(node.test, outcome=True) | learn(node.then, outcome=outcome)
    other = learn(node.test, outcome=False) | learn(node.other, outcome=outcome)
    if _is_literal(node.then, value=not outcome):
        return other
    if _is_literal(node.other, value=not outcome):
        return then
    return then & other


def _is_literal(node: Expression, *, value: bool) -> bool:
    while isinstance(node, syntax.Paren):
        node = node.of
    return isinstance(node, syntax.Literal) and node.value is value
