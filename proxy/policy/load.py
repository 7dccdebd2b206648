"""Loads a policy set from the bytes of its files."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from proxy.policy.checking.check import Checker, Set
from proxy.policy.checking.world import Book, meant
from proxy.policy.findings import SEVERITIES, Enough, Finding, Objection, Position, worst
from proxy.policy.policy import Policy
from proxy.policy.reading import statements
from proxy.policy.reading.lex import decoded
from proxy.policy.reading.parse import parse_file, parse_trials


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The policy, unless a finding is an error; findings come in the order of files and lines."""

    policy: Policy | None
    findings: tuple[Finding, ...]


def revision(files: Mapping[str, bytes]) -> str:
    """A hash of the files by name; tests do not count, since they decide nothing."""
    digest = hashlib.sha256()
    for name in sorted(files):
        if not name.endswith(".test.policy"):
            digest.update(b"%d:%s%d:" % (len(name.encode()), name.encode(), len(files[name])))
            digest.update(files[name])
    return digest.hexdigest()[:16]


def load(files: Mapping[str, bytes]) -> Loaded:
    """Parses, checks and compiles; `files` are paths relative to the policies folder and their bytes."""
    book = Book()
    nodes: list[statements.Statement] = []
    comments: list[statements.Comment] = []
    for name in sorted(n for n in files if n.endswith(".policy")):
        try:
            text = decoded(name, files[name])
        except Objection as objection:
            book.findings.append(objection.finding)
            continue
        if name.endswith(".test.policy"):
            book.findings += parse_trials(name, text)[1]
            continue
        parsed, findings = parse_file(name, text)
        book.findings += findings
        nodes += parsed.statements
        comments += parsed.comments
    checked = _checked(nodes, files, book)
    _whole(files, nodes, book)
    findings = worst(_silenced(book, comments))
    policy = None if book.broken or checked is None else Policy(checked, book, revision(files))
    return Loaded(policy=policy, findings=tuple(findings))


def _checked(nodes: Sequence[statements.Statement], files: Mapping[str, bytes], book: Book) -> Set | None:
    try:
        return Checker(nodes, files, book).check()
    except Enough as enough:
        book.findings.append(enough.finding)
        return None


def _whole(files: Mapping[str, bytes], nodes: Sequence[statements.Statement], book: Book) -> None:
    """What can only be said of the set as a whole."""
    start = Position(file=min((n for n in files if n.endswith(".policy")), default="."), line=1, column=1)
    if not any(n.endswith(".policy") and not n.endswith(".test.policy") for n in files):
        book.find("syntax", start, "there is no policy here", "put at least one *.policy file into the folder")
    elif nodes and not any(n.endswith(".test.policy") for n in files):
        book.find("no-tests", start, "nothing tests this policy", "put tests into a *.test.policy file")


def _silenced(book: Book, comments: Sequence[statements.Comment]) -> list[Finding]:
    """The findings without those that `// allow: ID reason` on the line above silences; errors cannot be."""
    silences: dict[tuple[str, int], set[str]] = {}
    for comment in comments:
        words = comment.text.split()
        if words[:1] == ["allow:"] and comment.alone:
            id_ = words[1] if words[1:] else ""
            if id_ not in SEVERITIES or not words[2:]:
                hint = meant(id_, SEVERITIES) or "write // allow: ID reason, with the id of a security finding or warning"
                book.find("unknown-silence", comment.at, "this silences nothing", hint)
            silences.setdefault((comment.at.file, comment.at.line + 1), set()).add(id_)
    return [f for f in book.findings if f.severity == "error" or f.id not in silences.get((f.at.file, f.at.line), ())]
