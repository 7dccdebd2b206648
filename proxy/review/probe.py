"""Evaluates single expressions, with variables of declared types."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from proxy.policy.checking.declare import resolve
from proxy.policy.checking.infer import Inference
from proxy.policy.checking.world import Book, Scope
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.evaluate import Exact, Failure, Statics
from proxy.policy.decision import Request
from proxy.policy.findings import Enough, Finding, Objection, Position
from proxy.policy.reading import statements
from proxy.policy.reading.parse import parse_expression, parse_file
from proxy.policy.types import ANY, Misfit, Type, fitter


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A value with its type, or an error: `finding` when the expression does not load, else `error` and its place."""

    type: Type = ANY
    value: object = None
    error: str | None = None
    finding: Finding | None = None

    @property
    def line(self) -> dict[str, object]:
        """The members that the command prints."""
        if self.finding:
            at = f"{self.finding.at.line}:{self.finding.at.column}"
            return {"error": self.finding.message, "at": at, "id": self.finding.id}
        if self.error is not None:
            return {"error": self.error, "at": "1:1"}
        return {"type": str(self.type), "value": self.value}


def parse_type(text: str) -> Type:
    """The type that is written; raises `Objection`."""
    parsed, findings = parse_file("type", f"language 1;\nmeta {{ it:\n{text}\n}}")
    book = Book(findings=findings)
    match parsed.statements:
        case [statements.Meta(fields=[field])] if not findings:
            found = resolve(field.type, book)
            if not book.findings:
                return found
    at = Position(file="type", line=1, column=1)
    raise Objection(next(iter(book.findings), Finding(id="syntax", at=at, message=f"{text} is no type")))


def evaluate(text: str, types: Mapping[str, str], variables: Mapping[str, object]) -> Answer:
    """Checks an expression with these variables and evaluates it; a variable without a type is `any`."""
    book = Book()
    inference = Inference(book, Scope(where=frozenset(("eval",))))
    try:
        node = parse_expression(text)
        declared = {name: parse_type(text) for name, text in types.items()}
    except Objection as objection:
        return Answer(finding=objection.finding)
    except Enough as enough:
        return Answer(finding=enough.finding)
    inference.variables = {name: declared.get(name, ANY) for name in {*declared, *variables}}
    try:
        code = inference.finish(node, inference.type(node, frozenset()))
    except Enough as enough:
        return Answer(finding=enough.finding)
    if book.findings and book.broken:
        return Answer(finding=next(f for f in book.findings if f.severity == "error"))
    walk = Exact(Context(Request(op="eval"), {}, {}), Statics(bindings=(), arguments={}, patterns=book.patterns, meta=None), code)
    try:
        walk.variables = {name: fitter(inference.variables[name])(value) for name, value in variables.items()}
    except Misfit as misfit:
        return Answer(error=str(misfit))
    found: Any = walk.whole(node)
    return Answer(error=found.why) if isinstance(found, Failure) else Answer(type=code.type, value=found)
