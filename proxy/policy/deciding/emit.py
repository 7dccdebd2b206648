"""Turns a checked expression into a Python expression, node by node and never through text.

Where the static types prove that a Python operator means what the language means, it is emitted; everything else calls
`proxy.policy.operations`. An expression that raises is evaluated again, exactly (`proxy.policy.deciding.evaluate`), so that only
values, never errors, have to be right here. Emitted code reads the arguments `c` (context) and `r` (request) and the
constants handed to it; its nodes are checked against `ALLOWED` before they are compiled.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any, cast

from proxy.policy import functions, meter, operations, prices
from proxy.policy.checking.flow import is_null
from proxy.policy.checking.world import Binding, Book, Code
from proxy.policy.deciding.context import argument
from proxy.policy.deciding.weight import constant, weight
from proxy.policy.names import BUILTINS, MAPS, NOTHING, SOURCES, attribute, sure
from proxy.policy.reading import syntax
from proxy.policy.types import BOOL, DOUBLE, INT, STRING, ListOf, MapOf, Record, Type, fitter

ALLOWED = (
    *(ast.Expression, ast.Lambda, ast.arguments, ast.arg, ast.Name, ast.Load, ast.Store, ast.Constant, ast.Attribute, ast.Subscript),
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In),
    *(ast.Is, ast.IsNot, ast.BinOp, ast.Add, ast.IfExp, ast.Call, ast.Tuple, ast.List, ast.Dict, ast.GeneratorExp, ast.comprehension),
)
ATTRIBUTES = frozenset(map(attribute, BUILTINS)) | {"lets", "payload", "fact"}
_NUMBERS = (INT, DOUBLE)
_COMPARE: Mapping[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}
_MACROS: Mapping[str, Callable[..., object]] = {"all": all, "exists": any, "exists_one": lambda body: sum(body) == 1}


def _attribute(of: str, name: str) -> ast.expr:
    return ast.Attribute(value=ast.Name(id=of, ctx=ast.Load()), attr=name, ctx=ast.Load())


def _compare(left: ast.expr, op: ast.cmpop, right: ast.expr) -> ast.expr:
    return ast.Compare(left=left, ops=[op], comparators=[right])


class Emitter:
    """Emits the expressions of one policy set; `constants` are the names that the code refers to, `pays` says whether it pays."""

    def __init__(self, book: Book, lets: list[Callable[..., object]], meta: Callable[..., object]) -> None:
        self.book, self.lets, self.meta = book, lets, meta
        self.bindings: Mapping[str, Binding] = {}
        self.constants: dict[str, Any] = {}
        self.macros = 0

    def function(self, code: Code, bindings: Mapping[str, Binding]) -> Callable[..., object]:
        """A function of context and request that gives the value of a checked expression or raises; a condition gives a bool."""
        node = code.node
        self.bindings, self.payload, self.constants, self.pays = bindings, code.payload, {}, False
        body = self.truth(node) if code.type == BOOL else self.emit(node)
        arguments = ast.arguments(posonlyargs=[], args=[ast.arg("c"), ast.arg("r")], kwonlyargs=[], kw_defaults=[], defaults=[])
        tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(args=arguments, body=body)))
        verify(tree)
        made = eval(compile(tree, f"<{node.at}>", "eval"), {"__builtins__": {}, **self.constants})  # noqa: S307 - of verified nodes
        return cast("Callable[..., object]", made)

    def constant(self, value: object) -> ast.expr:
        """A name for a value that the code refers to."""
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return ast.Name(id=name, ctx=ast.Load())

    def call(self, function: Callable[..., object], *arguments: ast.expr) -> ast.expr:
        """A call of a support function."""
        return ast.Call(func=self.constant(function), args=list(arguments), keywords=[])

    def metered(self, function: Callable[..., object], *arguments: ast.expr) -> ast.expr:
        """A call of a support function that pays with the steps of the decision."""
        self.pays = True
        return self.call(function, ast.Name(id="c", ctx=ast.Load()), *arguments)

    def type(self, node: syntax.Expression) -> Type:
        """The static type of a node."""
        return self.book.types[id(node)]

    def truth(self, node: syntax.Expression) -> ast.expr:
        """The node as a Python bool."""
        emitted = self.emit(node)
        return emitted if self.type(node) == BOOL else self.call(operations.truth, emitted)

    def emit(self, node: syntax.Expression) -> ast.expr:
        """The Python expression of a node."""
        emit: Callable[[Any], ast.expr] = getattr(self, f"_{type(node).__name__.lower()}")
        return emit(node)

    def _literal(self, node: syntax.Literal) -> ast.expr:
        return ast.Constant(value=node.value)

    def _paren(self, node: syntax.Paren) -> ast.expr:
        return self.emit(node.of)

    def _name(self, node: syntax.Name) -> ast.expr:
        if node.id in self.bindings:
            return self._let(self.bindings[node.id].slot)
        if node.id not in BUILTINS:
            return ast.Name(id=f"v_{node.id}", ctx=ast.Load())
        if node.id == "meta":
            return self.call(self.meta, *_arguments())
        if node.id == "vars":
            return _attribute("c", "vars")
        if node.id in SOURCES or (node.id == "data" and self.payload):
            return _attribute("c", "payload")
        return self._given(node.id)

    def _given(self, name: str) -> ast.expr:
        """What the request says, where it is sure to; an empty map or an error where it does not."""
        read = _attribute("r", attribute(name))
        if name in MAPS:
            return ast.BoolOp(op=ast.Or(), values=[read, self.constant(NOTHING)])
        return read if BUILTINS[name].sure else self.call(sure, read, ast.Constant(value=name))

    def _let(self, slot: int) -> ast.expr:
        """What the decision remembers of a let, or its evaluation."""
        kept = ast.Subscript(value=_attribute("c", "lets"), slice=ast.Constant(value=slot), ctx=ast.Load())
        known = _compare(ast.Constant(value=slot), ast.In(), _attribute("c", "lets"))
        return ast.IfExp(test=known, body=kept, orelse=self.call(self.lets[slot], *_arguments()))

    def _member(self, node: syntax.Member) -> ast.expr:
        return self._get(node.of, node.name.text)

    def _get(self, of: syntax.Expression, name: str) -> ast.expr:
        if isinstance(self.type(of), Record | MapOf):
            return ast.Subscript(value=self.emit(of), slice=ast.Constant(value=name), ctx=ast.Load())
        return self.call(operations.member, self.emit(of), ast.Constant(value=name))

    def _index(self, node: syntax.Index) -> ast.expr:
        of, at = self.emit(node.of), self.emit(node.index)
        if self.macros and not _brief(node.index):
            return self.metered(prices.PAYING["index"], of, at)
        if isinstance(self.type(node.of), MapOf) and self.type(node.index) == STRING:
            return ast.Subscript(value=of, slice=at, ctx=ast.Load())
        return self.call(operations.index, of, at)

    def _has(self, node: syntax.Has) -> ast.expr:
        name = ast.Constant(value=node.name.text)
        if isinstance(self.type(node.of), Record | MapOf):
            return _compare(name, ast.In(), self.emit(node.of))
        return self.call(operations.has, self.emit(node.of), name)

    def _unary(self, node: syntax.Unary) -> ast.expr:
        if node.op == "!":
            return ast.UnaryOp(op=ast.Not(), operand=self.truth(node.of))
        return self.call(operations.minus, self.emit(node.of))

    def _chain(self, node: syntax.Chain) -> ast.expr:
        return ast.BoolOp(op=ast.And() if node.op == "&&" else ast.Or(), values=[self.truth(term) for term in node.terms])

    def _conditional(self, node: syntax.Conditional) -> ast.expr:
        return ast.IfExp(test=self.truth(node.test), body=self.emit(node.then), orelse=self.emit(node.other))

    def _binary(self, node: syntax.Binary) -> ast.expr:
        if node.op in ("==", "!=") and (is_null(node.left) or is_null(node.right)):
            side = node.right if is_null(node.left) else node.left
            return _compare(self.emit(side), ast.Is() if node.op == "==" else ast.IsNot(), ast.Constant(value=None))
        left, right = self.type(node.left), self.type(node.right)
        if node.op == "in":
            return self._in(node, left, right)
        one, other = self.emit(node.left), self.emit(node.right)
        if node.op in _COMPARE and self._plain(left, right) and not self._paying(node):
            return _compare(one, _COMPARE[node.op](), other)
        if node.op == "+" and left == right and (left == DOUBLE or (left == STRING and not self.macros)):
            return ast.BinOp(left=one, op=ast.Add(), right=other)
        metered = prices.PAYING.get(node.op) if self._paying(node) else operations.METERED.get(node.op)
        return self.metered(metered, one, other) if metered else self.call(operations.BINARY[node.op], one, other)

    def _paying(self, node: syntax.Binary) -> bool:
        """Whether these two may be texts that are paid for: a comparison with one that is short is free."""
        brief = node.op != "+" and (_brief(node.left) or _brief(node.right))
        return self.macros > 0 and not brief and self.type(node.left) not in (INT, DOUBLE, BOOL)

    def _plain(self, left: Type, right: Type) -> bool:
        return (left in _NUMBERS and right in _NUMBERS) or (left == right and left in (STRING, BOOL))

    def _in(self, node: syntax.Binary, left: Type, right: Type) -> ast.expr:
        item = self.emit(node.left)
        if isinstance(node.right, syntax.ListOf) and constant(node.right):
            if left == STRING and right == ListOf(of=STRING):
                return _compare(item, ast.In(), self.constant(frozenset(_values(node.right))))
            return self.call(operations.within, self.constant(meter.FREE), item, self.emit(node.right))
        if left == STRING and right == ListOf(of=STRING):
            return self.metered(operations.among, item, self.emit(node.right))
        if left == STRING and isinstance(right, MapOf | Record) and (_brief(node.left) or not self.macros):
            return _compare(item, ast.In(), self.emit(node.right))
        return self.metered(prices.PAYING["in"] if self.macros else operations.within, item, self.emit(node.right))

    def _call(self, node: syntax.Call) -> ast.expr:
        if node.name not in self.book.facts:
            return self.call(functions.FUNCTIONS[node.name], self.emit(node.arguments[0]))
        key: list[ast.expr] = [ast.Constant(value=node.name)]
        for item, wanted in zip(node.arguments, self.book.parameters[node.name], strict=True):
            emitted = self.emit(item)
            fits = self.type(item) == wanted
            key.append(emitted if fits else self.call(argument, self.constant(fitter(wanted)), emitted))
        return ast.Call(func=_attribute("c", "fact"), args=[ast.Tuple(elts=key, ctx=ast.Load())], keywords=[])

    def _method(self, node: syntax.Method) -> ast.expr:
        of = self.emit(node.of)
        name = node.name.text
        matches = name == "matches"
        arguments = [self.constant(self.book.patterns[id(node.arguments[0])])] if matches else [self.emit(a) for a in node.arguments]
        if self.macros and name in prices.PAYING:
            return self.metered(prices.PAYING[name], of, *arguments)
        return self.call(functions.matches if matches else functions.METHODS[name], of, *arguments)

    def _macro(self, node: syntax.Macro) -> ast.expr:
        target = ast.Name(id=f"v_{node.variable.text}", ctx=ast.Store())
        over = self.metered(prices.visited, self.emit(node.of), ast.Constant(value=weight(node.body)))
        each = ast.comprehension(target=target, iter=over, ifs=[], is_async=0)
        self.macros += 1
        body = self.truth(node.body)
        self.macros -= 1
        return self.call(_MACROS[node.name.text], ast.GeneratorExp(elt=body, generators=[each]))

    def _listof(self, node: syntax.ListOf) -> ast.expr:
        return ast.List(elts=[self.emit(item) for item in node.items], ctx=ast.Load())

    def _mapof(self, node: syntax.MapOf) -> ast.expr:
        keys: list[ast.expr | None] = [ast.Constant(value=key.value) for key, _ in node.entries]
        return ast.Dict(keys=keys, values=[self.emit(item) for _, item in node.entries])


def _brief(node: syntax.Expression) -> bool:
    """Whether the node is a constant that is free to compare with."""
    return isinstance(node, syntax.Literal) and (type(node.value) is not str or len(node.value) < meter.GRAIN)


def _values(node: syntax.ListOf) -> list[object]:
    return [item.value for item in node.items if isinstance(item, syntax.Literal)]


def _arguments() -> tuple[ast.expr, ast.expr]:
    return ast.Name(id="c", ctx=ast.Load()), ast.Name(id="r", ctx=ast.Load())


def verify(tree: ast.AST) -> None:
    """Refuses every node and attribute that the emitter has no business to make."""
    for node in ast.walk(tree):
        if not isinstance(node, ALLOWED) or (isinstance(node, ast.Attribute) and node.attr not in ATTRIBUTES):
            raise AssertionError(f"emitted {ast.dump(node)}")
