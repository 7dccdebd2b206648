"""Escapes of strings, up to the last character that there is."""

import pytest

from proxy.policy.reading.escapes import unescape


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"\n\t\r\a\b\f\v\\\?\"\'\`", "\n\t\r\a\b\f\v\\?\"'`"),
        (r"\x41\101\u00e9\U0001F600", "AA\u00e9\U0001f600"),
        (r"\377\000", "\xff\0"),
        (r"\ud7ff\ue000", "\ud7ff\ue000"),
        (r"\U0010ffff", "\U0010ffff"),
    ],
)
def test_an_escape_is_its_character(written: str, text: str) -> None:
    assert unescape(written) == text


@pytest.mark.parametrize("written", [r"\ud800", r"\udfff", r"\U00110000", r"\Uffffffff"])
def test_what_is_no_character_is_refused_as_it_is_written(written: str) -> None:
    with pytest.raises(ValueError, match=r"^`\\" + written[1:] + "` is no character$"):
        unescape(f"a{written}b")


@pytest.mark.parametrize(("written", "found"), [(r"\q", "q"), (r"\400", "4"), (r"\x4", "x"), (r"\U0001F60", "U"), ("\\\n", "\n")])
def test_what_is_no_escape_is_refused(written: str, found: str) -> None:
    with pytest.raises(ValueError, match=rf"^`\\{found}` is no escape$"):
        unescape(written)
