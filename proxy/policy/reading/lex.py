"""Text into lexemes: what the grammar calls terminals, each with its place, and comments beside them.

A word stays a `WORD` here; `proxy.policy.reading.parse` makes a keyword of it where the grammar expects that keyword.
"""

import dataclasses
import math
import re

from proxy.policy.findings import Finding, Objection, Position
from proxy.policy.reading.escapes import unescape
from proxy.policy.reading.grammar import Grammar, grammar
from proxy.policy.reading.lexeme import BROKEN, END, Lexeme
from proxy.policy.reading.statements import Comment
from proxy.policy.reading.walk import MAX_INT

MAX_CHARACTERS = 1 << 20
"""A longer file is refused unread."""

MAX_LEXEMES = 100_000
"""So many words, strings, signs and comments a file may have: about a second of work."""

MAX_FINDINGS = 20
"""So many findings about one file are enough."""

_UNSEEN = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_PLAIN = {"WORD", "RATE", "DURATION"}
_PREFIXES = {"b": "bytes are", "r": "raw strings are"}
_INSTEAD = {"`": 'write strings as "…"', "&": "write && for and", "|": "write || for or", "#": "comments begin with //"}


@dataclasses.dataclass(slots=True)
class Lexemes:
    """What a text is made of; the last lexeme is the end."""

    lexemes: list[Lexeme] = dataclasses.field(default_factory=list)
    comments: list[Comment] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)


def decoded(path: str, data: bytes) -> str:
    """Give the text of a file; raises Objection where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        at = Position(file=path, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))
        message = "the file is not UTF-8 here"
        raise Objection(Finding(id="syntax", at=at, message=message, hint="save it as UTF-8")) from None


def lex(path: str, text: str) -> Lexemes:
    """Take a text apart; what is no lexeme becomes a finding and a `BROKEN` lexeme."""
    found = Lexemes()
    found.findings.extend(_refusals(path, text))
    if not found.findings:
        _Scanner(path, text, found).run(grammar())
    last = text.rpartition("\n")[2]
    found.lexemes.append(Lexeme(END, "", path, text.count("\n") + 1, len(last) + 1))
    return found


def _refusals(path: str, text: str) -> list[Finding]:
    """Find what makes a text unfit to be read at all."""
    if len(text) > MAX_CHARACTERS:
        message = f"the file is longer than {MAX_CHARACTERS} characters"
        return [Finding(id="too-large", at=Position(file=path, line=1, column=1), message=message, hint="split it")]
    findings = []
    for match in _UNSEEN.finditer(text):
        start = match.start()
        at = Position(file=path, line=text.count("\n", 0, start) + 1, column=start - text.rfind("\n", 0, start))
        findings.append(Finding(id="syntax", at=at, message=f"the file holds {_unseen(match[0])}", hint=_remedy(match[0])))
        if len(findings) == MAX_FINDINGS:
            break
    return findings


def _unseen(character: str) -> str:
    if character == "\ufeff":
        return "a byte order mark"
    if character == "\r":
        return "a carriage return without a line feed"
    return f"the invisible character U+{ord(character):04X}"


def _remedy(character: str) -> str:
    if character == "\ufeff":
        return "save the file as UTF-8 without BOM"
    if character == "\r":
        return "end lines with a line feed"
    return f"write it as an escape in a string: \\u{ord(character):04x}"


class _Scanner:
    """Goes through one text once."""

    def __init__(self, path: str, text: str, found: Lexemes) -> None:
        self.path, self.text, self.found = path, text, found
        self.line, self.begin = 1, 0

    def run(self, use: Grammar) -> None:
        """Fill `found`."""
        signs, lexemes, path = use.signs, self.found.lexemes, self.path
        for match in use.pattern.finditer(self.text):
            kind, source, start = match.lastgroup or "", match[0], match.start()
            if kind == "SPACE":
                self.pass_lines(source, start)
                continue
            lexeme = Lexeme(kind, source, path, self.line, start - self.begin + 1)
            if kind == "SIGN":
                lexeme.type = signs[source]
            elif kind not in _PLAIN:
                self.look(lexeme)
                self.pass_lines(source, start)
            if kind != "COMMENT":
                lexemes.append(lexeme)
            if len(lexemes) + len(self.found.comments) > MAX_LEXEMES:
                self.find("too-large", lexeme, f"the file has more than {MAX_LEXEMES} words, strings, signs and comments", "split it")
                lexemes.clear()
                return

    def pass_lines(self, source: str, start: int) -> None:
        """Count the line ends of what was just read."""
        lines = source.count("\n")
        if lines:
            self.line += lines
            self.begin = start + source.rindex("\n") + 1

    def look(self, lexeme: Lexeme) -> None:
        """Look closer at a comment, string or number, or say what is wrong with a piece of text."""
        match lexeme.type:
            case "COMMENT":
                before = self.text[self.begin : self.begin + lexeme.column - 1]
                self.found.comments.append(Comment(at=lexeme.at, text=lexeme.text[2:], alone=not before.strip()))
            case "STRING":
                self.string(lexeme)
            case "INT" | "DOUBLE":
                self.number(lexeme)
            case _:
                self.wrong(lexeme)
                lexeme.type = BROKEN

    def string(self, lexeme: Lexeme) -> None:
        """Take a string out of its quotes and escapes."""
        inner = lexeme.text.lstrip("bBrR")
        prefix = lexeme.text[: len(lexeme.text) - len(inner)].lower()
        quotes = 3 if inner[:3] in ('"""', "'''") else 1
        try:
            lexeme.value = unescape(inner[quotes:-quotes].replace("\r\n", "\n"))
        except ValueError as error:
            self.find("syntax", lexeme, f"{error} in this string", "write \\\\ for a backslash")
        if prefix:
            self.find("unsupported", lexeme, f"{_PREFIXES['b' if 'b' in prefix else 'r']} not in the language", 'write "…"')

    def number(self, lexeme: Lexeme) -> None:
        """Refuse a number beyond 64 bits; one that fits only behind a minus is looked at later."""
        source, whole = lexeme.text, lexeme.type == "INT"
        fits = len(source) <= len(str(MAX_INT)) and int(source) <= MAX_INT + 1 if whole else math.isfinite(float(source))
        if not fits:
            self.find("syntax", lexeme, "the number does not fit into 64 bits")
            lexeme.text = "1"

    def wrong(self, lexeme: Lexeme) -> None:
        """Say what is wrong with a piece of text that is no lexeme."""
        source = lexeme.text
        match lexeme.type:
            case "BLOCK":
                self.find("syntax", lexeme, "block comments are not in the language", "begin each line with //")
            case "OPEN":
                hint = 'close it with the same quote, or use """…""" over lines'
                self.find("syntax", lexeme, "the string is not closed on its line", hint)
            case "NUMBER":
                hint = "ints are decimal, durations are like 150ms 10s 5m 24h 30d"
                self.find("syntax", lexeme, f"{source[:20]} is neither a number nor a duration", hint)
            case _:
                self.find("syntax", lexeme, f"the character {source} has no meaning here", _INSTEAD.get(source, ""))

    def find(self, kind: str, lexeme: Lexeme, message: str, hint: str = "") -> None:
        """Note a finding, until there are enough."""
        if len(self.found.findings) < MAX_FINDINGS:
            self.found.findings.append(Finding(id=kind, at=lexeme.at, message=message, hint=hint))
