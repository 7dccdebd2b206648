"""Whether two patterns can match one channel, and what holds for all patterns."""

import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.overlap import overlap, overlaps, witness
from proxy.policy.patterns import BadPattern, Index, Parameter, Pattern, parse, well_formed

UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("one", "other", "channel"),
    [
        ("a", "a", "a"),
        ("{x}:b", "a:{y}", "a:b"),
        ("a:{x}", "a:{y}", "a:x"),
        ("a:{x}", "a:b", "a:b"),
        ("a:{x*}", "a:{x}/{y}", "a:x/x"),
        ("a:{x*}", "a:{x*}", "a:x"),
        ("a:b{x*}", "a:{x}/{y}", "a:b/x"),
        ("a:{x*}", "a::", "a::"),
        ("{x*}", "a", "a"),
        ("{x*}", "{x}", "x"),
        ("!{x}", "{x}~", "!~"),
        ("{x}b", "a{x}", "ab"),
        ("ab{x}", "a{x}bc", "abbc"),
        ("a:{x:int}", "a:{y}", "a:0"),
        ("a:{x:int}", "a:1{y}", "a:11"),
        ("a:{x:int}", "a:0", "a:0"),
        ("a:{x:int}", "a:{y*}", "a:0"),
        ("a:{x:int}", "a:9223372036854775807", "a:9223372036854775807"),
        ("a:{x:int}", "a:9223372036854775799", "a:9223372036854775799"),
        ("a:{x:int}", "a:8999999999999999999", "a:8999999999999999999"),
        ("a:{x:int}", "a:999999999999999999", "a:999999999999999999"),
        ("a:{x:int}0", "a:{x:int}10", "a:110"),
        ("a:{x:uuid}", f"a:{UUID}", f"a:{UUID}"),
        ("a:{x:uuid}", "a:0{y}", "a:0aaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"),
        ("$a:{x}", "$a:b", "$a:b"),
        ("{x:int}:$", "{y}:$", "0:$"),
        ("a" * 254 + "{x}", "a" * 250 + "{x*}", "a" * 254 + "x"),
        ("a" * 200 + "{x}", "{y}" + "b" * 55, "a" * 200 + "b" * 55),
    ],
)
def test_an_overlap_is_shown_by_a_channel(one: str, other: str, channel: str) -> None:
    first, second = parse(one), parse(other)
    assert overlap(first, second) == channel
    assert overlap(second, first) == channel
    assert first.matches(channel) is not None
    assert second.matches(channel) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("a", "aa{x}"),
        ("a:{x}", "a:{x}/{y}"),
        ("a:{x}", "a#{x}"),
        ("a:{x}/b", "a:{x}/c"),
        ("a:{x*}", "a:"),
        ("a:{x*}", "b:{x}"),
        ("$a:{x}", "{y}:{x}"),
        ("$a:{x}", "{y*}"),
        ("a:{x}", "a:b/c"),
        ("a:{x:int}", "a:{y:uuid}"),
        ("a:{x:int}", "a:0{y:int}"),
        ("a:{x:int}", "a:9223372036854775808"),
        ("a:{x:int}", "a:9223372036854775900"),
        ("a:{x:int}", "a:9999999999999999999"),
        ("a:{x:int}", "a:10000000000000000000"),
        ("a:{x:uuid}", "a:g{y}"),
        ("a:{x:uuid}", "a:{y:int}-0"),
        ("a:{x:uuid}", f"a:{UUID}0"),
        ("a" * 200 + "{x}", "{y}" + "b" * 56),
    ],
)
def test_patterns_without_a_common_channel_do_not_overlap(one: str, other: str) -> None:
    assert overlap(parse(one), parse(other)) is None
    assert overlap(parse(other), parse(one)) is None
    assert witness([parse(one), parse(other)], []) is None


def test_every_pattern_is_reported_with_the_first_it_overlaps() -> None:
    texts = ("a:{x}", "b:{x}", "a:{y}", "a:c", "{t}:z", "lobby", "lobby", "a:{x}/{y}", "b:{x}/{y}")
    assert overlaps([parse(text) for text in texts]) == [
        (0, 2, "a:x"),
        (0, 3, "a:c"),
        (0, 4, "a:z"),
        (5, 6, "lobby"),
    ]


def test_the_first_rival_is_found_whatever_its_head() -> None:
    assert overlaps([parse(text) for text in ("a:bc", "a:b{x}", "a:{x}", "{x*}")]) == [
        (0, 1, "a:bc"),
        (0, 2, "a:bc"),
        (0, 3, "a:bc"),
    ]


@pytest.mark.parametrize("form", ["chat:a{}-{{x}}", "n{}:{{x}}", "x:{{a}}/s{}", "x:{{a}}/s{}/{{b}}", "{{a}}:s{}", "s{}"])
def test_thousands_of_patterns_are_compared_at_once(form: str) -> None:
    many = [parse(form.format(number)) for number in range(5000)]
    start = time.process_time()
    assert overlaps(many) == []
    assert time.process_time() - start < 5  # pair by pair it would be minutes


LITERALS = st.text("ab1-$0", min_size=1, max_size=2)
KINDS = st.sampled_from(["", "", "", ":int", ":uuid", "*"])


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    """A short pattern over few characters, so that two of them often meet."""
    segments = draw(st.lists(st.tuples(st.sampled_from(["l", "p", "lp", "pl", "lpl"]), KINDS), min_size=1, max_size=3))
    out = []
    for number, (form, kind) in enumerate(segments):
        parts = [draw(LITERALS) if part == "l" else f"{{p{number}{kind}}}" for part in form]
        out.append("".join(parts) + draw(st.sampled_from(":/")))
    text = "".join(out)
    try:
        return parse(text[:-1])
    except BadPattern:  # the rest of a name stood in the middle
        return parse(text[:-1].replace("*", ""))


def channels(pattern: Pattern) -> st.SearchStrategy[str]:
    """Channels that mostly match."""
    values = {
        "plain": st.text("ab1-$0", min_size=1, max_size=4),
        "int": st.one_of(st.integers(0, 200), st.integers(2**63 - 2, 2**63 + 1)).map(str),
        "uuid": st.just(UUID),
        "rest": st.text("ab1-$0:/", min_size=1, max_size=6),
    }
    return st.tuples(*(values[p.kind] if isinstance(p, Parameter) else st.just(p) for p in pattern.pieces)).map("".join)


@given(patterns(), patterns(), st.data())
def test_patterns_that_do_not_overlap_share_no_channel(one: Pattern, other: Pattern, data: st.DataObject) -> None:
    witness = overlap(one, other)
    channel = data.draw(channels(data.draw(st.sampled_from([one, other]))))
    if witness is None:
        assert one.matches(channel) is None or other.matches(channel) is None
    else:
        assert one.matches(witness) is not None
        assert other.matches(witness) is not None
        assert well_formed(witness)


@given(st.lists(patterns(), max_size=8))
def test_comparing_many_finds_what_comparing_pairs_finds(many: list[Pattern]) -> None:
    pairs = [(i, j) for i, j in combinations(range(len(many)), 2) if overlap(many[i], many[j]) is not None]
    found = overlaps(many)
    assert [(i, j) for i, j, _ in found] == [(min(i for i, j in pairs if j == later), later) for later in sorted({j for _, j in pairs})]
    for i, j, channel in found:
        assert many[i].matches(channel) is not None
        assert many[j].matches(channel) is not None


@given(st.lists(patterns(), min_size=1, max_size=8), st.data())
def test_the_index_finds_what_trying_every_pattern_finds(many: list[Pattern], data: st.DataObject) -> None:
    later = {second for _, second, _ in overlaps(many)}
    apart = [pattern for number, pattern in enumerate(many) if number not in later]
    index = Index([(pattern, pattern.text) for pattern in apart])
    channel = data.draw(st.one_of([channels(pattern) for pattern in many]))
    matches = [(pattern.text, found) for pattern in apart if (found := pattern.matches(channel)) is not None]
    assert len(matches) <= 1
    assert index.find(channel) == (matches[0] if matches else None)


@given(patterns(), st.data())
def test_the_variables_put_the_channel_together_again(pattern: Pattern, data: st.DataObject) -> None:
    channel = data.draw(channels(pattern))
    found = pattern.matches(channel)
    if found is not None:
        assert "".join(p if isinstance(p, str) else str(found[p.name]) for p in pattern.pieces) == channel


def test_what_shows_an_overlap_is_as_short_as_can_be() -> None:
    assert witness([parse("{x}b")], []) == "xb"
    assert witness([parse("{x}bc"), parse("{x*}")], [parse("x{y}c")]) == "ybc"
