"""Loading a set: what is said about it as a whole, silences, revisions."""

import pytest

from proxy.policy.findings import Position
from proxy.policy.load import load, revision

GOOD = b'language 1;\nchannel "a" { allow presence; }\n'
TEST = b"language 1;\n"


def ids(files: dict[str, bytes]) -> list[str]:
    return [f.id for f in load(files).findings]


def test_an_empty_set_is_an_error() -> None:
    loaded = load({})
    assert loaded.policy is None
    assert [f.id for f in loaded.findings] == ["syntax"]
    assert load({"a.test.policy": TEST}).policy is None


def test_a_set_without_tests_is_warned_about() -> None:
    assert ids({"a.policy": GOOD}) == ["no-tests"]
    assert ids({"a.policy": GOOD, "a.test.policy": TEST}) == []


def test_a_mistake_in_a_test_file_keeps_the_set_from_loading() -> None:
    loaded = load({"a.policy": GOOD, "a.test.policy": b"language 1;\nnonsense;\n"})
    assert loaded.policy is None
    assert [f.at.file for f in loaded.findings] == ["a.test.policy"]


def test_bytes_that_are_no_utf8_are_found_on_their_line() -> None:
    loaded = load({"a.policy": b"language 1;\n// \xff\n", "b.policy": GOOD})
    assert loaded.policy is None
    found = [(f.id, f.at) for f in loaded.findings if f.id != "no-tests"]
    assert found == [("syntax", Position(file="a.policy", line=2, column=4))]


def test_all_mistakes_of_all_files_are_found_at_once() -> None:
    loaded = load({"a.policy": b'language 1;\ndeny a when usr == "x";\ndeny b when 1;\n', "b.policy": b"language 1;\nlet x = ;\n"})
    assert [str(f.at) for f in loaded.findings if f.severity == "error"] == ["a.policy:2:13", "a.policy:3:13", "b.policy:2:9"]


def test_a_silence_needs_a_known_id_and_a_reason() -> None:
    warned = 'language 1;\nchannel "a" {\n%s\n  allow subscribe when user == "u";\n}\n'
    files = {"a.test.policy": TEST}
    assert ids({"a.policy": (warned % "").encode(), **files}) == ["subscribe-without-expire"]
    assert ids({"a.policy": (warned % "  // allow: subscribe-without-expire static users").encode(), **files}) == []
    assert ids({"a.policy": (warned % "  // allow: subscribe-without-expire").encode(), **files}) == ["unknown-silence"]
    misspelled = "  // allow: subscribe-without-expiry static users"
    assert ids({"a.policy": (warned % misspelled).encode(), **files}) == ["unknown-silence", "subscribe-without-expire"]
    assert ids({"a.policy": (warned % "  // allow:").encode(), **files}) == ["unknown-silence", "subscribe-without-expire"]


def test_the_revision_is_that_of_the_rules_not_of_their_tests() -> None:
    assert revision({"a.policy": GOOD}) == revision({"a.policy": GOOD, "a.test.policy": TEST})
    assert revision({"a.policy": GOOD}) != revision({"b.policy": GOOD})
    assert revision({"a.policy": GOOD}) != revision({"a.policy": GOOD + b"\n"})


def test_the_order_of_files_does_not_change_what_they_say() -> None:
    other = b'language 1;\nchannel "b" { allow presence; }\n'
    assert revision({"a.policy": GOOD, "b.policy": other}) == revision({"b.policy": other, "a.policy": GOOD})


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"language 1", b"language 1; }", b"\x00", b'language 1; channel "', b"language 1;" + b"(" * 50_000]
)
def test_no_bytes_end_in_an_exception(text: bytes) -> None:
    assert load({"a.policy": text}).findings
