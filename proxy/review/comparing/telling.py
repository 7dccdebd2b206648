"""A comparison as people read it in a terminal and in a pull request, and as programs do."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text

from proxy.review.comparing.changes import Change, Comparison, Declared, Kind
from proxy.review.comparing.witness import written
from proxy.review.wording import visible

_ORDER: Final[Sequence[Kind]] = ("newly allowed", "loosened", "newly denied", "tightened", "changed", "refused otherwise", "not compared")
_COLOURS: Final = {"newly allowed": "red", "loosened": "red", "newly denied": "yellow", "tightened": "yellow"}

NAMED: Final = 6
"""Operations and targets that are named where many differ alike."""

LONGEST: Final = 600
"""Characters of a request in a report for people; the JSON form has it whole."""

_Group = list[Change]


def as_lines(found: Comparison) -> Iterator[Text]:
    """The comparison line by line."""
    for kind in _ORDER:
        groups = _groups(found, kind)
        if groups:
            yield Text(kind, style=f"bold {_COLOURS.get(kind, '')}".strip())
        for group in groups:
            first, *facts = _told(group)
            yield Text(f"  {first}")
            yield from (Text(f"    {fact}") for fact in facts)
    if found.declared:
        yield Text("declared otherwise", style="bold")
        yield from (Text(f"  {_declared(each)}") for each in found.declared)
    if found.rewritten:
        yield Text("rewritten, decides the same", style="bold")
        yield Text(f"  {visible(_some(found.rewritten))}")
    yield Text(summary(found))


def as_markdown(found: Comparison) -> str:
    """The comparison as a comment for a pull request; what policies say stands in code, where it is no markup."""
    lines = [f"### Policy: {summary(found)}", ""]
    for kind in _ORDER:
        groups = _groups(found, kind)
        if groups:
            lines += [f"**{kind.capitalize()}**", ""]
        for group in groups:
            first, *facts = _told(group)
            lines += [f"- {code(first)}", *(f"  - {code(fact)}" for fact in facts)]
        lines += [""] if groups else []
    if found.declared:
        lines += ["**Declared otherwise**", "", *(f"- {code(_declared(each))}" for each in found.declared), ""]
    if found.rewritten:
        lines += ["**Rewritten, decides the same**", "", f"- {code(_some(found.rewritten))}", ""]
    return "\n".join(lines)


def as_object(found: Comparison) -> dict[str, object]:
    """The comparison as JSON."""
    return {
        "changes": [_member(change) for change in found.changes],
        "declared": [{"what": each.what, "detail": each.detail, "may": sorted(each.may)} for each in found.declared],
        "rewritten": list(found.rewritten),
        "same": found.same,
    }


def summary(found: Comparison) -> str:
    """How much differs, in one line."""
    counts = {kind: len({(each.operation, each.target) for each in found.changes if each.kind == kind}) for kind in _ORDER}
    told = [f"{count} {kind}" for kind, count in counts.items() if count]
    told += [f"{len(found.declared)} declared otherwise"] if found.declared else []
    told += [f"{len(found.rewritten)} rewritten"] if found.rewritten else []
    return f"{', '.join(told) or 'no difference'}; {found.same} the same"


def _groups(found: Comparison, kind: Kind) -> list[_Group]:
    """The changes of a kind; those that say the same of other operations and targets are one."""
    groups: dict[object, _Group] = {}
    for change in found.changes:
        if change.kind == kind:
            groups.setdefault((change.when, change.detail, change.witness is None), []).append(change)
    return list(groups.values())


def _told(group: _Group) -> Iterator[str]:
    """What is to be said of changes alike, the first line first."""
    first = group[0]
    names: dict[str, list[str]] = {}
    for change in group:
        names.setdefault(change.target, []).append(change.operation)
    yield visible(_some([f"{', '.join(dict.fromkeys(operations))} {target}".strip() for target, operations in names.items()], "; "))
    if first.detail:
        yield visible(first.detail)
    if first.when:
        yield visible(f"when {' && '.join(first.when)}")
    if first.before != first.after:
        yield visible(f"{first.before} → {first.after}")
    if first.witness:
        request = written(first.witness)
        yield visible(f"e.g. {request if len(request) <= LONGEST else request[:LONGEST] + '…'}")
    elif first.before:
        yield "not proven the same: no request was found that shows it"
    if first.more:
        yield f"and in {first.more} more cases"


def _declared(each: Declared) -> str:
    return visible(f"{each.what} {each.detail}")


def _some(names: Sequence[str], between: str = ", ") -> str:
    rest = len(names) - NAMED
    return between.join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def code(text: str) -> str:
    """A code span of Markdown that ends where it should, whatever stands in it."""
    fence = "`" * (text.count("`") + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def _member(change: Change) -> dict[str, object]:
    told: dict[str, object] = {"kind": change.kind, "operation": change.operation, "target": change.target}
    told |= {"when": list(change.when), "detail": change.detail, "before": change.before, "after": change.after, "more": change.more}
    return {**told, "proven": change.witness is not None or not change.before, "request": change.witness and dict(change.witness.request)}
