"""Facts as tests declare them."""

import dataclasses
from collections.abc import Mapping

from proxy.policy.declared import Fact, SqlSource
from proxy.policy.types import INT, STRING, Type, fitter, nullable


def declare(type_: Type = INT, takes: Mapping[str, Type] | None = None, **changes: object) -> Fact:
    """A fact `it` that is not kept; without `takes` it has one string parameter, `uid`."""
    parameters = {"uid": STRING} if takes is None else takes
    fact = Fact(
        name="it",
        parameters=tuple(parameters),
        takes=tuple(parameters.values()),
        type=type_,
        fit=fitter(type_),
        nullable=type_ == nullable(type_),
        source=SqlSource(database="main", query=""),
        ttl_ms=0,
        negative_ms=0,
        max_entries=1000,
        timeout_ms=5_000,
        topics=(),
    )
    return dataclasses.replace(fact, **changes)  # type: ignore[arg-type]  # fields by name
