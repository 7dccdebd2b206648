"""How each lexeme of a policy is spelled and what stands close to what: the formatter's eye for detail."""

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator

from proxy.policy.reading.lexeme import Lexeme

COMMENT = "COMMENT"
"""Type of the lexeme that the formatter makes of a comment."""

_SPELLED = {"AND_WORD": "&&", "OR_WORD": "||", "NOT_WORD": "!"}
_OPERANDS = frozenset(["WORD", "STRING", "INT", "DOUBLE", "TRUE", "FALSE", "NULL"])
_OBLIGATIONS = frozenset(("SCHEMA", "STAMP", "TAGS", "SKIP_HISTORY", "IDEMPOTENCY", "INFO", "DATA", "EXPIRE", "LIMIT"))
_PARTS = frozenset(("DATA", "META", "HEADERS", "LABELS", "TAGS", "KEY", "BY", "STAMPS", "BECAUSE"))
_CLAUSES = {"ALLOW": _OBLIGATIONS | _PARTS, "DENY": _PARTS, "MATRIX": frozenset(("CHANNELS", "OPERATIONS", "EXPECT"))}
"""What begins an obligation of a rule, a part of an expectation or of a matrix, by the first word of the statement."""
_NOTHING = Lexeme("", "", "", 0, 0)
"""Stands where there is no lexeme."""


@dataclasses.dataclass(slots=True)
class Piece:
    """A lexeme or comment as it will stand.

    `gap` wants a space before it, `depth` counts the brackets open within its statement, `block` marks braces around
    statements, `clause` the first word of an obligation, `end` the last piece of a statement.
    """

    text: str
    line: int
    depth: int
    gap: bool = True
    comment: bool = False
    alone: bool = False
    block: bool = False
    clause: bool = False
    end: bool = False

    @property
    def last_line(self) -> int:
        """The line on which it ends in the source; strings may span some."""
        return self.line + self.text.count("\n")


def spell(lexeme: Lexeme) -> str:
    """Give the one way to write a lexeme: signs for words, double quotes."""
    text = lexeme.text
    if lexeme.type != "STRING" or text[0] == '"':
        return _SPELLED.get(lexeme.type, text)
    quotes = 3 if text.startswith("'''") else 1
    inner = re.sub(r'\\[\s\S]|"', lambda found: {"\\'": "'", '"': '\\"'}.get(found[0], found[0]), text[quotes:-quotes])
    return '"' * quotes + inner + '"' * quotes


class Spacing:
    """Goes through the lexemes of one file in order; `maps` and `records` are the places of their braces."""

    def __init__(self, maps: Collection[tuple[int, int]], records: Collection[tuple[int, int]]) -> None:
        self.maps, self.records = maps, records
        self.brackets: list[str] = []
        self.questions = [0]
        self.head, self.before, self.earlier = _NOTHING, _NOTHING, _NOTHING
        self.prefix = False

    def pieces(self, lexemes: Iterable[Lexeme]) -> Iterator[Piece]:
        """Give the piece for each lexeme."""
        for lexeme in lexemes:
            if lexeme.type == COMMENT:
                yield Piece(text=lexeme.text.rstrip(), line=lexeme.line, depth=self.depth(), comment=True, alone=bool(lexeme.value))
                continue
            if not self.head.text:
                self.head = lexeme
            closed = self.close() if lexeme.text in ("}", "]", ")") else ""
            piece = Piece(text=spell(lexeme), line=lexeme.line, depth=self.depth(), gap=self.gap(lexeme, closed), block=closed == "block")
            piece.clause = not piece.depth and lexeme.type in _CLAUSES.get(self.head.type, ())
            if lexeme.text in ("{", "[", "("):
                piece.block = self.open(lexeme)
            piece.end = self.ends(lexeme, closed)
            if piece.end or piece.block:
                self.head = _NOTHING
            self.prefix = lexeme.type in ("NOT", "NOT_WORD") or (lexeme.type == "MINUS" and not self.operand())
            self.earlier, self.before = self.before, lexeme
            yield piece

    def depth(self) -> int:
        """Brackets open within the statement."""
        return len(self.brackets) - self.brackets.count("block")

    def open(self, lexeme: Lexeme) -> bool:
        """Note a bracket; whether it begins a block of statements."""
        kind, place = lexeme.text, (lexeme.line, lexeme.column)
        if kind == "{" and place not in self.maps:
            kind = "record" if place in self.records or self.before.type == "META" else "block"
        self.brackets.append(kind)
        self.questions.append(0)
        return kind == "block"

    def close(self) -> str:
        """Forget the innermost bracket and say of what kind it was."""
        self.questions.pop()
        return self.brackets.pop()

    def ends(self, lexeme: Lexeme, closed: str) -> bool:
        """Whether a statement ends with this lexeme."""
        fields = closed == "record" and self.head.type == "META" and not self.depth()
        return fields or closed == "block" or (lexeme.text == ";" and not self.depth())

    def operand(self) -> bool:
        """Whether the lexeme before ends an operand."""
        return self.before.type in _OPERANDS or self.before.text in (")", "]", "}")

    def typed(self) -> bool:
        """Whether types stand here, not expressions."""
        return self.brackets[-1:] == ["record"] or self.head.type == "FACT"

    def gap(self, lexeme: Lexeme, closed: str) -> bool:
        """Whether a space stands before the lexeme."""
        text, before = lexeme.text, self.before.text
        if text == "}":
            return closed in ("block", "record") and before != "{"
        if before == "{":
            return self.brackets[-1] in ("block", "record")
        if text in (";", ",", ")", "]", ".") or before in ("(", "[", ".", "") or self.prefix:
            return False
        if text == "(":
            return self.before.type != "WORD"
        if text == "[":
            return not self.operand()
        return self.sign_gap(text, before)

    def sign_gap(self, text: str, before: str) -> bool:
        """Whether a space stands before a sign that means one thing in types and another in expressions."""
        if text in ("<", ">", "?", ":") and self.typed():
            return False
        if before == "<" and self.typed():
            return False
        if text == "?":
            self.questions[-1] += 1
        if text == ":":
            asked = self.questions[-1] > 0
            self.questions[-1] -= asked
            return asked
        return text != "%" or self.earlier.text not in ("jitter", "allow")
