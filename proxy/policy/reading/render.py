"""Findings as people, programs and code hosts read them."""

import json
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from proxy.policy.findings import Finding, Severity

_COLOURS: Final[Mapping[Severity, str]] = {"error": "31", "security": "35", "warning": "33", "hint": "36"}
_LEVELS: Final[Mapping[Severity, str]] = {"error": "error", "security": "error", "warning": "warning", "hint": "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PLAIN = frozenset(b"/-._~" + string.ascii_letters.encode() + string.digits.encode())
_BEFORE, _BEHIND = 90, 60


def as_text(findings: Sequence[Finding], sources: Mapping[str, str], *, colours: bool = False) -> str:
    """Each finding with its source line and a caret below the place; `sources` are the texts by file name."""
    return "".join(_entry(finding, sources, colours=colours) for finding in findings)


def summary(findings: Sequence[Finding]) -> str:
    """`1 error, 2 warnings`."""
    counts = Counter(finding.severity for finding in findings)
    named = [(counts[severity], "security finding" if severity == "security" else severity) for severity in _LEVELS if counts[severity]]
    return ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in named) or "no findings"


def as_json(findings: Sequence[Finding]) -> str:
    """One object with the member `findings`."""
    entries = [
        {
            "id": finding.id,
            "severity": finding.severity,
            "file": finding.at.file,
            "line": finding.at.line,
            "column": finding.at.column,
            "message": _sentence(finding),
        }
        for finding in findings
    ]
    return json.dumps({"findings": entries}, ensure_ascii=False, indent=2)


def as_sarif(findings: Sequence[Finding], folder: str = "policies") -> str:
    """A log in the Static Analysis Results Interchange Format 2.1.0 (OASIS); `folder` stands before the file names."""
    rules = [{"id": id_} for id_ in sorted({finding.id for finding in findings})]
    run = {
        "tool": {"driver": {"name": "centrigate", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, folder) for finding in findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


def _result(finding: Finding, folder: str) -> dict[str, object]:
    region = {"startLine": finding.at.line, "startColumn": finding.at.column}
    place = {"artifactLocation": {"uri": _uri(f"{folder}/{finding.at.file}")}, "region": region}
    return {
        "ruleId": finding.id,
        "level": _LEVELS[finding.severity],
        "message": {"text": _sentence(finding)},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    """Percent-encode a path, but for the characters that RFC 3986 section 2.3 leaves alone and the slash."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in path.encode(errors="replace"))


def _sentence(finding: Finding) -> str:
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message


def _entry(finding: Finding, sources: Mapping[str, str], *, colours: bool) -> str:
    label = f"{finding.severity} {finding.id}"
    if colours:
        label = f"\x1b[{_COLOURS[finding.severity]};1m{label}\x1b[0m"
    lines = [f"{_visible(str(finding.at))}: {label}: {_visible(finding.message)}", *_excerpt(finding, sources)]
    if finding.hint:
        lines.append(f"  = {_visible(finding.hint)}")
    return "\n".join(lines) + "\n"


def _excerpt(finding: Finding, sources: Mapping[str, str]) -> list[str]:
    """The line at fault, cut to what is near the column, and the caret; nothing where there is no such line."""
    lines = sources.get(finding.at.file, "").replace("\r\n", "\n").split("\n")
    if not any(lines) or finding.at.line > len(lines):
        return []
    column = finding.at.column - 1
    start = max(0, column - _BEFORE)
    line = _visible(lines[finding.at.line - 1][start : column + _BEHIND].replace("\t", " "))
    blank = "".join("  " if unicodedata.east_asian_width(character) in ("W", "F") else " " for character in line[: column - start])
    number = str(finding.at.line)
    return [f"  {number} | {line}", f"  {' ' * len(number)} | {blank}^"]


def _visible(text: str) -> str:
    """Hide what would move the cursor or turn the text around."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
