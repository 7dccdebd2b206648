"""A web site on a real socket that answers as it is told and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


def says(value: object = None, status: int = 200, *, body: bytes | None = None, head: str = "") -> bytes:
    body = json.dumps(value).encode() if body is None else body
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


class Site:
    """Answers `answer`, or the one of `answers` for the path, once `open` is set."""

    def __init__(self) -> None:
        self.answer = says({})
        self.answers: dict[str, bytes] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.asked: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
        self.bodies: list[bytes] = []
        self.count = 0
        self.connections = 0
        self.url = ""
        self._running: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
                path = line.removeprefix("GET ").removeprefix("POST ").removesuffix(" HTTP/1.1")
                headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
                self.count += 1
                if line.startswith("POST "):
                    self.bodies.append(await reader.readexactly(int(headers["content-length"])))
                self.asked.put_nowait((path, headers))
                await self.open.wait()
                writer.write(self.answers.get(path, self.answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        listener.close()
        await made.stop()
