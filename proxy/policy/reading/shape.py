"""What the grammar alone cannot say about the shape of statements."""

from collections.abc import Iterator

from proxy.policy.findings import Finding
from proxy.policy.reading.clauses import Answer, Forward
from proxy.policy.reading.statements import Rpc, Statement


def misshapen(statements: tuple[Statement, ...]) -> Iterator[Finding]:
    """Find rpcs without exactly one answer."""
    for rpc in statements:
        if not isinstance(rpc, Rpc):
            continue
        answers = [clause for clause in rpc.statements if isinstance(clause, Forward | Answer)]
        if not answers:
            message = "this rpc has no answer"
            yield Finding(id="syntax", at=rpc.at, message=message, hint="end it with forward NAME POST … or answer …")
        for extra in answers[1:]:
            yield Finding(id="syntax", at=extra.at, message="this rpc has an answer already")
