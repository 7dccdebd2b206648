"""The page on the demo, held against the demo."""

import re
from collections.abc import Mapping

import pytest

from proxy.demo.data import PEOPLE
from proxy.demo.dev import Options
from proxy.demo.scenario import STEPS
from proxy.policy.load import load
from proxy.review import trials
from proxy.stores import folder
from tests.demo.policies import FOLDER
from tests.docs import pages
from tests.house.tree import ROOT

PAGE = pages.page("demo")


@pytest.mark.parametrize("text", [PAGE, (ROOT / "README.md").read_text()], ids=["demo", "README"])
def test_the_steps_that_are_shown_have_their_numbers_titles_and_lines(text: str) -> None:
    shown = re.findall(r"^ (\d\d) \u2713 (.+)\n.+\n +\w+(?: as (\w+))?(?: by (\S+) \((\S+):(\d+)\))?: .*", text, re.MULTILINE)
    assert shown
    for number, title, reason, rule, file, line in shown:
        step = STEPS[int(number) - 1]
        assert (step.title, step.reason) == (title, reason or "allowed")
        if rule:
            assert f" as {rule.rpartition('/')[2]} " in (FOLDER / file).read_text().splitlines()[int(line) - 1]


def test_the_steps_that_are_told_exist() -> None:
    assert f"Step {len(STEPS)} puts everything back" in PAGE
    assert "Ben writes" in STEPS[int(re.findall(r"stops at step (\d+)", PAGE)[0]) - 1].title


def test_the_people_and_places_are_those_of_the_demo() -> None:
    shown = {first for first, *_ in pages.table(PAGE, "person", "what they may do")}
    assert shown == {f"{each.name} ({each.id})" for each in PEOPLE.values()}
    assert all(f"`{place}`" in PAGE for place in (Options().database, Options().policies))


def edited(name: str, old: str, new: str) -> Mapping[str, bytes]:
    files = dict(folder.read(FOLDER)[0])
    assert files[name].count(old.encode()) == 1
    return {**files, name: files[name].replace(old.encode(), new.encode())}


@pytest.mark.parametrize("agrees", [True, False])
def test_the_changes_to_try_are_taken_and_refused_as_is_said(agrees: bool) -> None:  # noqa: FBT001 - a case
    tried = re.findall(r"change `(.+)` to `(.+)` in `var/demo/policies/(.+)`: (?:Ben is disconnected|the log says)", PAGE)
    old, new, name = tried[0 if agrees else 1]
    files = edited(name, old, new)
    policy = load(files).policy
    assert policy is not None
    assert (trials.run(policy, files).failed == 0) == agrees
