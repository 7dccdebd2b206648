"""Builds rules and their obligations from what the parser reduces."""

from lark import v_args

from proxy.policy.reading.clauses import Assign, Duration, Number
from proxy.policy.reading.lexeme import Lexeme
from proxy.policy.reading.obligations import Allow, Expire, Idempotency, Limit, Obligation, Schema, SkipHistory, Stamp, Tags
from proxy.policy.reading.syntax import Expression, MapOf, Text, Word
from proxy.policy.reading.terms import Terms, object_to
from proxy.policy.reading.walk import MAX_INT, bound

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 36_500 * _UNITS["d"]


@v_args(inline=True)
class Rules(Terms):
    """One method for each rule of the grammar about `allow`, obligations, numbers and durations."""

    def number(self, lexeme: Lexeme) -> Number:
        """A count."""
        return Number(at=lexeme.at, value=_fitting(lexeme, lexeme.text))

    def duration(self, lexeme: Lexeme) -> Duration:
        """`150ms`."""
        return _duration(lexeme, lexeme.text)

    def rule(self, at: Lexeme, operations: tuple[Word, ...], name: Word | None, when: Expression | None, *obligations: Obligation) -> Allow:
        """`allow subscribe …;` of a channel."""
        return self.grant(at, operations, name, None, when, *obligations)

    def admit(self, at: Lexeme, name: Word | None, when: Expression | None, *obligations: Obligation) -> Allow:
        """`allow …;` of `connect` and `rpc`, which have no operations."""
        return self.grant(at, (), name, None, when, *obligations)

    def grant(
        self, at: Lexeme, operations: tuple[Word, ...], name: Word | None, pattern: Text | None, when: Expression | None,
        *obligations: Obligation,
    ) -> Allow:  # fmt: skip
        """`allow publish on "PATTERN" …;` of a service."""
        return Allow(at=at.at, operations=operations, name=name, pattern=pattern, when=when, obligations=obligations)

    def schema(self, at: Lexeme, file: Text) -> Schema:
        """`schema "FILE"`."""
        return Schema(at=at.at, file=file)

    def stamp(self, at: Lexeme, *members: tuple[Text, Expression]) -> Stamp:
        """`stamp …`."""
        return Stamp(at=at.at, members=members)

    def stamped(self, key: Word | Text, value: Expression) -> tuple[Text, Expression]:
        """`key = value`."""
        return (key if isinstance(key, Text) else Text(at=key.at, value=key.text)), value

    def tags(self, at: Lexeme, value: MapOf) -> Tags:
        """`tags {…}`."""
        bound(value)
        return Tags(at=at.at, value=value)

    def skip_history(self, at: Lexeme) -> SkipHistory:
        """`skip_history`."""
        return SkipHistory(at=at.at)

    def idempotency(self, at: Lexeme, value: Expression) -> Idempotency:
        """`idempotency …`."""
        return Idempotency(at=at.at, value=value)

    def value(self, name: Lexeme, value: Expression) -> Assign:
        """`info = …` and `data = …`."""
        return Assign(at=name.at, name=Word(at=name.at, text=name.text), value=value)

    def expire(self, at: Lexeme, duration: Duration, jitter: Number | None) -> Expire:
        """`expire D jitter P%`."""
        if jitter and not 1 <= jitter.value <= 100:  # noqa: PLR2004 - per cent
            raise object_to(jitter.at, "jitter is between 1% and 100%")
        return Expire(at=at.at, duration=duration, jitter=jitter)

    def limit(self, at: Lexeme, rate: Lexeme, burst: Number | None, per: tuple[Word, ...] | None) -> Limit:
        """`limit N/D burst N per …`."""
        count, _, every = rate.text.partition("/")
        number = Number(at=rate.at, value=_fitting(rate, count))
        for amount in (number, burst):
            if amount and not amount.value:
                raise object_to(amount.at, "a limit of nothing allows nothing", "leave the rule out")
        return Limit(at=at.at, count=number, every=_duration(rate, every), burst=burst, per=per or ())


def _fitting(lexeme: Lexeme, digits: str) -> int:
    if len(digits) > 20 or int(digits) > MAX_INT:  # noqa: PLR2004 - more digits than 64 bits have
        raise object_to(lexeme.at, "the number does not fit into 64 bits")
    return int(digits)


def _duration(lexeme: Lexeme, text: str) -> Duration:
    digits = text.rstrip("mshd")
    ms = _fitting(lexeme, digits) * _UNITS[text[len(digits) :]]
    if not ms:
        raise object_to(lexeme.at, "a duration is longer than zero")
    if ms > _LONGEST_MS:
        raise object_to(lexeme.at, "a duration is at most 36500d")
    return Duration(at=lexeme.at, ms=ms, text=text)
