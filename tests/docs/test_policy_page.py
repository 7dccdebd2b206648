import ast
import functools
import re

import pytest

from proxy.edge.tokens import STATUSES
from proxy.gateway import api
from proxy.hooks.answers import COMMANDS, CONNECTIONS, FORBIDDEN, OUTCAST
from proxy.policy.decision import REASONS
from proxy.policy.findings import SEVERITIES
from proxy.policy.load import load
from proxy.policy.names import BUILTINS
from proxy.review import trials
from proxy.wire.replies import Disconnected, Refused
from tests.docs import pages
from tests.house.tree import ROOT, modules

PAGE = pages.page("policy")
POLICIES = [(name, block) for name, text in pages.every().items() for block in pages.blocks(text, "policy") if block.use != "part"]
"""Those that stand alone; `part` is for what a page puts into a policy that exists, and is tried with it."""
DENY = "the name of a deny"
FOLDER = "proxy/stores/folder.py"


def schemas() -> dict[str, bytes]:
    return {f"schemas/{file.name}": file.read_bytes() for file in (ROOT / "policies" / "schemas").glob("*.json")}


def whole(name: str) -> str:
    """The complete policy that a page shows first, to which its other blocks are added."""
    return next(block.text for page, block in POLICIES if page == name and not block.use)


def files(name: str, block: pages.Block) -> dict[str, bytes]:
    written = {"a.policy": whole(name) if block.use else block.text}
    if block.use == "test":
        written["b.test.policy"] = block.text
    elif block.use:
        written["b.policy"] = f"language 1;\n{block.text}"
    return {each: text.encode() for each, text in written.items()} | schemas()


@pytest.mark.parametrize(("name", "block"), POLICIES)
def test_an_example_of_the_policy_loads_unless_it_says_otherwise(name: str, block: pages.Block) -> None:
    use, _, wanted = block.use.partition(" ")
    assert use in ("", "add", "test", "finds")
    found = {finding.id for finding in load(files(name, block)).findings}
    assert found - {"no-tests", "publish-without-schema", "publish-without-limit"} == ({wanted} if wanted else set())


@pytest.mark.parametrize(("name", "block"), [(name, block) for name, block in POLICIES if block.use == "test"])
def test_the_tests_of_an_example_pass(name: str, block: pages.Block) -> None:
    policy = load(files(name, block)).policy
    assert policy is not None
    report = trials.run(policy, files(name, block))
    assert (report.findings, report.failed) == ((), 0)
    assert report.passed > 1


def test_there_is_an_example_of_each_kind() -> None:
    assert {block.use.partition(" ")[0] for _, block in POLICIES} == {"", "add", "test", "finds"}


def test_every_finding_is_in_the_table_and_has_its_severity() -> None:
    table = {pages.spans(id_)[0]: severity for id_, severity, *_ in pages.table(PAGE, "id", "severity", "it means", "what to do")}
    assert table == {id_: SEVERITIES.get(id_, "error") for id_ in {*_found(), *SEVERITIES}}


def test_the_scan_sees_every_way_to_note_a_finding() -> None:
    assert {"syntax", "unreadable", "too-large", "duplicate-name", "no-tests", "maybe-null"} <= _found()


@functools.cache
def _found() -> frozenset[str]:
    """The ids that stand where findings are made."""
    ids: set[object] = set()
    for name, tree in modules().items():
        if name.startswith("proxy/policy/") or name == FOLDER:
            for node in ast.walk(tree):
                ids |= {each.value for each in _ids(name, node) if isinstance(each, ast.Constant)}
    return frozenset(map(str, ids))


def _ids(name: str, node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = node.args[:1] if called == "find" and len(node.args) > 2 and name != FOLDER else []
        named = {"Finding": "id", "find": "kind"}.get(called)
        return [*given, *(each.value for each in node.keywords if each.arg == named)]
    if isinstance(node, ast.FunctionDef) and node.name == "find":
        return [default for default in node.args.defaults if isinstance(default, ast.Constant) and default.value]
    return []


def test_the_reasons_and_their_answers_are_those_of_the_code() -> None:
    head = ("reason", "subscribe, publish, rpc, map", "connect", "token endpoints", "backends")
    rows = {reason: cells for first, *cells in pages.table(PAGE, *head) for reason in _reasons(first)}
    assert set(rows) == {*REASONS, DENY} - {"allowed"}
    for reason, (command, connect, token, backend) in rows.items():
        known = None if reason == DENY else reason
        assert command in ("-", _shown(COMMANDS.get(known or "", FORBIDDEN))), reason
        assert connect in ("-", _shown(CONNECTIONS.get(known or "", OUTCAST))), reason
        assert token in ("-", f"{STATUSES.get(known or '', 403):d}"), reason
        wanted = "status 401" if reason == "no_identity" else f"{api._REFUSALS.get(known or '', api._FORBIDDEN).code:d}"
        assert backend in ("-", wanted), reason


def _reasons(cell: str) -> list[str]:
    return [*pages.spans(cell), *([DENY] if DENY in cell else [])]


def _shown(answer: Refused | Disconnected) -> str:
    if isinstance(answer, Disconnected):
        return f"disconnect {answer.code:d}"
    return f"{answer.code:d}" + (", temporary" if answer.temporary else "")


def test_the_names_of_expressions_are_those_of_the_code() -> None:
    named = {name for first, *_ in pages.table(PAGE, "name", "where", "what") for name in pages.spans(first)}
    # What has no source yet stands among the limits of the version.
    assert named == set(BUILTINS) - {"labels", "reply"}


def test_the_obligations_are_those_of_the_grammar() -> None:
    grammar = (ROOT / "proxy" / "policy" / "reading" / "grammar.lark").read_text()
    (line,) = re.findall(r"^\?obligation: (.*)$", grammar, re.MULTILINE)
    named = {span.split()[0] for first, *_ in pages.table(PAGE, "obligation", "for", "what") for span in pages.spans(first)}
    assert named == {*line.split(" | ")} - {"value"} | {"info", "data"}


def test_the_statements_are_those_of_the_grammar() -> None:
    grammar = (ROOT / "proxy" / "policy" / "reading" / "grammar.lark").read_text()
    (line,) = re.findall(r"^\?statement: (.*)$", grammar, re.MULTILINE)
    named = {pages.spans(first)[0].split()[0] for first, _ in pages.table(PAGE, "statement", "what it says")}
    # Those without effect stand among the limits of the version.
    assert named == {*line.split(" | ")} - {"SKIPPED", "log"}
