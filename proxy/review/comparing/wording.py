"""Says under which condition a way is taken."""

from proxy.review.comparing import spelling
from proxy.review.comparing.branches import Branch
from proxy.review.comparing.logic import Key
from proxy.review.comparing.units import Pair


def condition(way: Branch, pair: Pair, hidden: frozenset[Key]) -> tuple[str, ...]:
    """The answers that lead there in words: without `hidden` ones, what usually is so, and what follows from another answer."""
    said = []
    known = {key[1] for key, found in way.answers.items() if key[0] == "==" and found and key[2][0] == "const"}
    for question in way.questions:
        key, found = question.key, way.answers[question.key]
        follows = key[0] == "==" and not found and key[1] in known and key[2][0] == "const"
        if key not in hidden and found is not question.usual and not follows:
            said.append((question.yes if found else question.no) + _side(key, pair))
    return tuple(said)


def _side(key: Key, pair: Pair) -> str:
    """Where two patterns are compared, the one that the names of parameters are those of."""
    patterns = [unit.pattern for unit in pair.units if unit and unit.pattern]
    frames = [spelling.frame(pattern) for pattern in patterns]
    if len(set(frames)) < len(pair.units):
        return ""
    used = [inner[1] for inner in spelling.inside(key) if inner[0] == "vars"]
    return next((f' (in "{pattern.text}")' for pattern, frame in zip(patterns, frames, strict=True) if frame in used), "")
