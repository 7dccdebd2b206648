"""Policies in the one layout that reviewers expect."""

import dataclasses
from collections.abc import Iterator, Sequence

from proxy.policy.findings import Objection
from proxy.policy.reading.layout import fits, flat, lay
from proxy.policy.reading.lex import Lexemes
from proxy.policy.reading.lexeme import Lexeme
from proxy.policy.reading.parse import parse_lexemes
from proxy.policy.reading.spacing import COMMENT, Piece, Spacing
from proxy.policy.reading.syntax import MapOf, RecordType


def format_text(path: str, text: str) -> str:
    """Lay a file out anew: same meaning, same comments, stable under itself; raises Objection for one that does not parse.

    Two spaces a level, `&& || !` and double quotes; one statement a line, but for blocks that the author put on one line
    and that fit. Obligations, and the items of lists, maps and records, stand on lines of their own where the line would
    be too long or the author broke it there. A statement with comments inside keeps its lines.
    """
    tree, read = parse_lexemes(path, text, "trials" if path.endswith(".test.policy") else "policy")
    if read.findings:
        raise Objection(min(read.findings, key=lambda finding: finding.at))
    nodes = list(_nodes(tree))
    maps = {(node.at.line, node.at.column) for node in nodes if isinstance(node, MapOf)}
    records = {(node.at.line, node.at.column) for node in nodes if isinstance(node, RecordType)}
    printer = _Printer(_tidy(Spacing(maps, records).pieces(_stream(read))))
    printer.body(0)
    return "\n".join(printer.lines) + "\n"


def _nodes(value: object) -> Iterator[object]:
    """Give every node of a tree; a node is a dataclass, its parts may be tuples of nodes."""
    if isinstance(value, tuple):
        for part in value:
            yield from _nodes(part)
    elif dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _nodes(getattr(value, field.name))


def _stream(read: Lexemes) -> list[Lexeme]:
    """Merge comments and lexemes; `value` of a comment says that nothing stands before it on its line."""
    comments = [
        Lexeme(COMMENT, f"//{note.text}", note.at.file, note.at.line, note.at.column, "alone" if note.alone else "")
        for note in read.comments
    ]
    return sorted([*read.lexemes[:-1], *comments], key=lambda lexeme: (lexeme.line, lexeme.column))


def _tidy(pieces: Iterator[Piece]) -> list[Piece]:
    """Drop commas before closing brackets."""
    kept: list[Piece] = []
    for piece in pieces:
        last = next((place for place in range(len(kept) - 1, -1, -1) if not kept[place].comment), 0)
        if piece.text in ("}", "]") and kept[last].text == ",":
            del kept[last]
        kept.append(piece)
    return kept


class _Printer:
    """Writes the statements of a file line by line."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces, self.place = pieces, 0
        self.lines: list[str] = []

    def body(self, indent: int) -> None:
        """Write statements and comments up to the end of their block."""
        begin = self.place
        while self.place < len(self.pieces) and not self.pieces[self.place].block:  # none but the end of a block begins with one
            piece = self.pieces[self.place]
            if self.place > begin and piece.line > self.pieces[self.place - 1].last_line + 1:
                self.lines.append("")
            if not piece.comment:
                self.statement(indent)
                continue
            self.place += 1
            if piece.alone or not self.lines:
                self.lines.append(" " * indent + piece.text)
            else:
                self.lines[-1] += f"  {piece.text}"

    def statement(self, indent: int) -> None:
        """Write one statement, with its block if it has one."""
        begin = self.place
        while not (self.pieces[self.place].end or self.pieces[self.place].block):
            self.place += 1
        self.place += 1
        if self.pieces[self.place - 1].end:
            self.lines += lay(self.pieces[begin : self.place], indent)
            return
        stop = self.block_end()
        whole = self.pieces[begin : stop + 1]
        if self.inline(whole, indent, empty=stop == self.place):
            self.place = stop + 1
            self.lines.append(" " * indent + flat(whole))
            return
        self.lines += lay(self.pieces[begin : self.place], indent)
        self.body(indent + 2)
        self.place += 1
        self.lines.append(" " * indent + "}")

    def block_end(self) -> int:
        """The place of the bracket that closes the block just opened."""
        open_, place = 1, self.place
        while True:
            if self.pieces[place].block:
                open_ += 1 if self.pieces[place].text == "{" else -1
            if not open_:
                return place
            place += 1

    def inline(self, whole: Sequence[Piece], indent: int, *, empty: bool) -> bool:
        """Whether a block stays on one line."""
        together = empty or whole[0].line == whole[-1].line
        return together and fits(flat(whole), indent) and not any(piece.comment for piece in whole)
