"""The escapes of string literals, as the CEL language definition lists them (section "Lexis")."""

import re

_SINGLE = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
    "\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`",
}  # fmt: skip
_ESCAPE = re.compile(
    r"""\\(?:(?P<single>[ntrabfv\\?"'`])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"""
    r"""|(?P<octal>[0-3][0-7]{2})|(?P<bad>[\s\S]))"""
)
_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def unescape(inner: str) -> str:
    """Replace the escapes of the text between the quotes; raises ValueError with a sentence about the first bad one."""
    return _ESCAPE.sub(_character, inner)


def _character(match: re.Match[str]) -> str:
    kind = match.lastgroup
    digits = match[kind] if kind else ""
    if kind == "single":
        return _SINGLE[digits]
    if kind == "bad":
        raise ValueError(f"`\\{digits}` is no escape")
    number = int(digits, 8 if kind == "octal" else 16)
    if number > _LAST or number in _SURROGATES:
        raise ValueError(f"`{match[0]}` is no character")
    return chr(number)
