"""Reads expressions as terms: what they are of, and what could leave them without a value."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.policy.checking.world import Code
from proxy.policy.deciding.evaluate import Failure, Loss
from proxy.policy.names import BUILTINS
from proxy.policy.patterns import Pattern
from proxy.policy.policy import Policy
from proxy.policy.reading import syntax
from proxy.policy.reading.walk import parts
from proxy.policy.schemas import Schema
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, NULL, STRING, ListOf, MapOf, Member, Nullable, Record, Type
from proxy.review.comparing import spelling
from proxy.review.comparing.logic import Key, Question, Risk, Risks, Woe
from proxy.review.wording import worded

Probe = Callable[[Any], object]

_KINDS: Final = {bool: BOOL, int: INT, float: DOUBLE, str: STRING, type(None): NULL}
_NUMBERS: Final = (INT, DOUBLE)
_ARITHMETIC: Final = frozenset("+-*/%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """An expression: `text` as a reviewer reads it, `probe` finds its outcome for the two views of a request."""

    key: Key
    type: Type
    text: str = field(compare=False)
    probe: Probe = field(compare=False, repr=False)
    risks: Risks = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an expression stands: with which variables and which payload it is evaluated."""

    code: Code
    pattern: Pattern | None
    schema: Schema | None


class Terms:
    """Reads the expressions of one policy for one pattern, or for what has none; `side` is 0 for the old policy, 1 for the new one."""

    def __init__(self, policy: Policy, side: int, pattern: Pattern | None) -> None:
        self._policy, self._side, self._pattern = policy, side, pattern
        self._statics = policy.decider.statics
        self.schema: Schema | None = None

    def term(self, node: syntax.Expression, code: Code) -> Term:  # noqa: PLR0911 - one line a kind
        """The term of an expression that stands in `code`."""
        match node:
            case syntax.Literal():
                return self._made(node, code, spelling.constant(node.value), _KINDS[type(node.value)])
            case syntax.Paren():
                return self.term(node.of, code)
            case syntax.Name():
                return self._name(node, code)
            case syntax.Member():
                return self._member(node, code, node.name.text)
            case syntax.Index(index=syntax.Literal(value=str() as name)):
                return self._member(node, code, name)
            case syntax.Call() if node.name in self._policy.facts:
                return self._fact(node, code)
            case syntax.Call() | syntax.Method() | syntax.Binary() | syntax.Unary(op="-"):
                return self._computed(node, code)
            case syntax.ListOf() | syntax.MapOf():
                return self._built(node, code)
            case _:
                return self.opaque(node, code)

    def opaque(self, node: syntax.Expression, code: Code) -> Term:
        """An expression into which is not looked: it may err and may lose a fact."""
        key = self.spelled(node, code)
        found = self._made(node, code, key, BOOL if _boolean(node) else ANY)
        lost = any(inner[:1] == ("fact",) for inner in spelling.inside(key))
        return _with(found, (*((self._lost(found),) if lost else ()), self.error(found)))

    def spelled(self, node: syntax.Expression, code: Code) -> Key:
        """The key of an expression as it is written, lets and facts resolved."""

        def named(name: syntax.Name) -> Key:
            binding = self._let(name, code)
            if binding is None:
                return self._root(name.id, code)
            return self.spelled(binding.node, binding)

        return self._facts_named(spelling.whole(node, named))

    def _facts_named(self, key: Key) -> Key:
        found = tuple(self._facts_named(part) if isinstance(part, tuple) else part for part in key)
        return ("fact", *found[1:]) if found[:1] == ("call",) and found[1] in self._policy.facts else found

    def error(self, found: Term) -> Risk:
        """That an expression errs, for a reason that is not looked into."""
        question = Question(
            key=("errs", found.key),
            yes=f"{found.text} errs",
            no=f"{found.text} has a value",
            test=lambda views: isinstance(found.probe(views), Failure),
            usual=False,
        )
        return Risk(question=question, when=True, woe=Woe.error)

    def _lost(self, found: Term) -> Risk:
        question = Question(
            key=("lost", found.key),
            yes=f"{found.text} cannot be loaded",
            no=f"{found.text} is loaded",
            test=lambda views: isinstance(found.probe(views), Loss),
            usual=False,
        )
        return Risk(question=question, when=True, woe=Woe.lost)

    def _let(self, name: syntax.Name, code: Code) -> Code | None:
        for slot in code.uses.direct:
            binding = self._statics.bindings[slot]
            if binding.name == name.id:
                return binding.value
        return None

    def _root(self, name: str, code: Code) -> Key:
        if name == "vars" and self._pattern is not None:
            return ("name", name, self._pattern.text)
        return ("payload",) if name == "data" and code.payload else ("name", name)

    def _name(self, node: syntax.Name, code: Code) -> Term:
        binding = self._let(node, code)
        if binding is not None:
            found = self.term(binding.node, binding)
            return Term(key=found.key, type=found.type, text=node.id, probe=found.probe, risks=found.risks)
        kind, unsure = BUILTINS[node.id].type, not BUILTINS[node.id].sure
        if node.id == "data" and code.payload and self.schema is not None:
            kind = self.schema.type
        elif node.id == "meta":
            kind = self._policy.meta or ANY
        elif node.id == "vars" and self._pattern is not None:
            kind = Record(fields={p.name: Member(type=p.type) for p in self._pattern.pieces if not isinstance(p, str)})
        found = self._made(node, code, self._root(node.id, code), kind)
        known = node.id == "channel" and self._pattern is not None
        may_err = (node.id == "meta" and self._policy.meta is not None) or (unsure and not known)
        return _with(found, (self.error(found),) if may_err else ())

    def _member(self, node: syntax.Member | syntax.Index, code: Code, name: str) -> Term:
        of = self.term(node.of, code)
        if of.key[:2] == ("name", "vars") and self._pattern is not None:
            kind = next(p.type for p in self._pattern.pieces if not isinstance(p, str) and p.name == name)
            return self._made(node, code, spelling.variable(self._pattern, name), kind)
        kind, risks = self.reached(of, name)
        return self._made(node, code, ("member", of.key, name), kind, (*of.risks, *risks))

    def reached(self, of: Term, name: str) -> tuple[Type, Risks]:
        """The type of a member and what could keep it from being read."""
        kind, risks = self.opened(of)
        absent = Risk(question=holds(of, name), when=False, woe=Woe.error)
        match kind:
            case Record() if name in kind.fields:
                member = kind.fields[name]
                return member.type, (*risks, absent) if member.optional else risks
            case MapOf():
                return kind.of, (*risks, absent)
            case _:
                return ANY, (*risks, absent)

    def opened(self, of: Term) -> tuple[Type, Risks]:
        """The type of what holds members, and the risk that it holds none."""
        if isinstance(of.type, Nullable):
            return of.type.of, (Risk(question=null(of), when=True, woe=Woe.error),)
        if isinstance(of.type, Record | MapOf):
            return of.type, ()
        question = Question(
            key=("holder", of.key),
            yes=f"{of.text} has members",
            no=f"{of.text} has no members",
            test=lambda views: isinstance(of.probe(views), dict),
            usual=True,
        )
        return ANY, (Risk(question=question, when=False, woe=Woe.error),)

    def _fact(self, node: syntax.Call, code: Code) -> Term:
        terms = [self.term(each, code) for each in node.arguments]
        fact = self._policy.facts[node.name]
        found = self._made(node, code, ("fact", node.name, *(each.key for each in terms)), fact.type)
        unfit = [self.error(found)] if any(each.type not in (BOOL, INT, STRING) for each in terms) else []
        return _with(found, (*_risks(terms), *unfit, self._lost(found)))

    def _computed(self, node: syntax.Call | syntax.Method | syntax.Binary | syntax.Unary, code: Code) -> Term:
        match node:
            case syntax.Unary():
                name, terms = "minus", [self.term(node.of, code)]
            case syntax.Binary(op="+" | "-" | "*" | "/" | "%"):
                name, terms = node.op, [self.term(node.left, code), self.term(node.right, code)]
            case syntax.Call():
                name, terms = node.name, [self.term(each, code) for each in node.arguments]
            case syntax.Method(name=syntax.Word(text="size" | "lowerAscii")):
                name, terms = node.name.text, [self.term(node.of, code)]
            case _:
                return self.opaque(node, code)
        kind, safe = _result(name, [each.type for each in terms])
        found = self._made(node, code, ("call", name, *(each.key for each in terms)), kind, _risks(terms))
        return found if safe else _with(found, (*found.risks, self.error(found)))

    def _built(self, node: syntax.ListOf | syntax.MapOf, code: Code) -> Term:
        terms = [self.term(each, code) for each in parts(node)]
        kinds = {str(term.type): term.type for term in terms}
        of = next(iter(kinds.values())) if len(kinds) == 1 else ANY
        kind = ListOf(of=of) if isinstance(node, syntax.ListOf) else MapOf(of=of)
        return self._made(node, code, self.spelled(node, code), kind, _risks(terms))

    def _made(self, node: syntax.Expression, code: Code, key: Key, kind: Type, risks: Risks = ()) -> Term:
        side, place = self._side, Place(code=code, pattern=self._pattern, schema=self.schema)
        return Term(key=key, type=kind, text=worded(node), probe=lambda views: views[side].outcome(node, place), risks=risks)


def holds(of: Term, name: str) -> Question:
    """Whether a member is there."""
    return Question(
        key=("has", of.key, name),
        yes=f"has({of.text}.{name})",
        no=f"!has({of.text}.{name})",
        test=lambda views: isinstance(found := of.probe(views), dict) and name in found,
    )


def null(of: Term) -> Question:
    """Whether a value is null."""
    return Question(
        key=("null", of.key),
        yes=f"{of.text} == null",
        no=f"{of.text} != null",
        test=lambda views: of.probe(views) is None,
    )


def _with(found: Term, risks: Risks) -> Term:
    return Term(key=found.key, type=found.type, text=found.text, probe=found.probe, risks=risks)


def _risks(terms: Iterable[Term]) -> Risks:
    return tuple(risk for term in terms for risk in term.risks)


def _result(name: str, given: list[Type]) -> tuple[Type, bool]:
    """The type that a function or operator gives, and whether it always has a value."""
    first = given[0]
    match name:
        case "size":
            return INT, first == STRING or isinstance(first, ListOf | MapOf | Record)
        case "string":
            return STRING, first in (BOOL, INT, STRING)
        case "lowerAscii":
            return STRING, first == STRING
        case "int":
            return INT, first == INT
        case "+" if given == [STRING, STRING]:
            return STRING, True
    known = first in _NUMBERS and all(each == first for each in given)
    return (first, first == DOUBLE and name != "%") if known else (ANY, False)


def _boolean(node: syntax.Expression) -> bool:
    match node:
        case syntax.Binary():
            return node.op not in _ARITHMETIC
        case syntax.Method():
            return node.name.text not in ("size", "lowerAscii")
        case syntax.Macro() | syntax.Chain() | syntax.Has() | syntax.Unary(op="!"):
            return True
        case _:
            return False
