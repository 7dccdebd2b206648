"""What is said of a set as a whole, and how it is said."""

import pytest

from proxy.policy.checking.world import meant
from proxy.policy.findings import Finding, Position, worst
from proxy.policy.load import load, revision
from proxy.policy.reading.render import as_json, as_sarif
from proxy.policy.types import ANY, INT, INT_MAX, INT_MIN, NULL, STRING, Misfit, Nullable, fitter, nullable

GOOD = b'language 1;\nchannel "a" { allow presence; }\n'
TEST = b"language 1;\n"


def test_a_revision_has_sixteen_characters() -> None:
    assert len(revision({"a.policy": GOOD})) == 16


@pytest.mark.parametrize(
    ("files", "file"), [({}, "."), ({"b.test.policy": TEST, "c.test.policy": TEST}, "b.test.policy"), ({"a.policy": GOOD}, "a.policy")]
)
def test_what_is_said_of_the_whole_stands_at_its_beginning(files: dict[str, bytes], file: str) -> None:
    assert [f.at for f in load(files).findings] == [Position(file=file, line=1, column=1)]


@pytest.mark.parametrize(
    ("comment", "hint"),
    [
        ("allow: subscribe-without-expire static", None),
        ("allow: subscribe-without-expiry static", 'did you mean "subscribe-without-expire"?'),
        ("allow: zzz static", "write // allow: ID reason, with the id of a security finding or warning"),
        ("allow:", "write // allow: ID reason, with the id of a security finding or warning"),
    ],
)
def test_a_silence_needs_one_word_of_reason(comment: str, hint: str | None) -> None:
    text = f'language 1;\nchannel "a" {{\n  // {comment}\n  allow subscribe when user == "u";\n}}\n'
    found = load({"a.policy": text.encode(), "a.test.policy": TEST}).findings
    assert [f.hint for f in found if f.id == "unknown-silence"] == ([] if hint is None else [hint])
    assert (hint is None) is (found == ())


def test_a_finding_is_written_with_its_way_out_if_it_has_one() -> None:
    at = Position(file="a", line=1, column=2)
    assert str(Finding(id="syntax", at=at, message="no", hint="yes")) == "a:1:2: error syntax: no (yes)"
    assert str(Finding(id="syntax", at=at, message="no")) == "a:1:2: error syntax: no"


def test_findings_for_programs_keep_every_character_and_are_indented() -> None:
    finding = Finding(id="syntax", at=Position(file="é", line=1, column=2), message="ü 文")
    assert as_json([finding]).startswith('{\n  "findings": [\n    {\n      "id": "syntax"')
    assert '"message": "ü 文"' in as_json([finding])
    assert '\n  "version": "2.1.0",\n  "runs": [\n    {\n' in as_sarif([finding])
    assert '"text": "ü 文"' in as_sarif([finding])


def test_a_type_is_nullable_once_and_any_and_null_are_already() -> None:
    assert nullable(STRING) == Nullable(of=STRING)
    for each in (Nullable(of=STRING), ANY, NULL):
        assert nullable(each) == each


@pytest.mark.parametrize(("value", "fine"), [(INT_MIN, True), (INT_MAX, True), (INT_MIN - 1, False), (INT_MAX + 1, False)])
def test_an_int_has_64_bits(value: int, fine: bool) -> None:  # noqa: FBT001 - the expectation
    if fine:
        assert fitter(INT)(value) == value
    else:
        with pytest.raises(Misfit):
            fitter(INT)(value)


def test_after_two_hundred_errors_nothing_more_is_looked_for() -> None:
    def found(count: int, text: str) -> list[str]:
        lines = "\n".join(text.format(number) for number in range(count))
        loaded = load({"a.policy": f'language 1;\nchannel "a" {{ allow presence; }}\n{lines}'.encode(), "a.test.policy": TEST})
        assert (loaded.policy is None) is text.startswith("deny")
        return [f.id for f in loaded.findings]

    assert found(199, "deny d{} when nobody;") == ["unknown-name"] * 199
    assert found(300, "deny d{} when nobody;") == [*["unknown-name"] * 200, "too-large"]
    assert found(300, "let l{} = user;") == ["unused-let"] * 300


def test_a_suggestion_is_looked_for_where_it_helps() -> None:
    assert meant("abc", ["abcxyz", "zzz"]) == 'did you mean "abcxyz"?'
    assert meant("abc", ["xyz"]) == ""
    assert meant("a" * 64, ["a" * 63]) == f'did you mean "{"a" * 63}"?'
    assert meant("a" * 65, ["a" * 64]) == ""
    many = [f"n{number}" for number in range(999)]
    assert meant("abc", [*many, "abd"]) == 'did you mean "abd"?'
    assert meant("abc", [*many, "abd", "other"]) == ""


def test_of_too_many_findings_the_worst_are_told() -> None:
    warnings = [Finding(id="unused-let", at=Position(file="a", line=number, column=1), message="") for number in range(1, 1001)]
    error = Finding(id="syntax", at=Position(file="b", line=1, column=1), message="")
    assert worst(warnings) == warnings
    *kept, last = worst([*warnings, error])
    assert kept == [*warnings[:999], error]
    assert (last.id, last.at, last.message) == ("further-findings", error.at, "there are 1 findings more, none of them worse")
