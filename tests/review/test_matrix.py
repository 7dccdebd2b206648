"""Matrices: drawn, compared and written back."""

from proxy.policy.reading.parse import parse_trials
from proxy.policy.reading.trials import Matrix
from proxy.review.matrix import alike, compared, rewrite
from proxy.review.trials import Drawn
from tests.review.scene import faults, tried


def drawn(text: str, policy: str) -> str:
    (result,) = tried(text, policy).results
    assert isinstance(result, Drawn)
    return result.text


RULES = """
fact role(uid: string) -> string? { python "app:role"; timeout 50ms; }
fact sure(uid: string) -> string { python "app:role"; timeout 50ms; }
channel "a-{x}" {
  allow subscribe, history when role(user) != null info = {"x": sure(user)};
  allow publish as typed when role(user) != null && role(user) == "w" schema "schemas/message.json" stamp by = user;
  allow presence when sure(user) == "w";
}
channel "b" {
  deny shut when user == "z";
  allow publish when data.kind == "x" schema "schemas/message.json";
  allow subscribe;
}
"""


def test_a_matrix_passes_over_schemas_and_obligations() -> None:
    text = (
        'fixture role("w") = "w"; fixture role("r") = "r";\n'
        'matrix users ["w", "r", "z"] channels ["a-1", "b", "c"] operations [subscribe, publish, presence, history] expect "";'
    )
    assert drawn(text, RULES) == "   a-1   b     c\nw  sp-h  s---  ----\nr  s--h  s---  ----\nz  ----  ----  ----\n"


def test_a_condition_on_a_payload_never_holds_without_one() -> None:
    policy = 'channel "b" { allow publish when !(data.kind == "x") schema "schemas/message.json"; allow map_publish when data == null; }'
    assert drawn('matrix users ["1"] channels ["b"] operations [publish, map_publish] expect "";', policy) == "   b\n1  -m\n"


def test_a_bool_of_a_payload_is_neither_true_nor_false_without_one() -> None:
    policy = 'channel "b" { allow publish when !data.flag schema "schemas/flag.json"; }'
    assert drawn('matrix users ["1"] channels ["b"] operations [publish] expect "";', policy) == "   b\n1  -\n"


def test_names_that_are_not_one_word_are_quoted() -> None:
    text = 'matrix users ["", "a b", "\\"", "\\u202e"] channels ["", "b"] operations [subscribe] expect "";'
    assert drawn(text, 'channel "b" { allow subscribe; }') == (
        '       ""  b\n""     -   -\n"a b"  -   s\n"\\""   -   s\n"\ufffd"    -   s\n'
    )


def test_only_what_stands_there_counts_not_how_far_apart() -> None:
    assert alike("\n\n   b\n  1   s\n", "   b\n1  s\n")
    assert not alike("   b\n1  -\n", "   b\n1  s\n")
    assert not alike("   b\n", "   b\n1  s\n")


def test_lines_that_differ_are_marked() -> None:
    assert [*compared("   b\n1  s\n2  s", "   b\n1  s\n2  -\n3  s\n")] == [
        "     b",
        "  1  s",
        "! 2  -  (expected 2  s)",
        "! 3  s  (expected nothing)",
    ]
    assert [*compared("   b\n1  s\n2  s", "   b\n1  s\n")][-1] == "! (expected 2  s)"


def test_an_unknown_operation_of_a_matrix_is_a_finding() -> None:
    assert faults('matrix users ["1"] channels ["b"] operations [publis, publish, publish] expect "";') == [
        'unknown-operation 2:47 there is no operation "publis" here (did you mean "publish"?)',
        "duplicate-name 2:64 publish stands twice",
    ]


def matrices(source: str) -> list[Matrix]:
    parsed, findings = parse_trials("t.test.policy", source)
    assert findings == []
    return [node for node in parsed.trials if isinstance(node, Matrix)]


def test_only_expectations_are_written_anew() -> None:
    head = 'matrix users ["1"] channels ["b"] operations [publish] expect '
    source = f'language 1; // "x"\n{head}"";  // one\n{head}"""\n     b\n  1  s\n""";\ntest "t" {{ }}\n{head}\'\'\'\r\n b\r\n1 s\'\'\';'
    one, two, three = matrices(source)
    assert rewrite(source, [(one, "   b\n1  -\n"), (three, "   b\n1  p\n"), (two, "   b\n1  x\n")]) == (
        f'language 1; // "x"\n{head}"""\n   b\n1  -\n""";  // one\n'
        f'{head}"""\n     b\n  1  x\n""";\ntest "t" {{ }}\n{head}"""\n   b\n1  p\n""";'
    )


def test_what_is_written_reads_as_what_was_drawn() -> None:
    text = 'a\\b  ""\n"""x\n'
    source = 'language 1;\nmatrix users ["1"] channels ["b"] operations [publish] expect "";\n'
    (node,) = matrices(source)
    (again,) = matrices(rewrite(source, [(node, text)]))
    assert again.expect.value == f"\n{text}"
