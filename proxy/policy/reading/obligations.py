"""The syntax tree of an allow rule and its obligations."""

from proxy.policy.findings import Position
from proxy.policy.reading.clauses import Assign, Duration, Number
from proxy.policy.reading.syntax import Expression, MapOf, Text, Word, node


@node
class Schema:
    """`schema "FILE"`."""

    at: Position
    file: Text


@node
class Stamp:
    """`stamp k = EXPR, …`; a key is a name or a string."""

    at: Position
    members: tuple[tuple[Text, Expression], ...]


@node
class Tags:
    """`tags {…}`."""

    at: Position
    value: MapOf


@node
class SkipHistory:
    """`skip_history`."""

    at: Position


@node
class Idempotency:
    """`idempotency EXPR`."""

    at: Position
    value: Expression


@node
class Expire:
    """`expire D [jitter P%]`; a clause of `connect` and an obligation of `subscribe`."""

    at: Position
    duration: Duration
    jitter: Number | None


@node
class Limit:
    """`limit N/D [burst N] [per …]`; `count` messages every `every`."""

    at: Position
    count: Number
    every: Duration
    burst: Number | None
    per: tuple[Word, ...]


Obligation = Schema | Stamp | Tags | SkipHistory | Idempotency | Assign | Expire | Limit


@node
class Allow:
    """`allow [OPS] [as NAME] [on "PATTERN"] [when EXPR] [obligations];`; `at` is the word `allow`."""

    at: Position
    operations: tuple[Word, ...]
    name: Word | None
    pattern: Text | None
    when: Expression | None
    obligations: tuple[Obligation, ...]
