"""What is wrong with a policy set: positions and findings."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

Severity = Literal["error", "security", "warning", "hint"]

SEVERITIES: dict[str, Severity] = {
    "publish-without-schema": "security",
    "open-publish": "security",
    "guest-may-publish": "security",
    "deny-reads-only-meta": "security",
    "unbounded-grant": "security",
    "jwt-without-audience": "security",
    "unanchored-match": "security",
    "unreachable-rule": "warning",
    "unused-let": "warning",
    "unused-fact": "warning",
    "no-tests": "warning",
    "publish-without-limit": "warning",
    "pattern-without-prefix": "warning",
    "subscribe-without-expire": "warning",
    "fact-without-timeout": "warning",
    "unknown-silence": "warning",
    "unrenewable-connect": "warning",
    "further-findings": "hint",
}
"""Severity by id; an id that is not listed here is an error."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """A place in a policy file: line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to say about a policy set; `hint` is the way out, where there is one."""

    id: str
    at: Position
    message: str
    hint: str = ""

    @property
    def severity(self) -> Severity:
        """How bad it is; the id decides."""
        return SEVERITIES.get(self.id, "error")

    def __str__(self) -> str:
        return f"{self.at}: {self.severity} {self.id}: {self.message}" + (f" ({self.hint})" if self.hint else "")


MAX_ERRORS = 200
"""After so many errors nothing more is looked for."""

MAX_FINDINGS = 1000
"""So many findings of a file set are told, the worst."""


def worst(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in the order of files and lines; of too many the worst, and a last one that says so."""
    kept = sorted(sorted(findings, key=lambda f: _RANKS.index(f.severity))[:MAX_FINDINGS], key=lambda f: f.at)
    if len(findings) > MAX_FINDINGS:
        message = f"there are {len(findings) - MAX_FINDINGS} findings more, none of them worse"
        kept.append(Finding(id="further-findings", at=kept[-1].at, message=message))
    return kept


_RANKS: tuple[Severity, ...] = ("error", "security", "warning", "hint")


class Objection(Exception):
    """Carries one finding from where a text cannot be understood to where findings are collected."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Enough(Exception):
    """There are so many errors that looking for more helps nobody and takes time; `finding` says so."""

    def __init__(self, at: Position) -> None:
        message = f"there are more than {MAX_ERRORS} errors; what else is wrong was not looked for"
        self.finding = Finding(id="too-large", at=at, message=message, hint="mend these first")
        super().__init__(str(self.finding))
