"""Every case of the language's conformance suite, through the functions behind the commands."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.policy.load import load
from proxy.review import lines, probe

CASES = Path(__file__).parent.parent / "conformance"
SETS = sorted(path.name for path in (CASES / "decide").iterdir())
BAD: Mapping[str, dict[str, Any]] = json.loads((CASES / "bad" / "expected.json").read_text())


def read(folder: Path) -> dict[str, bytes]:
    found = [*folder.glob("*.policy"), *folder.glob("schemas/*.json")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def ndjson(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def same(one: object, other: object) -> bool:
    """JSON equality: true is not 1, but 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def differing(wanted: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    for key, value in wanted.items():
        found = answer.get(key)
        fine = sorted(value) == sorted(found or []) if key == "facts" else same(value, found)
        if not fine:
            yield f"{key}: expected {value!r}, answered {found!r}"


@pytest.mark.parametrize("name", SETS)
def test_a_set_decides_as_expected(name: str) -> None:
    policy = load(read(CASES / "decide" / name)).policy
    assert policy is not None
    requests = (CASES / "decide" / name / "requests.ndjson").read_text(encoding="utf-8").split("\n")
    answers = [(json.loads(line), fine) for line, fine in lines.decide(policy, requests)]
    expected = ndjson(CASES / "decide" / name / "expected.ndjson")
    assert len(answers) == len(expected)
    for number, (wanted, (answer, fine)) in enumerate(zip(expected, answers, strict=True), 1):
        assert fine is not bool(wanted.get("error")), (number, answer)
        assert not (wanted.get("error") and "effect" in answer), number
        if fine:
            assert list(differing(wanted, answer)) == [], number


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_mistake_is_found_where_it_stands(name: str) -> None:
    schemas = {f"schemas/{path.name}": path.read_bytes() for path in (CASES / "bad" / "schemas").iterdir()}
    loaded = load({name: (CASES / "bad" / name).read_bytes(), **schemas})
    wanted = BAD[name]
    if wanted.get("error") is False:
        assert loaded.policy is not None, loaded.findings
        return
    ids = wanted["id"] if isinstance(wanted["id"], list) else [wanted["id"]]
    severity = wanted.get("severity", "error")
    found = [f for f in loaded.findings if f.id in ids and f.severity == severity and f.at.line == wanted["line"]]
    assert [f for f in found if f.at.column == wanted.get("column", f.at.column)], loaded.findings
    assert (loaded.policy is None) is any(f.severity == "error" for f in loaded.findings)


@pytest.mark.parametrize("name", sorted(path.name for path in (CASES / "eval").iterdir()))
def test_an_expression_has_the_expected_value(name: str) -> None:
    for number, case in enumerate(ndjson(CASES / "eval" / name), 1):
        answer = probe.evaluate(case["expr"], case.get("types", {}), case.get("vars", {})).line
        where = (number, case["expr"][:80], answer)
        if "error" not in case:
            assert "error" not in answer, where
            assert same(case["value"], answer["value"]), where
            assert answer["type"] == case.get("type", answer["type"]), where
        elif case["error"] is True:
            assert answer.get("error"), where
            assert "value" not in answer, where
        else:
            assert answer.get("id") in ([case["error"]] if isinstance(case["error"], str) else case["error"]), where
