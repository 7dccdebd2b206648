"""The pages of the documentation, taken apart: fenced blocks, tables, links, words that are code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.house.tree import ROOT

DOCS = ("application", "architecture", "changes", "demo", "doctor", "facts", "operations", "policy", "publishing", "review", "tokens")

_FENCE = re.compile(r"^```(\S*)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: the language, what stands behind it, and the text."""

    kind: str
    use: str
    text: str


@cache
def page(name: str) -> str:
    """The text of a page of `docs/`."""
    return (ROOT / "docs" / f"{name}.md").read_text()


@cache
def every() -> dict[str, str]:
    """All pages by their path, those beside the README included."""
    files = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def blocks(text: str, kind: str) -> list[Block]:
    """The fenced blocks of one language, in order."""
    return [Block(kind=each[1], use=each[2] or "", text=each[3]) for each in _FENCE.finditer(text) if each[1] == kind]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    """Where the links of the prose lead."""
    return _LINK.findall(prose(text))


def code(text: str) -> Iterator[str]:
    """Everything that is written as code: spans, indented lines, shell blocks."""
    yield from re.findall(r"`([^`\n]+)`", prose(text))
    yield from re.findall(r"^ {4}(\S.*)$", prose(text), re.MULTILINE)
    for kind in ("", "sh", "console"):
        yield from (line for block in blocks(text, kind) for line in block.text.splitlines())


def table(text: str, *head: str) -> list[list[str]]:
    """The rows of the table with this head; there is one."""
    (found,) = [each for each in _tables(text) if each[0] == list(head)]
    return found[2:]


def spans(cell: str) -> list[str]:
    """What is written as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def anchors(text: str) -> set[str]:
    """What can stand behind a `#` in a link to this page."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _tables(text: str) -> Iterator[list[list[str]]]:
    for lines in re.findall(r"(?:^\|.*\|$\n?)+", prose(text), re.MULTILINE):
        # A bar inside of code separates nothing.
        yield [[cell.strip() for cell in re.split(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)", line)[1:-1]] for line in lines.splitlines()]
