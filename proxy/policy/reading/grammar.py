"""The grammar as this process uses it: Lark's tables and how terminals are spelled."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from importlib import resources

import lark
from lark.lexer import PatternStr
from lark.parsers.lalr_interactive_parser import InteractiveParser

from proxy.policy.reading.cases import Cases

_LAYOUT = (r"(?P<SPACE>(?:[ \t\n]|\r\n)+)", r"(?P<COMMENT>//[^\r\n]*)", r"(?P<BLOCK>/\*(?:[^*]|\*(?!/))*(?:\*/)?)")
_KINDS = ("STRING", "RATE", "DURATION", "DOUBLE", "INT")
_WRONG = (r"(?P<OPEN>[bBrR]{0,2}(?:\"{3}.*|'{3}.*|[\"'][^\r\n]*))", r"(?P<NUMBER>[0-9][A-Za-z0-9_]*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Grammar:
    """The compiled `grammar.lark`; `words` and `signs` give the terminal of a spelling."""

    lark: lark.Lark
    words: Mapping[str, str]
    signs: Mapping[str, str]
    pattern: re.Pattern[str]

    def start(self, rule: str) -> InteractiveParser:
        """Begin to parse `policy`, `trials` or `whole`."""
        return self.lark.parse_interactive("", start=rule)


@functools.cache
def grammar() -> Grammar:
    """Compile the grammar, once in a process (about 0.2 s)."""
    text = resources.files("proxy.policy.reading").joinpath("grammar.lark").read_text("utf-8")
    built = lark.Lark(text, parser="lalr", lexer="basic", start=["policy", "trials", "whole"], transformer=Cases(), maybe_placeholders=True)
    spelled = {str(t.pattern.value): t.name for t in built.terminals if isinstance(t.pattern, PatternStr)}
    words = {spelling: name for spelling, name in spelled.items() if spelling[0].isalpha()}
    signs = {spelling: name for spelling, name in spelled.items() if spelling not in words}
    return Grammar(lark=built, words=words, signs=signs, pattern=_pattern(built, signs))


def _pattern(built: lark.Lark, signs: Mapping[str, str]) -> re.Pattern[str]:
    """One pattern for every lexeme and for what is none; where several match, the first stands."""
    shapes = {terminal.name: terminal.pattern.to_regexp() for terminal in built.terminals}
    kinds = (f"(?P<{kind}>{shapes[kind]})" for kind in _KINDS)
    word = f"(?P<WORD>{shapes['WORD']})"
    sign = "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))
    return re.compile("|".join([*_LAYOUT, *kinds, *_WRONG, word, f"(?P<SIGN>{sign})", "(?P<OTHER>.)"]), re.DOTALL)
