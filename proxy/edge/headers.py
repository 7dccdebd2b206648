"""Request headers, as the policy sees them."""

from collections.abc import Mapping, Sequence
from typing import Final

SECRET: Final = b"x-centrigate-hook-secret"
"""The header by which Centrifugo proves itself; no policy sees it."""

_CREDENTIALS: Final = (b"authorization", b"cookie")


def folded(raw: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str] | None:
    """Give the headers by their names in lower case, the last value of each.

    None when a credential is repeated: whoever stands in front may have judged the other one.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw if name != SECRET}
    if len(headers) < len(raw):
        names = [name for name, _ in raw]
        if any(names.count(credential) > 1 for credential in _CREDENTIALS):
            return None
    return headers
