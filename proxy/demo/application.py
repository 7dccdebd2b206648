"""The web application of the demonstration: changes its data, and tells the service what has changed."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from proxy.demo import data
from proxy.demo.backend import Backend
from proxy.demo.data import DOCUMENT, Person


class Application:
    """Owns a database; calls the gateway through a `backend` with the key of the service `application`.

    `called` is when it did so last, in seconds of the monotonic clock.
    """

    def __init__(self, backend: Backend, database: Path) -> None:
        self.called = 0.0
        self._backend = backend
        self._database = database

    async def carry(self, change: str, person: Person) -> bool:
        """Carry out one of `CHANGES` on somebody; whether the service knows of it. Failures are those of httpx."""
        write, topic = CHANGES[change]
        await asyncio.to_thread(write, self._database, person)
        return await self.changed(topic.format(person=person.id))

    async def changed(self, *topics: str) -> bool:
        """Say what has changed; whether the service knows of it."""
        self.called = time.monotonic()
        reply = await self._backend.call("invalidate", {"topics": topics})
        return reply.is_success and "result" in reply.json()

    async def close(self) -> None:
        """Close the connections."""
        await self._backend.close()


CHANGES: Final[Mapping[str, tuple[Callable[[Path, Person], None], str]]] = {
    "remove": (data.remove, f"doc:{DOCUMENT}"),
    "add": (data.add, f"doc:{DOCUMENT}"),
    "suspend": (partial(data.suspend, suspended=True), "account:{person}"),
    "reinstate": (partial(data.suspend, suspended=False), "account:{person}"),
}
"""What can become of somebody, with the topic of the facts that this changes."""
