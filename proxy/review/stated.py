"""Facts that somebody states, before those of fixtures."""

from collections.abc import Iterator, Mapping

from proxy.errors import Malformed
from proxy.policy.checking.world import meant
from proxy.policy.decision import FactKey, Known, Lost
from proxy.review.fixtures import Fixtures
from proxy.review.lines import Given, fact_text


class Stated:
    """Facts by their text, as the command `decide` takes them; the others are those of the fixtures.

    Raises `Malformed` for a fact that the policy does not have.
    """

    def __init__(self, stated: Mapping[str, object], rest: Fixtures) -> None:
        for text in stated:
            name = text.partition("(")[0]
            if name not in rest.declared:
                hint = meant(name, rest.declared)
                raise Malformed(f'the policy has no fact "{name}"' + (f" ({hint})" if hint else ""))
        self._stated, self._rest = stated, rest
        self._given = Given(rest.declared, stated)

    def get(self, key: FactKey, /) -> Known | Lost:
        """The fact as it would come from its source."""
        return self._given.get(key) if fact_text(key) in self._stated else self._rest.get(key)

    def source(self, key: FactKey) -> str:
        """Where the fact comes from, in a word or two."""
        if fact_text(key) in self._stated:
            return "stated"
        return "fixture" if key in self._rest.values else "no fixture"

    def unread(self, read: Mapping[FactKey, object]) -> Iterator[str]:
        """What was stated for nothing: most often its arguments are written in another way."""
        texts = {fact_text(key) for key in read}
        yield from (text for text in self._stated if text not in texts)
