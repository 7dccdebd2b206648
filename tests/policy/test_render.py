import json

import pytest

from proxy.policy.findings import Finding, Position
from proxy.policy.reading.parse import parse_file
from proxy.policy.reading.render import as_json, as_sarif, as_text, summary

SOURCE = "language 1;\nlet a = b\n  == é1;\n"


def finding(line: int = 3, column: int = 6, *, hint: str = "did you mean b?", id_: str = "unknown-name") -> Finding:
    return Finding(id=id_, at=Position(file="a b.policy", line=line, column=column), message="there is no é1", hint=hint)


def test_text_shows_the_line_the_place_and_the_way_out() -> None:
    assert as_text([finding()], {"a b.policy": SOURCE}) == (
        "a b.policy:3:6: error unknown-name: there is no é1\n  3 |   == é1;\n    |      ^\n  = did you mean b?\n"
    )


def test_text_without_source_or_hint_is_the_finding_alone() -> None:
    for sources in ({}, {"a b.policy": ""}, {"a b.policy": "x\ny"}):
        assert as_text([finding(hint="")], sources) == "a b.policy:3:6: error unknown-name: there is no é1\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_caret_stands_below_the_column(newline: str) -> None:
    source = newline.join(("", 'a\t"日本" é!', ""))
    text = as_text([finding(2, source.index("!") - len(newline) + 1, hint="")], {"a b.policy": source})
    line, caret = text.split("\n")[1:3]
    assert line == '  2 | a "日本" é!'
    assert len(caret) == len(line) + 2  # two characters are two columns wide


def test_the_caret_of_a_place_behind_the_line_stands_there() -> None:
    assert as_text([finding(2, 10, hint="")], {"a b.policy": SOURCE}).split("\n")[1:3] == ["  2 | let a = b", "    |          ^"]


def test_long_lines_are_cut_around_the_place() -> None:
    line, caret = as_text([finding(1, 500)], {"a b.policy": "x" * 499 + "y" + "z" * 499}).split("\n")[1:3]
    assert len(line) < 200
    assert line[caret.index("^")] == "y"


def test_nothing_in_a_file_reaches_the_terminal_as_a_command() -> None:
    hostile = Finding(id="x", at=Position(file="\x1b[2J", line=1, column=1), message="\x07", hint="\u202e")
    shown = as_text([hostile], {"\x1b[2J": "\x1b]0;\x07"})
    assert all(character.isprintable() or character == "\n" for character in shown)


@pytest.mark.parametrize(("id_", "code"), [("syntax", 31), ("open-publish", 35), ("unused-let", 33)])
def test_colours_are_there_when_asked_for(id_: str, code: int) -> None:
    assert f"\x1b[{code};1m" in as_text([finding(id_=id_)], {}, colours=True)
    assert "\x1b" not in as_text([finding(id_=id_)], {})


def test_the_summary_counts_by_severity() -> None:
    assert summary([]) == "no findings"
    findings = [finding(), finding(), finding(id_="open-publish"), finding(id_="unused-let")]
    assert summary(findings) == "2 errors, 1 security finding, 1 warning"


def test_json_has_the_documented_members() -> None:
    assert json.loads(as_json([finding(), finding(hint="", id_="unused-let")])) == {
        "findings": [
            {
                "id": "unknown-name",
                "severity": "error",
                "file": "a b.policy",
                "line": 3,
                "column": 6,
                "message": "there is no é1 (did you mean b?)",
            },
            {"id": "unused-let", "severity": "warning", "file": "a b.policy", "line": 3, "column": 6, "message": "there is no é1"},
        ]
    }
    assert json.loads(as_json([])) == {"findings": []}


def test_sarif_names_rules_levels_and_places() -> None:
    log = json.loads(as_sarif([finding(), finding(id_="open-publish"), finding(id_="unused-let")], "./my policies"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "centrigate"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["open-publish", "unknown-name", "unused-let"]
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [
        ("unknown-name", "error"),
        ("open-publish", "error"),
        ("unused-let", "warning"),
    ]
    assert run["results"][0]["message"]["text"] == "there is no é1 (did you mean b?)"
    assert run["results"][0]["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "./my%20policies/a%20b.policy"},
                "region": {"startLine": 3, "startColumn": 6},
            }
        }
    ]


def test_columns_of_the_parser_and_carets_agree() -> None:
    source = 'language 1;\n\tlet a = "日" = 1;\n'
    (found,) = parse_file("a.policy", source)[1]
    line, caret = as_text([found], {"a.policy": source}).split("\n")[1:3]
    assert caret.index("^") == line.index("= 1") + 1  # one character is two columns wide
