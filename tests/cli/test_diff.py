"""`diff`, through the command line, with folders and revisions."""

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import Result

from proxy.cli.diff import diff
from proxy.cli.replay import replay
from tests.cli.test_seams import run

OLD = 'language 1;\nchannel "x:{y}" { allow subscribe when vars.y == user expire 5m; }\n'
GAIN = OLD.replace("==", "!=")
LOOSE = OLD.replace("5m", "10m")
REQUEST = {"user": "u", "op": "subscribe", "channel": "x:v", "facts": {}}


def folder(at: Path, text: str) -> str:
    at.mkdir()
    (at / "a.policy").write_text(text)
    return str(at)


@pytest.fixture
def old(tmp_path: Path) -> str:
    return folder(tmp_path / "old", OLD)


def entry(effect: str, reason: str, **more: object) -> str:
    decided = {"effect": effect, "reason": reason, **more}
    return json.dumps({"at_ms": 1, "revision": "r", "request": REQUEST, "decision": decided, "ages_ms": {}}) + "\n"


def test_who_gains_is_said_first(old: str, tmp_path: Path) -> None:
    result = run(diff, old, folder(tmp_path / "new", GAIN))
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[:3] == ["newly allowed", "  subscribe x:{y}", "    when user != vars.y"]
    assert lines[3] == "    denied: no_rule → allowed by x:{y}/subscribe/1 (a.policy:2)"
    assert json.loads(lines[4].removeprefix("    e.g. "))["channel"] == "x:x"
    assert lines[-1] == "1 newly allowed, 1 newly denied; 1 the same"


@pytest.mark.parametrize(
    ("new", "flags", "code"),
    [
        (GAIN, ["newly-allowed"], 1),
        (GAIN, ["newly-denied"], 1),
        (GAIN, ["loosened"], 0),
        (GAIN, ["loosened", "any"], 1),
        (LOOSE, ["newly-allowed", "newly-denied"], 0),
        (LOOSE, ["loosened"], 1),
        (OLD, ["any"], 0),
        (OLD.replace("vars.y == user", "(user == vars.y)"), ["any"], 0),
        (OLD + "identity g { guest; }\n", ["newly-allowed"], 1),
    ],
)
def test_the_exit_code_is_for_what_it_shall_fail_on(old: str, tmp_path: Path, new: str, flags: list[str], code: int) -> None:
    given = [word for flag in flags for word in ("--fail-on", flag)]
    assert run(diff, old, folder(tmp_path / "new", new), *given).exit_code == code


def test_programs_read_json(old: str, tmp_path: Path) -> None:
    new = folder(tmp_path / "new", GAIN)
    told = json.loads(run(diff, old, new, "--json").stdout)
    assert told == json.loads(run(diff, old, new, "--format", "json").stdout)
    assert [(each["kind"], each["proven"], each["request"]["op"]) for each in told["changes"]] == [
        ("newly denied", True, "subscribe"),
        ("newly allowed", True, "subscribe"),
    ]
    assert (told["declared"], told["rewritten"], told["same"]) == ([], [], 1)


def test_a_pull_request_shows_code_whatever_stands_in_the_policy(tmp_path: Path) -> None:
    text = 'language 1;\nchannel "x" { allow subscribe when user == "`<b>|"; }\nidentity g { guest; }\n'
    changed = text.replace('user == "`<b>|"', 'user == "``"').replace("identity g", "identity h")
    result = run(diff, folder(tmp_path / "a", text), folder(tmp_path / "b", changed), "--format", "markdown")
    assert '`` when user != "`<b>|" ``' not in result.stdout
    assert '``` when user == "``" ```' in result.stdout
    assert "### Policy: 1 newly allowed, 1 newly denied, 2 declared otherwise; 1 the same" in result.stdout
    assert "- `identity h is new: whoever it knows may speak`" in result.stdout


def test_what_is_rewritten_and_declared_is_listed(old: str, tmp_path: Path) -> None:
    new = folder(tmp_path / "new", OLD.replace("vars.y == user", "(user == vars.y)") + "identity g { guest; }\nlog { sample allow 5%; }\n")
    for form in ("text", "markdown"):
        told = run(diff, old, new, "--format", form).stdout
        assert "log what is masked or sampled differs" in told
    rewritten = folder(tmp_path / "same", OLD.replace("vars.y == user", "user == vars.y"))
    assert "rewritten, decides the same\n  subscribe x:{y}" in run(diff, old, rewritten).stdout
    assert "- `subscribe x:{y}`" in run(diff, old, rewritten, "--format", "markdown").stdout


def test_the_log_says_how_many_decisions_flip(old: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(entry("deny", "no_rule") * 3)
    new = folder(tmp_path / "new", GAIN)
    assert "3 newly allowed: subscribe x:{y}, no_rule → x:{y}/subscribe/1" in run(diff, old, new, "--log", str(log)).stdout
    assert json.loads(run(diff, old, new, "--log", str(log), "--json").stdout)["log"]["flips"][0]["count"] == 3
    told = run(diff, old, new, "--log", str(log), "--format", "markdown").stdout
    assert "| 3 | newly allowed | `subscribe x:{y}` | `no_rule` | `x:{y}/subscribe/1` |" in told


def git(at: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=at, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    at = tmp_path / "repository"
    (at / "policies" / "schemas" / "deep").mkdir(parents=True)
    (at / "policies" / ".hidden").mkdir()
    monkeypatch.chdir(at)
    git(at, "init", "-q", "-b", "main")
    (at / "policies" / "a.policy").write_text(OLD)
    (at / "policies" / "notes.txt").write_text("no policy")
    (at / "policies" / ".hidden" / "b.policy").write_text("nonsense")
    (at / "policies" / "schemas" / "deep" / "s.json").write_text("{}")
    git(at, "add", ".")
    git(at, "commit", "-q", "-m", "one")
    (at / "policies" / "a.policy").write_text(GAIN.replace("expire 5m", 'schema "schemas/deep/s.json"'))
    git(at, "commit", "-q", "-a", "-m", "two")
    return at


@pytest.mark.usefixtures("repository")
def test_revisions_are_compared_with_each_other_and_with_folders() -> None:
    told = run(diff, "HEAD~1", "main").stdout
    assert "1 newly allowed, 1 newly denied, 1 refused otherwise; 1 the same" in told
    assert run(diff, "main", "policies", "--fail-on", "any").exit_code == 0
    assert run(diff, "HEAD~1", "HEAD~1").stdout == "no difference; 2 the same\n"


@pytest.mark.parametrize(
    ("revision", "path", "words"),
    [
        ("nothing", "policies", "'nothing' is neither a folder nor a revision"),
        ("-x", "policies", "is neither a folder nor a revision"),
        ("a\nb", "policies", "is neither a folder nor a revision"),
        ("main:policies", "policies", "is neither a folder nor a revision"),
        ("main", "../policies", "a folder below this one"),
        ("main", "/policies", "a folder below this one"),
        ("main", "nothing", "has no folder 'nothing'"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_a_revision_that_cannot_be_read_is_said(revision: str, path: str, words: str) -> None:
    result = run(diff, "--path", path, "--", revision, "policies")
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_revision_holds_ordinary_files_of_a_bounded_size(repository: Path) -> None:
    (repository / "policies" / "link.policy").symlink_to("a.policy")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "link")
    assert "is no ordinary file" in run(diff, "main", "policies").stderr
    (repository / "policies" / "link.policy").unlink()
    (repository / "policies" / "long.policy").write_text("language 1;\n" + "// x\n" * 300_000)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "long")
    assert "is longer than" in run(diff, "main", "policies").stderr
    (repository / "policies" / "long.policy").unlink()
    for number in range(1001):
        (repository / "policies" / f"n{number}.policy").write_text("language 1;\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "many")
    assert "has more than 1000 files" in run(diff, "main", "main").stderr


def test_outside_of_a_repository_and_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "is in no git repository" in run(diff, "main", old).stderr
    monkeypatch.setenv("PATH", "")
    assert "git is not installed" in run(diff, "main", old).stderr


def test_a_git_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("proxy.review.revisions.PATIENCE_S", 0.05)
    assert "did not answer within 0.05 s" in run(diff, "main", old).stderr


def test_flags_that_exclude_each_other_are_refused(old: str) -> None:
    result = run(diff, old, old, "--json", "--format", "markdown")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "exclude each other" in result.stderr


def test_a_policy_that_cannot_be_used_is_shown(old: str, tmp_path: Path) -> None:
    result = run(diff, old, folder(tmp_path / "new", "language 1;\nlet a = usr;\n"))
    assert result.exit_code == 2
    assert "a.policy:2:9: error unknown-name" in result.stderr
    assert "cannot be used: 1 error" in result.stderr


def replayed(tmp_path: Path, text: str, log: str | bytes, *flags: str) -> Result:
    at = tmp_path / "log"
    at.write_bytes(log if isinstance(log, bytes) else log.encode())
    return run(replay, str(at), "--policies", folder(tmp_path / "policies", text), *flags)


def test_replay_says_what_flips(tmp_path: Path) -> None:
    log = entry("deny", "no_rule") + entry("allow", "allowed", rule="x:{y}/subscribe/1")
    result = replayed(tmp_path, GAIN, log)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "1 newly allowed: subscribe x:{y}, no_rule → x:{y}/subscribe/1",
        "  line 1: user u subscribe x:v",
        "2 decisions, 1 the same, 1 newly allowed",
    ]


@pytest.mark.parametrize(("flag", "code"), [("newly-allowed", 1), ("newly-denied", 0), ("any", 1)])
def test_replay_fails_on_what_it_shall(tmp_path: Path, flag: str, code: int) -> None:
    result = replayed(tmp_path, GAIN, entry("deny", "no_rule"), "--json", "--fail-on", flag)
    assert result.exit_code == code
    assert json.loads(result.stdout)["decisions"] == 1


def test_replay_reads_standard_input(tmp_path: Path) -> None:
    result = run(replay, "-", "--policies", folder(tmp_path / "p", OLD), given=entry("deny", "no_rule"))
    assert result.stdout == "1 decisions, 1 the same\n"


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    result = replayed(tmp_path, OLD, "nonsense\n{}\n")
    assert result.exit_code == 2
    assert "not one line of it can be read" in result.stderr


def test_a_log_that_is_not_there_is_named(tmp_path: Path, old: str) -> None:
    result = run(replay, str(tmp_path / "none"), "--policies", old)
    assert result.exit_code == 2
    assert "none" in result.stderr
