"""`who-can`, through the command line."""

import json
from pathlib import Path

import pytest

from proxy.cli.who_can import who_can
from tests.cli.test_seams import run

POLICY = """language 1;
fact level(uid: string) -> int { python "a:b"; timeout 1s; }
channel "x:{y}" { allow subscribe when level(user) > 1 expire 5m; }
channel "z" { allow publish schema "schemas/z.json" limit 1/1s; }
service shop { key env K; allow publish on "z" schema "schemas/z.json"; }
"""
FIXTURES = 'language 1;\nfixture level("1") = 2;\nfixture level("2") = 0;\n'


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "a.policy").write_text(POLICY)
    (tmp_path / "a.test.policy").write_text(FIXTURES)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "z.json").write_text('{"type": "object"}')
    return tmp_path


def asked(policies: Path, *arguments: str) -> tuple[int, list[str], str]:
    result = run(who_can, *arguments, "--policies", str(policies))
    return result.exit_code, result.stdout.splitlines(), result.stderr


def test_who_can_is_said_with_the_condition(policies: Path) -> None:
    assert asked(policies, "subscribe", "x:7") == (
        0,
        [
            "subscribe x:7",
            'pattern x:{y}  y = "7"',
            "users",
            "  allow x:{y}/subscribe/1  a.policy:3",
            "    if level(user) > 1",
            "    with expire 5m",
            "services",
            "  nobody: no rule allows this",
        ],
        "",
    )


def test_a_line_is_as_long_as_what_it_says(policies: Path) -> None:
    name = "y" * 200
    code, said, _ = asked(policies, "subscribe", f"x:{name}")
    assert (code, said[1]) == (0, f'pattern x:{{y}}  y = "{name}"')


def test_users_are_answered_by_the_fixtures_beside_the_policy(policies: Path) -> None:
    code, said, _ = asked(policies, "subscribe", "x:7", "--user", "1", "--user", "2", "--user", "3")
    assert (code, said[2:]) == (
        0,
        [
            'user "1"',
            "  allow x:{y}/subscribe/1  a.policy:3",
            "    always",
            "    with expire 5m",
            'user "2"',
            "  refused: no rule can hold with the facts at hand",
            'user "3"',
            "  refused: no rule can hold with the facts at hand",
        ],
    )


def test_fixtures_of_another_file_count_instead(policies: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text('language 1;\nfixture level("2") = 5;\n')
    assert asked(policies, "subscribe", "x:7", "--user", "2", "--fixtures", str(other))[0] == 0
    assert asked(policies, "subscribe", "x:7", "--user", "1", "--fixtures", str(other))[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("publish", "z"), 0),
        (("publish", "z", "--via", "service"), 0),
        (("publish", "other"), 1),
        (("subscribe", "z"), 1),
        (("presence", "x:7"), 1),
        (("subscribe", "x:7", "--user", "2"), 1),
        (("info",), 1),
    ],
)
def test_nobody_is_exit_code_1(policies: Path, arguments: tuple[str, ...], code: int) -> None:
    assert asked(policies, *arguments)[0] == code


def test_schemas_are_named_by_their_files(policies: Path) -> None:
    assert "    if data fits schemas/z.json" in asked(policies, "publish", "z")[1]


def test_programs_read_json(policies: Path) -> None:
    code, said, _ = asked(policies, "publish", "z", "--json")
    told = json.loads("\n".join(said))
    revision = told.pop("revision")
    assert (code, len(revision)) == (0, 16)
    assert told == {
        "operation": "publish",
        "target": "z",
        "pattern": "z",
        "variables": {},
        "near": [],
        "entrances": [
            {
                "via": "hook",
                "user": None,
                "ways": [
                    {
                        "rule": "z/publish/1",
                        "at": "a.policy:4",
                        "when": "true",
                        "provided": ["data fits schemas/z.json"],
                        "gives": ["limit 1/1s burst 1 per user"],
                    }
                ],
                "unless": [],
                "where": {},
                "facts": [],
                "why": None,
            },
            {
                "via": "service",
                "service": "shop",
                "ways": [
                    {
                        "rule": "service/shop/publish/1",
                        "at": "a.policy:5",
                        "when": "true",
                        "provided": ["data fits schemas/z.json"],
                        "gives": [],
                    }
                ],
                "unless": [],
                "where": {},
                "facts": [],
                "why": None,
            },
        ],
    }


def test_programs_read_why_it_is_nobody(policies: Path) -> None:
    code, said, _ = asked(policies, "subscribe", "zz", "--json")
    told = json.loads("\n".join(said))
    assert (code, told["pattern"], told["near"]) == (1, None, ["z"])
    assert [each["why"] for each in told["entrances"]] == ["no pattern matches this channel", "no rule allows this"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("subcribe", "x:7"), 'there is no operation "subcribe"; did you mean "subscribe"?'),
        (("subscribe",), "subscribe needs a channel: who-can subscribe CHANNEL"),
        (("connect", "x:7"), 'connect has no channel: leave "x:7" out'),
        (("info", "--user", "1"), "--user says which user, and users do not come by --via service: leave one of them out"),
        (
            ("subscribe", "x:7", "--fixtures", "f"),
            "fixtures are facts about users: say about whom with --user, or leave --fixtures out",
        ),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2_and_says_what_can(policies: Path, arguments: tuple[str, ...], message: str) -> None:
    assert asked(policies, *arguments) == (2, [], f"{message}\n")


@pytest.mark.parametrize("arguments", [(), ("subscribe", "x:7", "--via", "mail")])
def test_wrong_usage_is_exit_code_2(policies: Path, arguments: tuple[str, ...]) -> None:
    assert asked(policies, *arguments)[:2] == (2, [])


def test_a_file_with_fixtures_that_cannot_be_read_is_named(policies: Path) -> None:
    code, said, errors = asked(policies, "subscribe", "x:7", "--user", "1", "--fixtures", str(policies / "none"))
    assert (code, said) == (2, [])
    assert errors.endswith("none cannot be read: No such file or directory; name a file with fixtures, such as a *.test.policy\n")


def test_fixtures_with_errors_are_shown_where_users_are_named(policies: Path) -> None:
    (policies / "a.test.policy").write_text('language 1;\nfixture levle("1") = 2;\n')
    code, said, errors = asked(policies, "subscribe", "x:7", "--user", "1")
    assert (code, said) == (2, [])
    assert "a.test.policy:2:9: error unknown-name" in errors
    assert errors.endswith(f"the fixtures of {policies} cannot be used\n")
    assert asked(policies, "subscribe", "x:7")[0] == 0


def test_a_policy_with_errors_is_shown(policies: Path) -> None:
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    code, said, errors = asked(policies, "subscribe", "x:7")
    assert (code, said) == (2, [])
    assert "b.policy:2:9: error unknown-name" in errors
    assert "cannot be used" in errors


def test_a_folder_that_is_not_there_is_not_asked(policies: Path) -> None:
    assert asked(policies / "none", "subscribe", "x:7")[:2] == (2, [])
