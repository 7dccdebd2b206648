"""`matrix`, through the command line."""

import json
from pathlib import Path

import pytest

from proxy.cli.matrix import matrix
from tests.cli.test_seams import run

POLICY = """language 1;
fact level(uid: string) -> int { python "a:b"; timeout 1s; }
channel "x:{y}" { allow subscribe when level(user) > 1 expire 5m; }
channel "open" { allow subscribe, history expire 5m; }
"""
FIXTURES = 'language 1;\nfixture level("1") = 2;\nfixture level("2") = 0;\n'
EVERYBODY = [
    "       subscribe    history",
    "x:{y}  conditional  denied",
    "open   allowed      allowed",
    "denied everywhere: publish, presence, map_publish, map_remove",
]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "a.policy").write_text(POLICY)
    (tmp_path / "a.test.policy").write_text(FIXTURES)
    return tmp_path


def shown(policies: Path, *arguments: str) -> tuple[int, list[str], str]:
    result = run(matrix, *arguments, "--policies", str(policies))
    return result.exit_code, [line.rstrip() for line in result.stdout.splitlines()], result.stderr


def test_it_is_a_table_of_patterns_and_operations(policies: Path) -> None:
    assert shown(policies) == (0, EVERYBODY, "")


def test_each_user_gets_a_table_by_the_fixtures_beside_the_policy(policies: Path) -> None:
    assert shown(policies, "--user", "1", "--user", "2") == (
        0,
        [
            *EVERYBODY,
            "",
            'user "1"',
            "       subscribe  history",
            "x:{y}  allowed    denied",
            "open   allowed    allowed",
            "denied everywhere: publish, presence, map_publish, map_remove",
            "",
            'user "2"',
            "       subscribe  history",
            "x:{y}  denied     denied",
            "open   allowed    allowed",
            "denied everywhere: publish, presence, map_publish, map_remove",
        ],
        "",
    )


def test_fixtures_of_another_file_count_instead(policies: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text('language 1;\nfixture level("2") = 5;\n')
    assert "x:7  allowed" in shown(policies, "--user", "2", "--channel", "x:7", "--fixtures", str(other))[1]


def test_a_channel_that_no_pattern_matches_is_said(policies: Path) -> None:
    assert shown(policies, "--channel", "x:7", "--channel", "away") == (
        0,
        [
            "      subscribe",
            "x:7   conditional",
            "away  denied",
            "denied everywhere: publish, presence, history, map_publish, map_remove",
            "no pattern matches away",
        ],
        "",
    )


def test_a_pull_request_gets_markdown(policies: Path) -> None:
    assert shown(policies, "--markdown", "--user", "2")[1] == [
        "### Who may do what",
        "",
        "| | subscribe | history |",
        "|---|---|---|",
        "| `x:{y}` | conditional | denied |",
        "| `open` | allowed | allowed |",
        "",
        "- denied everywhere: `publish, presence, map_publish, map_remove`",
        "",
        '### User `"2"`',
        "",
        "| | subscribe | history |",
        "|---|---|---|",
        "| `x:{y}` | denied | denied |",
        "| `open` | allowed | allowed |",
        "",
        "- denied everywhere: `publish, presence, map_publish, map_remove`",
        "",
    ]


def test_programs_read_json(policies: Path) -> None:
    code, said, _ = shown(policies, "--json", "--user", "1")
    told = json.loads("\n".join(said))
    assert (code, len(told["revision"])) == (0, 16)
    general, own = told["tables"]
    assert (general["user"], own["user"]) == (None, "1")
    assert [row["cells"]["subscribe"]["is"] for row in general["rows"]] == ["conditional", "allowed"]
    assert [row["cells"]["subscribe"]["is"] for row in own["rows"]] == ["allowed", "allowed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--markdown", "--json"), "--markdown and --json exclude each other"),
        (("--fixtures", "f"), "fixtures are facts about users: say about whom with --user, or leave --fixtures out"),
    ],
)
def test_options_that_do_not_go_together_are_exit_code_2(policies: Path, arguments: tuple[str, ...], message: str) -> None:
    assert shown(policies, *arguments) == (2, [], f"{message}\n")


def test_a_file_with_fixtures_that_cannot_be_read_is_named(policies: Path) -> None:
    code, said, errors = shown(policies, "--user", "1", "--fixtures", str(policies / "none"))
    assert (code, said) == (2, [])
    assert "none cannot be read: No such file or directory" in errors


def test_a_policy_with_errors_is_shown(policies: Path) -> None:
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    code, said, errors = shown(policies)
    assert (code, said) == (2, [])
    assert "b.policy:2:9: error unknown-name" in errors


def test_a_policy_without_channels_denies_everything(policies: Path) -> None:
    (policies / "a.policy").write_text("language 1;\nconnect { allow; }\n")
    (policies / "a.test.policy").unlink()
    assert shown(policies) == (0, ["denied everywhere: subscribe, publish, presence, history, map_publish, map_remove"], "")
