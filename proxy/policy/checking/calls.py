"""The types of calls: functions, methods, macros and facts."""

import re
from typing import TYPE_CHECKING, Any, Protocol

import re2

from proxy.policy.checking.world import Book, Scope, meant
from proxy.policy.names import HIDDEN, IDENTITIES, METHOD_NAMES
from proxy.policy.reading import syntax
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, NEVER, STRING, ListOf, MapOf, Record, Simple, Type

if TYPE_CHECKING:
    from proxy.policy.checking.flow import Known

CONVERSIONS = frozenset(["double", "uint", "bytes", "bool", "duration", "timestamp", "dyn", "type"])
_MACROS = 2
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|.", re.DOTALL)
"""Escapes, classes and single characters of a pattern."""
_LOOSE = re.compile(r"\\Q|\(\?[a-zA-Z-]*m|^(?:\^|\\A)[*?{]")
"""Quoted text, in which signs mean themselves; the flag by which `^` and `$` match at every line; a beginning that may be left out."""
_STRINGS = {"contains": BOOL, "startsWith": BOOL, "endsWith": BOOL, "lowerAscii": STRING}


def compile_pattern(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    """An RE2 program for a literal pattern; raises `re2.error`."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(pattern, options)


def anchored(pattern: str) -> bool:
    """Whether it is plain to see that an RE2 pattern matches whole texts only."""
    if _LOOSE.search(pattern):
        return False
    depth, parts = 0, _PARTS.findall(pattern)
    for part in parts:
        depth += (part == "(") - (part == ")")
        if part == "|" and not depth:
            return False
    return parts[:1] in (["^"], ["\\A"]) and parts[-1:] in (["$"], ["\\z"])


class Calls(Protocol):
    """The part of an inference that knows functions, methods, macros and facts."""

    book: Book
    scope: Scope
    variables: dict[str, Type]
    macros: int
    facts: set[str]
    deepest: int

    def use(self, node: syntax.Expression, known: "Known") -> Type:
        """The type of a value that must not be null; see `Inference`."""
        ...

    def demand(self, node: syntax.Expression, known: "Known") -> None:
        """Demands a condition; see `Inference`."""
        ...

    def wrong(self, node: syntax.Expression, message: str, hint: str = "") -> Type:
        """A type error; see `Inference`."""
        ...

    def _call(self, node: syntax.Call, known: "Known") -> Type:
        """`name(arguments)`."""
        if node.name in self.book.parameters:
            return self._fact(node, known)
        arguments = [self.use(a, known) for a in node.arguments]
        accepted = {
            "size": (STRING,),
            "int": (INT, DOUBLE, STRING),
            "string": (INT, BOOL, STRING),
        }.get(node.name)
        if accepted is None:
            return self._no_function(node)
        if len(arguments) != 1:
            return self.wrong(node, f"{node.name}() takes one value, found {len(arguments)}")
        if node.name == "size":
            return self._size(node.arguments[0], arguments[0])
        if arguments[0] not in (*accepted, ANY):
            return self.wrong(node.arguments[0], f"no {node.name}() of {arguments[0]}")
        return {"int": INT, "string": STRING}[node.name]

    def _no_function(self, node: syntax.Call) -> Type:
        if node.name in CONVERSIONS:
            self.book.find("unsupported", node.at, f"{node.name}() is not part of the language", "there are int() and string()")
        else:
            known = {*self.book.parameters, "size", "int", "string", "has"}
            self.book.find("unknown-name", node.at, f'there is no function or fact "{node.name}"', meant(node.name, known))
        return ANY

    def _size(self, node: syntax.Expression, found: Type) -> Type:
        if isinstance(found, ListOf | MapOf | Record) or found in (STRING, ANY):
            return INT
        return self.wrong(node, f"{found} has no size")

    def _fact(self, node: syntax.Call, known: "Known") -> Type:
        before, self.deepest = self.deepest, 0
        wanted = self.book.parameters[node.name]
        found = [self.use(a, known) for a in node.arguments]
        self.deepest = max(before, self.deepest + 1)
        self.facts.add(node.name)
        self.book.used_facts.add(node.name)
        if self.macros:
            self.book.find("unsupported", node.at, "a fact cannot be asked inside a macro", "ask it with a let outside")
        if not self.scope.where.isdisjoint(IDENTITIES):
            self.book.find("unsupported", node.at, "a fact cannot be asked in an identity")
        if len(found) != len(wanted):
            return self.wrong(node, f"{node.name} takes {len(wanted)} arguments, found {len(found)}")
        for argument, has, wants in zip(node.arguments, found, wanted, strict=True):
            if has != wants and ANY not in (has, wants):
                self.wrong(argument, f"expected {wants}, found {has}")
        return self.book.facts[node.name].type

    def _method(self, node: syntax.Method, known: "Known") -> Type:
        """`of.name(arguments)`."""
        name = node.name.text
        of = self.use(node.of, known)
        if name in ("map", "filter"):
            self.book.find("unsupported", node.name.at, f"{name}() is not part of the language", "there are all, exists and exists_one")
            return ANY
        if name not in METHOD_NAMES:
            hint = meant(name, METHOD_NAMES | {"all", "exists", "exists_one"})
            self.book.find("unknown-name", node.name.at, f'there is no method "{name}"', hint)
            return ANY
        if name == "size" and not node.arguments:
            return self._size(node.of, of)
        if of not in (STRING, ANY):
            self.wrong(node.of, f"{name}() needs a string, found {of}")
        return self._text_method(node, name, known)

    def _text_method(self, node: syntax.Method, name: str, known: "Known") -> Type:
        wants = 0 if name in ("lowerAscii", "size") else 1
        if len(node.arguments) != wants or name == "size":
            return self.wrong(node, f"{name}() takes {wants} values, found {len(node.arguments)}")
        if name == "matches":
            return self._matches(node.arguments[0])
        for argument in node.arguments:
            found = self.use(argument, known)
            if found not in (STRING, ANY):
                self.wrong(argument, f"expected string, found {found}")
        return _STRINGS[name]

    def _matches(self, pattern: syntax.Expression) -> Type:
        if not (isinstance(pattern, syntax.Literal) and isinstance(pattern.value, str)):
            return self.wrong(pattern, "matches() takes a pattern written in the policy, not a value")
        try:
            self.book.patterns[id(pattern)] = compile_pattern(pattern.value)
        except re2.error as error:
            reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
            self.book.find("bad-pattern", pattern.at, f"RE2 cannot read this pattern: {reason}")
            return BOOL
        if not anchored(pattern.value):
            self.book.find("unanchored-match", pattern.at, "the pattern may match in the middle of the text", "write ^…$")
        return BOOL

    def _macro(self, node: syntax.Macro, known: "Known") -> Type:
        """`of.all(variable, body)` and its kin."""
        element = self._element(node, self.use(node.of, known))
        name = node.variable.text
        if name in HIDDEN or name in self.variables or name in self.scope.lets or name in self.book.parameters:
            self.book.find("duplicate-name", node.variable.at, f'"{name}" has a meaning already', "choose another name")
        self.macros += 1
        if self.macros > _MACROS:
            self.book.find("too-large", node.at, f"macros may be nested {_MACROS} deep")
        outer = dict(self.variables)
        self.variables[name] = element
        self.demand(node.body, known)
        self.variables = outer
        self.macros -= 1
        return BOOL

    def _element(self, node: syntax.Macro, found: Type) -> Type:
        match found:
            case ListOf():
                return ANY if found.of == NEVER else found.of
            case MapOf() | Record():
                return STRING
            case Simple(name="any"):
                return ANY
        self.wrong(node.of, f"{node.name.text}() runs over lists and maps, not {found}")
        return ANY
