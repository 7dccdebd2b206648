"""Which service a key belongs to."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from proxy.errors import SetupFault
from proxy.policy.declared import Service

SHORTEST: Final = 16
"""Characters of a plain key; a shorter one could be guessed."""

_HASH: Final = "sha256:"
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_PLAIN: Final = re.compile(rf"[!-~]{{{SHORTEST},}}")


class Keys:
    """The keys of all services, as SHA-256 digests.

    `values` holds the environment variables that the services name: one or more keys, comma separated, each plain or `sha256:HEX`.
    `SetupFault` if a variable is missing or empty, a key is malformed or short, or two services share one; the text holds no key.
    """

    def __init__(self, services: Iterable[Service], values: Mapping[str, str]) -> None:
        owners: dict[bytes, Service] = {}
        for service in services:
            for digest in _digests(service, values):
                if owners.setdefault(digest, service).name != service.name:
                    message = f"services {owners[digest].name} and {service.name} have the same key: give each its own"
                    raise SetupFault(message)
        self._digests = tuple(owners.items())

    def service(self, credential: str | None) -> Service | None:
        """Give the service that the presented key belongs to, None for a wrong or missing one; takes the same time whichever it is."""
        presented = hashlib.sha256((credential or "").encode(errors="surrogatepass")).digest()
        found = None
        for digest, service in self._digests:
            if hmac.compare_digest(presented, digest):
                found = service
        # A missing key is compared like any other, and then counts for nothing, even where the hash of nothing is configured.
        return found if credential else None


def _digests(service: Service, values: Mapping[str, str]) -> Iterator[bytes]:
    variable = service.key.name
    for key in values.get(variable, "").split(","):
        yield _digest(key.strip(), f"{variable}, the key of service {service.name},")


def _digest(key: str, what: str) -> bytes:
    if not key:
        message = f"{what} is not set or holds an empty entry: set it to one or more keys, comma separated"
        raise SetupFault(message)
    if key.startswith(_HASH):
        if not _HEX.fullmatch(key, len(_HASH)):
            message = f"{what} holds a hash that is not {_HASH} and 64 hexadecimal digits"
            raise SetupFault(message)
        return bytes.fromhex(key[len(_HASH) :])
    if not _PLAIN.fullmatch(key):
        message = f"{what} holds a key that is not at least {SHORTEST} printable ASCII characters without spaces"
        raise SetupFault(message)
    return hashlib.sha256(key.encode()).digest()
