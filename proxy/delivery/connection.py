"""One kept-alive HTTP/1.1 connection to a server: a request's bytes out, the answer's status and body back.

It knows only what Centrifugo's server API needs. An answer that ends with its connection instead of by its length, an upgrade and
anything unasked are faults.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final, cast

import httptools

_HEAD: Final = 64 << 10
"""Bytes of an answer besides its body."""


class Broken(Exception):
    """The exchange ended without a complete answer; the text says how."""


class Connection(asyncio.Protocol):
    """A connection for one exchange at a time; `usable` until either side closes it, `rested` is the loop's time since when it rests."""

    def __init__(self, largest: int) -> None:
        """Bodies of answers have at most `largest` bytes."""
        self.usable = False
        self.rested = 0.0
        self._largest = largest
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser: httptools.HttpResponseParser
        self._body = bytearray()
        self._received = 0

    def exchange(self, request: bytes) -> Awaitable[tuple[int, bytes]]:
        """Send a request and give the answer's status and body; raises `Broken`. Who stops waiting must `close`."""
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._received = 0
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Give the connection up, with what has not been sent."""
        self.usable = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Read a piece of the answer."""
        self._received += len(data)
        if self._answer is None or self._received > self._largest + _HEAD:
            self._fail("sent more than an answer")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("did not speak HTTP/1.1")

    def eof_received(self) -> None:
        """Close, too, when the other side does."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended makes no difference
        """End what is still waited for."""
        self._fail("closed the connection before its answer was complete")

    def on_message_begin(self) -> None:
        """Notice a second answer, which nobody asked for."""
        if self._answer is None or self._answer.done():
            self.close()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body += body
        if len(self._body) > self._largest:
            self._fail(f"sent an answer longer than {self._largest} bytes")

    def on_message_complete(self) -> None:
        """Give the answer to who waits."""
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), bytes(self._body)))

    def _fail(self, how: str) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Broken(how))
