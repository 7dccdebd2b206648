"""Request headers, as the policy sees them."""

from collections.abc import Iterable, Mapping
from typing import Final

SECRET: Final = b"x-centrigate-hook-secret"
"""The header by which Centrifugo proves itself; no policy sees it."""

_CREDENTIALS: Final = frozenset({b"authorization", b"cookie"})


def folded(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str] | None:
    """Give the headers by their names in lower case, the last value of each.

    None when a credential is repeated: whoever stands in front may have judged the other one.
    """
    headers: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        if key in headers and name in _CREDENTIALS:
            return None
        if name != SECRET:
            headers[key] = value.decode("latin-1")
    return headers
