"""Text into the syntax tree, with a finding for each statement that cannot be read."""

from typing import Any, cast
from typing import Literal as OneOf

from lark.exceptions import UnexpectedToken
from lark.parsers.lalr_parser_state import ParserState

from proxy.policy.findings import Finding, Objection
from proxy.policy.reading.complaint import complain
from proxy.policy.reading.grammar import grammar
from proxy.policy.reading.lex import MAX_FINDINGS, Lexemes, lex
from proxy.policy.reading.lexeme import BROKEN, END, SKIPPED, Lexeme
from proxy.policy.reading.shape import misshapen
from proxy.policy.reading.statements import PolicyFile, Statement
from proxy.policy.reading.syntax import Expression
from proxy.policy.reading.trials import Trial, TrialFile


def parse_file(path: str, text: str) -> tuple[PolicyFile, list[Finding]]:
    """Parse a policy file; with findings, the tree lacks the statements they are about."""
    statements, read = parse_lexemes(path, text, "policy")
    typed = cast("tuple[Statement, ...]", statements or ())
    findings = _first([*read.findings, *misshapen(typed)])
    return PolicyFile(path=path, statements=typed, comments=tuple(read.comments)), findings


def parse_trials(path: str, text: str) -> tuple[TrialFile, list[Finding]]:
    """Parse a test file, as `parse_file` does a policy file."""
    trials, read = parse_lexemes(path, text, "trials")
    return TrialFile(path=path, trials=cast("tuple[Trial, ...]", trials or ()), comments=tuple(read.comments)), _first(read.findings)


def parse_expression(text: str, file: str = "expr") -> Expression:
    """Parse one expression; raises Objection about the first thing that is wrong with it."""
    expression, read = parse_lexemes(file, text, "whole")
    if read.findings:
        raise Objection(_first(read.findings)[0])
    return cast("Expression", expression)


def parse_lexemes(path: str, text: str, rule: OneOf["policy", "trials", "whole"]) -> tuple[object, Lexemes]:
    """Give what a rule builds (None where nothing is left of it) and the lexemes, keywords told from names."""
    read = lex(path, text)
    built = _Reader(read, rule).read()
    if rule != "whole":
        _check_language(read)
    return built, read


def _first(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.at)[:MAX_FINDINGS]


def _check_language(read: Lexemes) -> None:
    """Add a finding where the file does not begin with `language 1;`."""
    first, second = (*read.lexemes, read.lexemes[-1])[:2]
    if first.type == END and read.findings:
        return
    if first.text != "language":
        message, at = "a policy file begins with `language 1;`", first.at
    elif second.text != "1":
        message, at = f"language {second.text} is not known; this is language 1", second.at
    else:
        return
    if all(finding.at != at for finding in read.findings):
        read.findings.append(Finding(id="syntax", at=at, message=message, hint="write language 1; on the first line"))


class _Reader:
    """Feeds the lexemes of one text to Lark's tables and goes on behind statements that do not fit."""

    def __init__(self, read: Lexemes, start: str) -> None:
        self.lexemes, self.findings, self.use = read.lexemes, read.findings, grammar()
        self.state: ParserState[Any] = self.use.start(start).parser_state
        self.place = 0
        self.unclosed = 0
        self.ended = False

    def read(self) -> object:
        """Give what the start rule builds; None where nothing could be rescued."""
        words, state, lexemes = self.use.words, self.state, self.lexemes
        table, positions = state.parse_conf.states, state.state_stack
        while True:
            lexeme = lexemes[self.place]
            keyword = words.get(lexeme.text)
            if keyword is not None and keyword in table[positions[-1]]:
                lexeme.type = keyword
            try:
                result = self.feed(lexeme)
            except (UnexpectedToken, Objection) as problem:
                self.note(problem, lexeme)
                if len(self.findings) >= MAX_FINDINGS or not self.recover():
                    return None
                continue
            if lexeme.type == END:
                return result
            self.place += 1

    def feed(self, lexeme: Lexeme) -> object:
        """Hand one lexeme to Lark, which asks no more of a token than its type."""
        return self.state.feed_token(cast("Any", lexeme), lexeme.type == END)

    def note(self, problem: UnexpectedToken | Objection, lexeme: Lexeme) -> None:
        """Add the finding of a problem, unless there is one already."""
        if isinstance(problem, Objection):
            self.findings.append(problem.finding)
        elif lexeme.type != BROKEN:
            self.findings.append(complain(self.lexemes, self.place, self.state))

    def recover(self) -> bool:
        """Forget the statement that does not fit and pass over the rest of it; False when there is no way on."""
        last = self.lexemes[self.place].type == END
        if self.ended or not self.forget(outermost=last):
            return False
        self.ended = last
        try:
            self.feed(Lexeme(SKIPPED, "", "", 0, 0))
        except Objection as problem:
            self.findings.append(problem.finding)
            return self.recover()
        self.skip()
        return True

    def forget(self, *, outermost: bool) -> bool:
        """Go back to where a list of statements can go on: the nearest one, or the file's own."""
        states, values = self.state.state_stack, self.state.value_stack
        table = self.state.parse_conf.states
        top = next((place for place, value in enumerate(values) if _is(value, "LBRACE")), len(values)) if outermost else len(values)
        place = next((place for place in range(top, -1, -1) if SKIPPED in table[states[place]]), None)
        if place is None:
            return False
        self.unclosed = sum(1 for value in values[place:] if _is(value, "LBRACE"))
        del states[place + 1 :], values[place:]
        return True

    def skip(self) -> None:
        """Pass over lexemes up to the end of the statement, or to one that begins another on a new line."""
        nested = any(_is(value, "LBRACE") for value in self.state.value_stack)
        opened = 0
        while (lexeme := self.lexemes[self.place]).type != END:
            closing = lexeme.text == "}"
            if not opened and (self.begins() or (closing and not self.unclosed and nested)):
                return
            self.place += 1
            opened += lexeme.text == "{"
            if closing and not opened and self.unclosed:
                self.unclosed -= 1
            elif closing:
                opened = max(0, opened - 1)
                if not opened and self.ends(nested=nested):
                    return
            elif lexeme.text == ";" and not opened:
                return

    def begins(self) -> bool:
        """Whether the present lexeme is the first of its line and a word that begins a statement here."""
        lexeme, before = self.lexemes[self.place], self.lexemes[self.place - 1]
        return lexeme.line > before.line and self.known(lexeme)

    def ends(self, *, nested: bool) -> bool:
        """Whether the bracket that was just closed was the end of a statement."""
        lexeme, before = self.lexemes[self.place], self.lexemes[self.place - 1]
        fresh = lexeme.line > before.line and not nested
        return fresh or lexeme.text == "}" or lexeme.type == END or self.known(lexeme)

    def known(self, lexeme: Lexeme) -> bool:
        """Whether the parser has a use for this word where a statement begins."""
        return self.use.words.get(lexeme.text) in self.state.parse_conf.states[self.state.position]


def _is(value: object, kind: str) -> bool:
    return isinstance(value, Lexeme) and value.type == kind
