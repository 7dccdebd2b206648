"""The JSON Schemas of two policies, by the digests of their files."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence

from proxy.review.comparing.samples import payloads


class Documents:
    """Names and samples of the schemas among the files of both policies."""

    def __init__(self, files: Sequence[Mapping[str, bytes]]) -> None:
        self.names: dict[str, str] = {}
        self._raw: dict[str, bytes] = {}
        for each, other, when in ((files[0], files[1], "before"), (files[1], files[0], "now")):
            for name, data in each.items():
                if name.endswith(".json"):
                    digest = hashlib.sha256(data).hexdigest()
                    self.names[digest] = (
                        name if other.get(name, data) == data else f"{name} as it is {when}".replace("is before", "was before")
                    )
                    self._raw[digest] = data
        self._sampled = functools.cache(self._payloads)

    def samples(self, digests: Sequence[str]) -> list[object]:
        """Values that these schemas may accept, and some that they do not."""
        return [value for digest in digests for value in self._sampled(digest)]

    def _payloads(self, digest: str) -> list[object]:
        return list(payloads(json.loads(self._raw[digest])))
