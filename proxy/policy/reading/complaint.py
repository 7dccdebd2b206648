"""Words for what the parser did not expect."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from lark.parsers.lalr_analysis import Shift
from lark.parsers.lalr_parser_state import ParserState

from proxy.policy.findings import Finding
from proxy.policy.reading.grammar import grammar
from proxy.policy.reading.lexeme import END, SKIPPED, Lexeme

_STARTS = {"STRING", "INT", "DOUBLE", "WORD", "TRUE", "FALSE", "NULL", "NOT", "NOT_WORD", "MINUS", "LBRACKET", "LBRACE", "LPAREN"}
_COMPARISONS = {"EQUAL", "UNEQUAL", "LESS", "AT_MOST", "MORE", "AT_LEAST", "IN"}
_ARITHMETIC = {"PLUS", "MINUS", "TIMES", "DIVIDE", "MODULO"}
_LOGIC = {"OR", "OR_WORD", "AND", "AND_WORD", "OPTIONAL"}
_OBLIGATIONS = {"SCHEMA", "STAMP", "TAGS", "SKIP_HISTORY", "IDEMPOTENCY", "INFO", "DATA", "EXPIRE", "LIMIT"}
_REACH = {"DATABASE", "HTTP", "IDENTITY", "META", "FACT", "SERVICE", "LOG", "LANGUAGE", END}
_GROUPS = (
    ("an expression", {"WORD", "LPAREN", "NULL"}, _STARTS),
    ("an operator", {"AND", "PLUS"}, _LOGIC | _COMPARISONS | _ARITHMETIC | {"LBRACKET", "LPAREN", "DOT"}),
    ("an obligation", {"SCHEMA", "STAMP"}, _OBLIGATIONS),
    ("a statement like channel or deny", {"CHANNEL", "DENY"}, _REACH | {"LET", "DENY", "CONNECT", "CHANNEL", "RPC", "ALWAYS", "NEVER"}),
)
_KINDS = {
    "WORD": "a name", "STRING": "a string", "INT": "a number", "DOUBLE": "a number", "DURATION": "a duration like 10s",
    "RATE": "a rate like 10/1s", END: "the end",
}  # fmt: skip
_FOUND = {"STRING": "the string", "INT": "the number", "DOUBLE": "the number", "DURATION": "the duration", "RATE": "the rate"}
_LONGEST = 40
_FAR = 1000


def complain(lexemes: list[Lexeme], place: int, state: ParserState[Any]) -> Finding:
    """Say what was found, what was expected instead and, where it is known, the way out."""
    lexeme, before = lexemes[place], lexemes[place - 1]
    wanted = _accepted(state)
    if lexeme.type == END:
        return Finding(id="syntax", at=lexeme.at, message=_end(state, wanted))
    if lexeme.text == "{" and "AND" in wanted and before.type == "WORD":
        return Finding(id="unsupported", at=lexeme.at, message="messages are not in the language", hint='maps are {"key": value}')
    hint = _hint(lexemes, place, wanted)
    if not hint and "SEMICOLON" in wanted and (lexeme.line > before.line or lexeme.text == "}"):
        return Finding(id="syntax", at=lexeme.at, message=f"a `;` is missing before {_name(lexeme)}")
    message = f"found {_name(lexeme)}, expected {_listed(_expected(wanted))}"
    return Finding(id="syntax", at=lexeme.at, message=message, hint=hint)


def _accepted(state: ParserState[Any]) -> frozenset[str]:
    """The terminals that could stand here."""
    table = state.parse_conf.states
    return frozenset(kind for kind in table[state.position] if (kind.isupper() or kind == END) and kind != SKIPPED and _shifts(state, kind))


def _shifts(state: ParserState[Any], kind: str) -> bool:
    """Whether a terminal is shifted at last, after the reductions that it asks for; what asks for too many passes."""
    table, stack = state.parse_conf.states, state.state_stack[-_FAR:]
    while stack and (step := table[stack[-1]].get(kind)):
        action, target = step
        if action is Shift:
            return True
        size = len(target.expansion)
        if size >= len(stack):
            return True
        del stack[len(stack) - size :]
        stack.append(table[stack[-1]][target.origin.name][1])
        if kind == END and stack[-1] == state.parse_conf.end_state:
            return True
    return False


def _expected(wanted: frozenset[str]) -> Iterator[str]:
    """Put terminals into words, a group of them into one."""
    rest = set(wanted)
    for words, marks, group in _GROUPS:
        if rest.issuperset(marks):
            yield words
            rest -= group
    yield from dict.fromkeys(_KINDS[kind] for kind in sorted(rest) if kind in _KINDS)
    spelled = {terminal: spelling for spelling, terminal in {**grammar().words, **grammar().signs}.items()}
    yield from (f"`{spelling}`" for spelling in sorted(spelled[kind] for kind in rest - _KINDS.keys()))


def _listed(names: Iterable[str]) -> str:
    # Nothing is expected where the text is complete, as behind an expression on its own.
    *some, last = [*names] or ["the end of the text"]
    return f"{', '.join(some)} or {last}" if some else last


def _name(lexeme: Lexeme) -> str:
    text = lexeme.text if len(lexeme.text) <= _LONGEST else lexeme.text[:_LONGEST] + "…"
    return f"{_FOUND[lexeme.type]} {text}" if lexeme.type in _FOUND else f"`{text}`"


def _end(state: ParserState[Any], wanted: frozenset[str]) -> str:
    opened = [value for value in state.value_stack if isinstance(value, Lexeme) and value.text in ("(", "[", "{")]
    if opened:
        return f"the `{opened[-1].text}` of line {opened[-1].line} is not closed"
    return f"the text ends too early, expected {_listed(_expected(wanted))}"


def _hint(lexemes: list[Lexeme], place: int, wanted: frozenset[str]) -> str:
    text, following, before = lexemes[place].text, lexemes[place + 1].text, lexemes[place - 1]
    if before.type == "WORD" and before.text == "when":
        return "the operations of a rule stand before when"
    if text in _HINTS and ("AND" in wanted or text not in _BEHIND):
        return _HINTS[text]
    if lexemes[place].type == "INT" and "DURATION" in wanted:
        return f"write {text}{following} as one word" if following in ("ms", "s", "m", "h", "d") else "write a unit: 150ms 10s 5m 24h 30d"
    if lexemes[place].type in ("DURATION", "RATE"):
        return "in expressions times are ints of milliseconds"
    spellings = {spelling for spelling, kind in grammar().words.items() if kind in wanted}
    close = difflib.get_close_matches(text, sorted(spellings))
    return f"did you mean {close[0]}?" if close else ""


_BEHIND = {"=", "not", "is", "when", "if"}
_HINTS = {
    "=": "use == to compare",
    "not": "write !(a in b)",
    "is": "use == to compare",
    "when": "a rule has one condition; join its parts with &&",
    "if": "write condition ? value : other",
    "deny": "deny stands at the top level or in a channel, before the rules",
    "language": "language 1; stands once, at the top",
}
