"""Writing Centrifugo's JSON, and the checks of what must never be written.

A value that fails a check is our mistake: `Fault` when the reply or command is made.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Final

import orjson

from proxy.errors import Fault

LATEST: Final = 10**12
"""Unix seconds an expiry stays below: the year 33658, and less than today in milliseconds."""


def demand(holds: object, message: str) -> None:
    """Raise `Fault` with `message` unless `holds`."""
    if not holds:
        raise Fault(message)


def moment(expire_at: int | None) -> None:
    """Refuse an end that is no whole number of Unix seconds between 0 and `LATEST`; 0 would mean never."""
    if expire_at is not None and not (type(expire_at) is int and 0 < expire_at < LATEST):
        message = f"{expire_at} is no Unix time in seconds"
        raise Fault(message)


def finite(*values: object) -> None:
    """Refuse NaN and infinities, which would be written as null."""
    for value in values:
        if value is not None and isinstance(value, float) and not isfinite(value):
            message = f"{value} cannot be written as JSON"
            raise Fault(message)


def payload(data: object) -> None:
    """Refuse what would be published as null, in place of the client's message."""
    demand(data is not None, "a publication of null")
    finite(data)


def tagged(tags: Mapping[str, str], idempotency_key: str | None) -> None:
    """Refuse tags that are no strings, and an idempotency key that is empty."""
    if tags:
        demand({type(each) for tag in tags.items() for each in tag} == {str}, "tags are strings")
    demand(idempotency_key is None or idempotency_key, "an idempotency key is not empty")


def present(**members: object) -> dict[str, object]:
    """Give the members that are not None, in their order."""
    return {name: value for name, value in members.items() if value is not None}


def body(member: str, value: object) -> bytes:
    """Write an object of one member; raises `Fault` as `dump` does."""
    return dump({member: value})


def dump(value: object) -> bytes:
    """Write JSON; raises `Fault` for what is not JSON or nests deeper than about 250."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        message = f"a value cannot be written as JSON: {error}"
        raise Fault(message) from error
