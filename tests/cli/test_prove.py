"""`prove`, through the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.cli.prove import prove
from tests.cli.test_seams import run

HEAD = 'language 1;\nchannel "x:{y}" { allow subscribe when vars.y == user expire 5m; }\n'
HOLDS = 'always deny publish on "x:{y}" for users;\nnever allow subscribe on "x:{y}" when vars.y != user;\n'
BREAKS = 'never allow subscribe on "x:{y}" when user.startsWith("a");\n'
HANGS = 'never allow subscribe on "x:{y}" when user.matches("(?i)^[^a-z]$") && user.lowerAscii() == "B";\n'
IDLE = 'channel "z:{y}" { allow presence when vars.y == "/"; allow history; allow history as again; }\n'


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return tmp_path


def lines(policies: Path, text: str, *options: str) -> tuple[int, list[str]]:
    (policies / "a.policy").write_text(HEAD + text)
    result = run(prove, "--policies", str(policies), *options)
    return result.exit_code, result.stdout.splitlines()


def test_what_is_proved_is_said_with_its_place(policies: Path) -> None:
    assert lines(policies, HOLDS) == (
        0,
        [
            'proved   always deny publish on "x:{y}" for users  a.policy:3',
            "  no rule allows any of it",
            'proved   never allow subscribe on "x:{y}" when vars.y != user  a.policy:4',
            "2 proved",
        ],
    )


def test_what_is_refuted_is_shown_by_a_request_and_the_rule_that_allows_it(policies: Path) -> None:
    code, said = lines(policies, HOLDS + BREAKS)
    assert (code, said[-1]) == (1, "2 proved, 1 refuted")
    assert said[3:5] == [
        'refuted  never allow subscribe on "x:{y}" when user.startsWith("a")  a.policy:5',
        "  allowed by x:{y}/subscribe/1 (a.policy:2)",
    ]
    request = json.loads(said[5].removeprefix("  e.g. "))
    assert request == {"op": "subscribe", "user": request["user"], "channel": f"x:{request['user']}", "facts": {}}
    assert request["user"].startswith("a")


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--allow-unknown"], 0)])
def test_what_is_unknown_fails_unless_that_is_allowed(policies: Path, options: list[str], code: int) -> None:
    ended, said = lines(policies, HANGS, *options)
    assert (ended, said[0][:9], said[-1]) == (code, "unknown  ", "1 unknown")
    assert said[1].startswith("  subscribe on x:{y}: what the solver found is not so, since it cannot look into: ")


def test_rules_that_never_decide_are_told_and_do_not_fail(policies: Path) -> None:
    assert lines(policies, IDLE) == (
        0,
        [
            "idle     z:{y}/presence/1  a.policy:3",
            "  never decides: what it needs is never so",
            "idle     z:{y}/history/again  a.policy:3",
            "  never decides: rules above it decide all of it",
            "no invariants; 2 rules that never decide",
        ],
    )
    assert lines(policies, IDLE, "--no-rules") == (0, ["no invariants"])
    assert lines(policies, IDLE.replace("allow history as again; ", ""))[1][-1] == "no invariants; 1 rule that never decides"


def test_programs_get_an_object(policies: Path) -> None:
    code, said = lines(policies, HOLDS + BREAKS + IDLE, "--json")
    found = json.loads("\n".join(said))
    first, second, third = found["invariants"]
    assert code == 1
    assert first["why"] == "no rule allows any of it"
    assert second == {"invariant": 'never allow subscribe on "x:{y}" when vars.y != user', "at": "a.policy:4", "state": "proved"}
    assert (third["state"], third["rule"], third["rule_at"]) == ("refuted", "x:{y}/subscribe/1", "a.policy:2")
    assert third["request"]["op"] == "subscribe"
    assert [each["why"] for each in found["idle"]] == ["never holds", "comes too late"]


def test_a_policy_that_does_not_load_is_not_asked(policies: Path) -> None:
    (policies / "a.policy").write_text("language 1; never allow subscribe on x;")
    result = run(prove, "--policies", str(policies))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be used" in result.stderr


def test_a_folder_that_is_not_there_is_not_asked(policies: Path) -> None:
    assert run(prove, "--policies", str(policies / "none")).exit_code == 2


@pytest.mark.parametrize("timeout", ["0", "-1", "x"])
def test_a_time_that_is_none_is_refused(policies: Path, timeout: str) -> None:
    assert run(prove, "--policies", str(policies), "--timeout", timeout).exit_code == 2


def test_without_the_solver_it_says_what_to_install(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (policies / "a.policy").write_text(HEAD)
    monkeypatch.setitem(sys.modules, "z3", None)
    for name in [name for name in sys.modules if name.startswith("proxy.review.proving.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("proxy.review.proving.prove", raising=False)
    result = run(prove, "--policies", str(policies))
    assert (result.exit_code, result.stderr) == (2, "z3 is not installed: install centrigate[prove]\n")


def test_no_other_command_loads_the_solver() -> None:
    script = "import sys, proxy.cli, proxy.app; sys.exit('z3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
