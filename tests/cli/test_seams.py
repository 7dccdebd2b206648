"""`decide` and `eval`, through the command line as it is installed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.decide import decide
from proxy.cli.evaluate import evaluate

POLICY = 'language 1;\nchannel "x:{y}" { allow subscribe when vars.y == user expire 5m; allow publish when data.n > 1; }\n'
ASK = {"op": "subscribe", "user": "u", "channel": "x:u"}


def run(command: Callable[..., None], *arguments: str, given: str | bytes | None = None) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments, input=given)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "a.policy").write_text(POLICY)
    return tmp_path


def answers(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_line_is_answered_in_order(policies: Path) -> None:
    lines = "\n".join(json.dumps(ASK | {"user": user}) for user in ("u", "v")) + "\n\n"
    result = run(decide, "--policies", str(policies), "--requests", "-", given=lines)
    assert result.exit_code == 0
    assert [answer["effect"] for answer in answers(result)] == ["allow", "deny"]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"nonsense",
        b"[" * 5000,
        b'{"op": "subscribe", "op": "publish"}',
        b'{"op": "subscribe", "user": "u", "channel": "x:u", "data": NaN}',
        b'{"op": "subscribe", "user": "u", "channel": "x:u", "data": ["\xff"]}',
        b'{"op": "subscribe", "user": "u", "channel": "x:u", "data": {"\\ud800": 1}}',
        b'{"op": "subscribe", "user": "u"}',
        b'{"op": "subscribe", "user": "u", "channel": "x:u", "timestamp_ms": "now"}',
    ],
)
def test_a_malformed_line_is_said_so_and_the_others_are_answered(policies: Path, line: bytes, tmp_path: Path) -> None:
    file = tmp_path / "requests"
    file.write_bytes(line + b"\n" + json.dumps(ASK).encode())
    result = run(decide, "--policies", str(policies), "--requests", str(file))
    assert result.exit_code == 2
    first, second = answers(result)
    assert set(first) == {"error"}
    assert second["effect"] == "allow"


def test_a_number_beyond_64_bits_fails_where_it_is_looked_at(policies: Path) -> None:
    ask = {"op": "publish", "user": "u", "channel": "x:u", "data": {"n": [2**64, True], "m": 2}}
    [answer] = answers(run(decide, "--policies", str(policies), "--requests", "-", given=json.dumps(ask)))
    assert answer["reason"] == "schema"


def test_a_policy_that_cannot_be_used_is_shown(policies: Path) -> None:
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    result = run(decide, "--policies", str(policies), "--requests", "-", given="")
    assert result.exit_code == 2
    assert "b.policy:2:9: error unknown-name" in result.stderr
    assert "cannot be used" in result.stderr


def test_an_expression_is_evaluated_with_typed_variables() -> None:
    result = run(evaluate, "x + 1", "--type", "x=int", "--var", "x=2")
    assert (result.exit_code, answers(result)) == (0, [{"type": "int", "value": 3}])


def test_an_error_says_where_it_is() -> None:
    result = run(evaluate, 'x == "1"', "--type", "x=int", "--var", "x=1")
    assert result.exit_code == 1
    assert [(a["id"], a["at"]) for a in answers(result)] == [("wrong-type", "1:1")]


def test_an_infinite_value_is_an_error() -> None:
    [answer] = answers(run(evaluate, "1.0 / 0.0"))
    assert "error" in answer


def test_wrong_usage_is_said_so() -> None:
    for arguments in ((), ("x", "--var", "x"), ("x", "--var", "x=nonsense"), ("x", "--var", 'x="\\ud800"'), ("x", "--type", "int")):
        result = run(evaluate, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr


def test_a_batch_answers_line_by_line() -> None:
    wrong = ["[]", "nonsense", '{"expr": 5}', '{"types": {}}', '{"expr": "x", "vars": [1]}', '{"expr": "x", "types": {"x": 1}}']
    result = run(evaluate, "--batch", given="\n".join(['{"expr": "1 + 1"}', "", *wrong]))
    assert result.exit_code == 0
    assert [set(answer) for answer in answers(result)] == [{"type", "value"}, *[{"error"}] * len(wrong)]


def test_a_batch_answers_what_is_not_unicode() -> None:
    result = run(evaluate, "--batch", given=b'{"expr": "x", "vars": {"x": "\xff"}}\n{"expr": "x", "vars": {"x": "\\ud800"}}\n')
    assert answers(result) == [{"error": "no JSON: a text that is not Unicode"}] * 2


def test_what_a_terminal_cannot_show_is_told_escaped() -> None:
    command, environment = [sys.executable, "-m", "proxy", "eval", '"\u263a"'], {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    assert done.stdout == '{"type": "string", "value": "\\u263a"}\n'


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "proxy", "eval", "1 + 1"], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"type": "int", "value": 2}
