"""The project's own policies are what they ask of others: without findings, formatted, tested."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.policy.load import load
from proxy.policy.reading.format import format_text
from proxy.review.report import as_lines
from proxy.review.trials import run
from proxy.stores.folder import read

FOLDER = Path(__file__).parents[1] / "policies"
NAMES = sorted(path.name for path in FOLDER.glob("*.policy"))


@pytest.fixture(scope="module")
def files() -> Mapping[str, bytes]:
    found, unread = read(FOLDER)
    assert unread == ()
    return found


def test_there_is_nothing_to_say_of_them(files: Mapping[str, bytes]) -> None:
    assert [str(finding) for finding in load(files).findings] == []


@pytest.mark.parametrize("name", NAMES)
def test_they_stand_in_the_one_layout(files: Mapping[str, bytes], name: str) -> None:
    text = files[name].decode()
    assert format_text(name, text) == text


def test_their_tests_pass_and_leave_nothing_untried(files: Mapping[str, bytes]) -> None:
    policy = load(files).policy
    assert policy is not None
    report = run(policy, files)
    assert report.findings == ()
    assert report.failed == 0, "\n".join(line.plain for line in as_lines(report))
    assert report.passed > 0
    assert (report.coverage.percent, report.coverage.gaps) == (100, ())
