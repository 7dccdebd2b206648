"""Where two policies have too many cases, the solver says who gains and who loses."""

import sys
from pathlib import Path

import pytest

from proxy.cli.diff import diff
from proxy.policy.decision import Allow, Deny
from proxy.policy.load import load
from proxy.review import lines
from proxy.review.comparing import branches
from proxy.review.comparing.changes import Change, Version
from proxy.review.comparing.compare import compare
from proxy.review.proving.gap import Gap
from tests.cli.test_seams import run
from tests.review.proving.scene import PLACES

MANY = " || ".join(f"(data.k{number} == {number} && user == vars.x)" for number in range(12))
RULE = 'channel "c:{x}" { allow subscribe when %s expire 5m; }'


def version(text: str) -> Version:
    files = {"p.policy": f"language 1;{PLACES}{text}".encode()}
    policy = load(files).policy
    assert policy is not None
    return Version(policy=policy, files=files)


def changes(old: str, new: str) -> list[Change]:
    one, other = version(old), version(new)
    return [change for change in compare(one, other, beyond=Gap(one, other).witnesses).changes if change.operation == "subscribe"]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MOST", 5)


def test_who_gains_and_who_loses_is_shown_by_requests_that_both_decide_so() -> None:
    found = changes(RULE % MANY, RULE % MANY.replace("data.k7 == 7", "data.k7 == 77"))
    shown = {change.kind: change for change in found if change.kind.startswith("newly") and change.witness}
    assert set(shown) == {"newly allowed", "newly denied"}
    for kind, change in shown.items():
        assert change.witness is not None
        request = change.witness.request
        assert request["data"]["k7"] == (77 if kind == "newly allowed" else 7)
        for text, kept, allowed in (
            (RULE % MANY, change.witness.before, 7),
            (RULE % MANY.replace("== 7 ", "== 77 "), change.witness.after, 77),
        ):
            policy = version(text).policy
            decided = policy.decide(lines.request(request), lines.Given(policy.facts, request["facts"]))
            assert isinstance(decided, Allow if request["data"]["k7"] == allowed else Deny)
            assert type(decided) is type(kept)
    assert [change.detail for change in found if change.kind == "not compared"] == ["there are too many cases; one request each is shown"]


def test_that_nobody_gains_or_loses_is_proven() -> None:
    terms = MANY.split(" || ")
    found = changes(RULE % MANY, RULE % " || ".join(reversed(terms)))
    assert [(change.kind, change.detail) for change in found if change.witness is None] == [
        ("not compared", "there are too many cases; who is allowed is the same")
    ]


def test_patterns_that_differ_in_names_are_one() -> None:
    found = changes(RULE % MANY, (RULE % MANY).replace("vars.x", "vars.y").replace("{x}", "{y}"))
    assert "there are too many cases; who is allowed is the same" in [change.detail for change in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (RULE % f"data.list == [1] && ({MANY})", RULE % f"data.list == [1, 2] && ({MANY})"),
        (RULE % MANY, "meta { team: string } " + RULE % MANY.replace("== 7 ", "== 77 ")),
        (RULE % MANY, 'channel "d:{x}" { allow presence; }'),
    ],
)
def test_what_the_solver_cannot_say_is_not_compared(old: str, new: str) -> None:
    found = changes(old, new)
    assert [change.detail for change in found if change.kind == "not compared"] == ["there are too many cases"]


@pytest.mark.parametrize(
    ("installed", "detail"), [(True, "there are too many cases; one request each is shown"), (False, "there are too many cases")]
)
def test_diff_asks_the_solver_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool, detail: str
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "z3", None)
    for name, text in (("old", RULE % MANY), ("new", RULE % MANY.replace("== 7 ", "== 77 "))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.policy").write_text(f"language 1;\n{text}\n")
    said = run(diff, str(tmp_path / "old"), str(tmp_path / "new")).stdout.splitlines()
    assert f"    {detail}" in said
