"""Calls an ASGI application as a server would."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from starlette.types import ASGIApp, Message


@dataclasses.dataclass
class Got:
    """What was sent; `status` is 0 when nothing was."""

    status: int = 0
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    reads: int = 0

    @property
    def json(self) -> Any:  # noqa: ANN401 - decoded JSON
        return json.loads(self.body)


async def call(
    app: ASGIApp,
    chunks: Sequence[bytes | None],
    headers: Sequence[tuple[bytes, bytes]] = (),
    path: str = "/",
    method: str = "POST",
    reading: Callable[[], None] = lambda: None,
) -> Got:
    """Send the body in chunks; None is a sender that leaves."""
    got = Got()
    waiting = list(chunks)

    async def receive() -> Message:
        reading()
        got.reads += 1
        chunk = waiting.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            got.status = message["status"]
            got.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            got.body += message.get("body", b"")

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    return got
