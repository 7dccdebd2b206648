"""How many steps an expression takes each time it is evaluated, however long its values are."""

from proxy.policy.meter import GRAIN
from proxy.policy.reading import syntax
from proxy.policy.reading.walk import parts


def weight(root: syntax.Expression) -> int:
    """One step for each node and each `GRAIN` of its text; macros pay for their bodies when they know over what they run."""
    total = 0
    waiting = [root]
    while waiting:
        node = waiting.pop()
        total += 1 + len(_text(node)) // GRAIN
        waiting.extend((node.of,) if isinstance(node, syntax.Macro) else parts(node))
    return total


def _text(node: syntax.Expression) -> str:
    match node:
        case syntax.Literal(value=str() as text):
            return text
        case syntax.Member() | syntax.Has():
            return node.name.text
    return ""


def constant(node: syntax.Expression) -> bool:
    """Whether the node is a list of which every member stands in the policy."""
    return isinstance(node, syntax.ListOf) and all(isinstance(item, syntax.Literal) for item in node.items)
