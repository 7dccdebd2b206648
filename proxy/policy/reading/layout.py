"""Where the lines of one statement break."""

from collections.abc import Iterator, Sequence

from proxy.policy.reading.spacing import Piece

WIDTH = 100
"""Columns of a line; only what cannot be broken is longer."""

_OPENING = ("{", "[", "(")
_CLOSING = ("}", "]", ")")

Lines = list[str]
"""Finished lines, with their indentation."""


def flat(pieces: Sequence[Piece]) -> str:
    """Put pieces on one line."""
    return "".join(f" {piece.text}" if piece.gap and place else piece.text for place, piece in enumerate(pieces))


def fits(text: str, indent: int) -> bool:
    """Whether a text fits behind an indentation; of a text over lines, the first counts."""
    return indent + len(text.partition("\n")[0]) <= WIDTH


def lay(pieces: Sequence[Piece], indent: int) -> Lines:
    """Give the lines of a statement: one, or one for each obligation when they do not fit or the author broke there."""
    if any(piece.comment for piece in pieces):
        return list(_kept(pieces, indent))
    starts = [place for place, piece in enumerate(pieces) if piece.clause]
    broken = any(pieces[place].line > pieces[place - 1].last_line for place in starts)
    if starts and (broken or _opened(pieces) or not fits(flat(pieces), indent)):
        lines = _spread(pieces[: starts[0]], indent)
        for start, stop in zip(starts, [*starts[1:], len(pieces)], strict=True):
            lines += _spread(pieces[start:stop], indent + 2)
        return lines
    return _spread(pieces, indent)


def _kept(pieces: Sequence[Piece], indent: int) -> Iterator[str]:
    """Keep the lines of a statement with comments inside; what is in brackets stands a level deeper than their line."""
    opened: list[int] = []
    begin = 0
    for place in range(1, len(pieces) + 1):
        if place < len(pieces) and pieces[place].line <= pieces[place - 1].last_line:
            continue
        first = pieces[begin]
        level = opened[-1] + (first.text not in _CLOSING) if opened else int(begin > 0 and not first.block)
        for piece in pieces[begin:place]:
            if piece.text in _OPENING:
                opened.append(level)
            elif piece.text in _CLOSING:
                opened.pop()
        yield " " * (indent + 2 * level) + flat(pieces[begin:place])
        begin = place


def _spread(pieces: Sequence[Piece], indent: int) -> Lines:
    """Break at the weakest operator outside brackets, else behind brackets."""
    line = flat(pieces)
    if fits(line, indent) and not _opened(pieces):
        return [" " * indent + line]
    parts = [] if fits(line, indent) else _terms(pieces)
    if len(parts) > 1:
        return [*_spread(parts[0], indent), *(line for part in parts[1:] for line in _spread(part, indent + 4))]
    return _unfold(pieces, indent)


def _opened(pieces: Sequence[Piece]) -> bool:
    """Whether the author broke the line behind a bracket."""
    return any(_foldable(pieces, place) and pieces[place + 1].line > pieces[place].line for place in range(len(pieces) - 1))


def _foldable(pieces: Sequence[Piece], place: int) -> bool:
    return pieces[place].text in ("{", "[") and not pieces[place].block and pieces[place + 1].text not in ("}", "]")


def _terms(pieces: Sequence[Piece]) -> list[Sequence[Piece]]:
    """Split at `||`, or where there is none at `&&`."""
    for sign in ("||", "&&"):
        cuts = [place for place, piece in enumerate(pieces) if piece.text == sign and piece.depth == pieces[0].depth]
        if cuts:
            return [pieces[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(pieces)], strict=True)]
    return [pieces]


def _unfold(pieces: Sequence[Piece], indent: int) -> Lines:
    """Give each item of a list, map or record a line: of those that the author opened, else of the longest."""
    groups = list(_groups(pieces))
    opened = [group for group in groups if _opened(pieces[group.start : group.stop])]
    lines, begin = [], 0
    for group in opened or sorted(groups, key=len)[-1:]:
        lines.append(" " * indent + flat(pieces[begin : group.start + 1]))
        lines += _items(pieces[group.start + 1 : group.stop], indent + 2)
        begin = group.stop
    return [*lines, " " * indent + flat(pieces[begin:])]


def _groups(pieces: Sequence[Piece]) -> Iterator[range]:
    """Give the outermost lists, maps and records that hold something, from bracket to bracket."""
    place = 0
    while place < len(pieces):
        if _foldable(pieces, place):
            start, depth = place, pieces[place].depth
            while place == start or pieces[place].depth > depth or pieces[place].text not in ("}", "]"):
                place += 1
            yield range(start, place)
        place += 1


def _items(pieces: Sequence[Piece], indent: int) -> Lines:
    cuts = [place for place, piece in enumerate(pieces) if piece.text == "," and piece.depth == pieces[0].depth]
    lines: Lines = []
    for start, stop in zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(pieces)], strict=True):
        lines += _spread(pieces[start:stop], indent)
        lines[-1] += "," if stop < len(pieces) else ""
    return lines
