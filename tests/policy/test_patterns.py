"""Patterns: what may be written, what matches, and finding the one that does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.patterns import BadPattern, Index, Parameter, RepeatedName, parse, well_formed
from proxy.policy.types import INT, STRING

UUID = "123e4567-e89b-12d3-a456-426614174000"


def test_a_pattern_knows_its_pieces_in_order() -> None:
    found = parse("a:x-{one}/{two:int},{three:uuid}#{four*}")
    assert found.pieces == (
        "a:x-",
        Parameter(name="one", kind="plain"),
        "/",
        Parameter(name="two", kind="int"),
        ",",
        Parameter(name="three", kind="uuid"),
        "#",
        Parameter(name="four", kind="rest"),
    )
    assert found.parameters == ("one", "two", "three", "four")
    assert found.head == "a:x-"


def test_only_an_int_parameter_is_an_int() -> None:
    types = [piece.type for piece in parse("{a:int}/{b:uuid}/{c}/{d*}").pieces if isinstance(piece, Parameter)]
    assert types == [INT, STRING, STRING, STRING]


def test_patterns_are_equal_by_their_text() -> None:
    assert parse("a:{x}") == parse("a:{x}")
    assert parse("a:{x}") != parse("a:{y}")
    assert len({parse("a:{x}"), parse("a:{x}")}) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one character; write {name*}"),
        ("a b", "' ' cannot stand in a channel; use printable ASCII"),
        ("a\n", r"'\n' cannot stand in a channel"),
        ("a\x7f", r"'\x7f' cannot stand in a channel"),
        ("café:{x}", r"'\xe9' cannot stand in a channel"),
        ("a&{x}", "& cannot stand in a pattern"),
        ("a*", "* cannot stand in a pattern; the rest of a name is written {name*}"),
        ("a:{x", "a brace has no partner"),
        ("a:x}", "a brace has no partner"),
        ("a:{{x}}", "a brace has no partner"),
        ("a:{}", "'{}' is no parameter"),
        ("a:{X}", "'{X}' is no parameter; a name has small letters"),
        ("a:{1}", "'{1}' is no parameter"),
        ("a:{x }", "'{x }' is no parameter"),
        ("a:{x\n}", r"'{x\n}' is no parameter"),
        ("a:{é}", r"'{\xe9}' is no parameter"),
        ("a:{X:int}", "'{X:int}' is no parameter"),
        ("a:{x:integer}", "there is no kind 'integer'; write {x}, {x:int}, {x:uuid} or {x*}"),
        ("a:{x:}", "there is no kind ''"),
        ("a:{x:int*}", "there is no kind 'int*'"),
        ("a:{x*}/b", "{x*} takes the rest of the name, so it must come last; write {x} here"),
        ("a:{x*}b", "{x*} takes the rest"),
        ("a:{x}{y}", "where x ends and y begins is not clear; put one of : # / , between them"),
        ("a:{x}-{y}", "where x ends and y begins is not clear"),
        ("a:{x}.{y*}", "where x ends and y begins is not clear"),
        ("a" * 256, "only channels longer than 255 bytes could match"),
        ("a" * 255 + "{x}", "only channels longer than 255 bytes could match"),
        ("a" * 220 + "{x:uuid}", "only channels longer than 255 bytes could match"),
    ],
)
def test_what_is_no_pattern_is_refused_with_a_way_out(text: str, says: str) -> None:
    with pytest.raises(BadPattern, match=re.escape(says)):
        parse(text)


def test_a_parameter_that_stands_twice_is_refused_by_name() -> None:
    with pytest.raises(RepeatedName, match="the parameter x stands twice") as refusal:
        parse("a:{x}/{y}/{x*}")
    assert refusal.value.name == "x"


@pytest.mark.parametrize(
    ("pattern", "end"),
    [("a" * 255, ""), ("a" * 254 + "{x}", "b"), ("a" * 254 + "{x:int}", "1"), ("a" * 254 + "{x*}", "b"), ("a" * 219 + "{x:uuid}", UUID)],
)
def test_a_pattern_may_just_fit_the_longest_channel(pattern: str, end: str) -> None:
    channel = "a" * (255 - len(end)) + end
    assert parse(pattern).matches(channel) is not None
    assert Index([(parse(pattern), 1)]).find(channel) is not None


@pytest.mark.parametrize(
    ("pattern", "channel", "variables"),
    [
        ("lobby", "lobby", {}),
        ("lobby", "lobby2", None),
        ("lobby", "lobb", None),
        ("lobby", "Lobby", None),
        ("lobby", "lobby\n", None),
        ("$lobby", "$lobby", {}),
        ("a:{x}", "a:b", {"x": "b"}),
        ("a:{x}", "a:$b", {"x": "$b"}),
        ("a:{x}", "a:{b}", {"x": "{b}"}),
        ("a:{x}", "a:!\"$%'()+-.09;<=>?@AZ[\\]^_`az{|}~", {"x": "!\"$%'()+-.09;<=>?@AZ[\\]^_`az{|}~"}),
        ("a:{x}", "a:", None),
        ("a:{x}", "$a:b", None),
        ("a:{x}", "a:b\n", None),
        ("a:{x}", "a:b c", None),
        ("a:{x}", "a:é", None),
        ("{x}:b", "$a:b", None),
        ("{x}:b", "a:b", {"x": "a"}),
        ("{x*}", "$a", None),
        ("{x*}", "a$", {"x": "a$"}),
        ("{x}", "a", {"x": "a"}),
        ("{n:int}$", "1$", {"n": 1}),
        ("a:{x*}", "a:b/c:d#e,f*&g", {"x": "b/c:d#e,f*&g"}),
        ("a:{x*}", "a:", None),
        ("a:{x*}", "a:\n", None),
        ("a:{x*}", "a:b\r\n", None),
        ("a:{x*}", "a:b c", None),
        ("a:b-{x*}", "a:b-", None),
        ("a:b-{x*}", "a:b-c:d", {"x": "c:d"}),
        ("v1.{x}.events", "v1.a.b.events", {"x": "a.b"}),
        ("v1.{x}.events", "v1..events", None),
        ("v1.{x}.events", "v1xa.events", None),
        ("d#{a},{b}", "d#1,2", {"a": "1", "b": "2"}),
        ("d#{a},{b}", "d#1,2,3", None),
        ("d#{a},{b}", "d#,2", None),
        ("d:{a}-x/mid/y-{b}.z/end", "d:1-x-x/mid/y-2.z.z/end", {"a": "1-x", "b": "2.z"}),
        ("d:{a}-x/mid/y-{b}.z/end", "d:1-x/mid/y-2.z/enD", None),
        ("d:{a}-x/mid/y-{b}.z/end", "d:1-x/mix/y-2.z/end", None),
        ("d:{a}/::/{b}", "d:1/::/2", {"a": "1", "b": "2"}),
        ("d:{a}/::/{b}", "d:1/:x:/2", None),
        ("o:{n:int}", "o:0", {"n": 0}),
        ("o:{n:int}", "o:42", {"n": 42}),
        ("o:{n:int}", "o:042", None),
        ("o:{n:int}", "o:00", None),
        ("o:{n:int}", "o:-1", None),
        ("o:{n:int}", "o:+1", None),
        ("o:{n:int}", "o:1_0", None),
        ("o:{n:int}", "o:٣", None),
        ("o:{n:int}", "o:9223372036854775807", {"n": 2**63 - 1}),
        ("o:{n:int}", "o:9223372036854775808", None),
        ("o:{n:int}", "o:10000000000000000000", None),
        ("o:{n:int}7", "o:777", {"n": 77}),
        ("o:{n:int},{x}", "o:3,a", {"n": 3, "x": "a"}),
        ("o:{n:int},{m:int}", "o:3,9223372036854775808", None),
        ("u:{u:uuid}", f"u:{UUID}", {"u": UUID}),
        ("u:{u:uuid}", f"u:{UUID.upper()}", None),
        ("u:{u:uuid}", f"u:{UUID}0", None),
        ("u:{u:uuid}", f"u:{UUID[:-1]}", None),
        ("u:{u:uuid}", f"u:{UUID[:-1]}g", None),
        ("u:{u:uuid}", f"u:{UUID.replace('-', '')}", None),
        ("a:{x}", "a:" + "b" * 253, {"x": "b" * 253}),
        ("a:{x}", "a:" + "b" * 254, None),
        ("a:{x*}", "a:" + "b" * 254, None),
    ],
)
def test_a_pattern_matches_the_whole_channel_or_not(pattern: str, channel: str, variables: dict[str, str | int] | None) -> None:
    assert parse(pattern).matches(channel) == variables
    found = Index([(parse(pattern), "it")]).find(channel)
    assert found == (None if variables is None else ("it", variables))


@pytest.mark.parametrize("channel", ["a", "!", "~", "a" * 255, "a:b#c/d,e*f&g$"])
def test_printable_ascii_is_well_formed(channel: str) -> None:
    assert well_formed(channel)


@pytest.mark.parametrize("channel", ["", " ", "a b", "a\n", "\x00", "a\x7f", "é", "a" * 256, "😀", "a\ud800"])
def test_other_channels_are_not_well_formed(channel: str) -> None:
    assert not well_formed(channel)


@given(st.characters(max_codepoint=0x300))
def test_a_character_is_well_formed_exactly_within_its_bounds(character: str) -> None:
    assert well_formed(character) == (0x21 <= ord(character) <= 0x7E)


def test_what_nothing_matches_is_not_found() -> None:
    index = Index([(parse(text), text) for text in ("lobby", "a:{x}", "a:b-{x}/c", "a:b-{x}/{y}/d")])
    for channel in ("", "lob", "a:", "b:x", "a:b-x/x", "a:b-x/y/e", "a:" + "x" * 254):
        assert index.find(channel) is None


def test_an_empty_index_finds_nothing() -> None:
    assert Index[str]([]).find("a") is None


def test_nested_heads_are_told_apart_by_what_follows() -> None:
    texts = ("{t}:z/end", "a:{x}", "a:b{x}/1", "a:bc{x}/2", "a:bc{x}/3/{y}", "a:bcd{n:int}#", "a:bcd{u:uuid}#")
    index = Index([(parse(text), text) for text in texts])
    assert index.find("a:z/end") == ("{t}:z/end", {"t": "a"})
    assert index.find("a:bcd") == ("a:{x}", {"x": "bcd"})
    assert index.find("a:bcd/1") == ("a:b{x}/1", {"x": "cd"})
    assert index.find("a:bcd/2") == ("a:bc{x}/2", {"x": "d"})
    assert index.find("a:bcd/3/q") == ("a:bc{x}/3/{y}", {"x": "d", "y": "q"})
    assert index.find("a:bcd7#") == ("a:bcd{n:int}#", {"n": 7})
    assert index.find(f"a:bcd{UUID}#") == ("a:bcd{u:uuid}#", {"u": UUID})
    assert index.find("a:bcd07#") is None
    assert index.find("a:bcd9223372036854775808#") is None


@pytest.mark.parametrize("form", ["chat:a{}-{{x}}", "n{}:{{x}}", "x:{{a}}/s{}", "x:{{a}}/s{}/{{b}}", "{{a}}:s{}", "s{}"])
def test_thousands_of_patterns_need_no_more_attempts_than_one(form: str) -> None:
    index = Index([(parse(form.format(number)), number) for number in range(2000)])
    channel = form.format(1234).replace("{a}", "u").replace("{b}", "v").replace("{x}", "w")
    found = index.find(channel)
    assert found is not None
    assert found[0] == 1234
    tried = CountingText(channel)
    tried.slices = 0
    index.find(tried)
    assert tried.slices <= 6


class CountingText(str):
    """A channel that counts how often a piece of it is taken."""

    __slots__ = ("slices",)
    slices: int

    def __getitem__(self, place: object) -> str:
        self.slices += 1
        return super().__getitem__(place)  # type: ignore[index]  # whatever the index asks for
