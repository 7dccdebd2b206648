"""A short way for hooks through uvicorn's HTTP protocol: answered while they are read, with one write and without a task.

It is taken by POSTs to exact hook paths whose body is short and has a length, on a connection where nothing else is going on, when
the answer needs no waiting. Everything else goes the ordinary way, which gives the same answers. It leans on the protocol's
callbacks, so that uvicorn is pinned, and `tests/cli/test_swift.py` holds both ways against each other.
"""

from asyncio import TimerHandle, Transport
from collections.abc import Mapping
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from proxy.edge.hooks import Answer, Endpoint, Head

LONGEST: Final = 65_536
"""Bytes of a body that is collected here; longer ones take the ordinary way, which bounds and answers them."""

_DIGITS: Final = len(str(LONGEST))
_MANNERS: Final = (b"connection", b"proxy-connection")
"""Headers without which nothing but HTTP/1.1 is kept alive, and nothing is upgraded; the parser takes both for the same."""


class Swift(HttpToolsProtocol):
    """uvicorn's protocol with the short way for the application's hooks, `targets`."""

    # With more than 30 attributes, uvicorn's and these, Python would give each connection a table of their names.
    __slots__ = ("_body", "_endpoint", "_endpoints", "_seen", "_sweep")

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:  # noqa: ANN401 - as inherited
        super().__init__(config, server_state, app_state, _loop)
        self._endpoints: Mapping[bytes, Endpoint[Any]] = getattr(self.app, "targets", {}) if self.limit_concurrency is None else {}
        self._endpoint: Endpoint[Any] | None = None
        self._body = b""
        self._seen: float
        self._sweep: TimerHandle

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin with a connection; it is closed when it rests for too long."""
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self._seen = self.loop.time()
        self._sweep = self.loop.call_later(self.timeout_keep_alive, self._rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """End with a connection."""
        self._sweep.cancel()
        super().connection_lost(exc)

    def _rest(self) -> None:
        """Close a connection that rested for the keep-alive time; one timer for all of its short answers."""
        idle = self.loop.time() - self._seen
        if idle >= self.timeout_keep_alive and self._quiet():
            self.transport.close()
        else:
            self._sweep = self.loop.call_later(max(self.timeout_keep_alive - idle, 1.0), self._rest)

    def _quiet(self) -> bool:
        """Whether nothing is being read or answered the ordinary way."""
        cycle: RequestResponseCycle | None = self.cycle
        return (cycle is None or cycle.response_complete) and self._endpoint is None

    def on_message_begin(self) -> None:
        """Begin to read a request; the scope of the ordinary way is made when it turns out to be needed."""
        self._seen = self.loop.time()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Choose the way."""
        endpoint = self._endpoints.get(self.url)
        if endpoint is not None and self._quiet() and self._plain(endpoint.most):
            self._endpoint, self._body = endpoint, b""
        else:
            self._ordinary()

    def _plain(self, most: int) -> bool:
        """Whether this is a kept-alive POST with a short body of a known length, and its answer can be written at once."""
        length = b""
        for name, value in self.headers:
            if name == b"content-length":
                length = value
            elif name in _MANNERS:
                return False
        return (
            length.isdigit()
            and len(length) <= _DIGITS
            and LONGEST >= int(length) <= most
            and self.parser.get_method() == b"POST"
            and self.parser.should_keep_alive()
            and not self.expect_100_continue
            and not self.flow.write_paused
        )

    def _ordinary(self) -> None:
        if self.scheme is None:
            self._introduce()
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        self._endpoint = None
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def _introduce(self) -> None:
        """Find out what the ordinary way tells of a connection: asking for its addresses is most of what making one takes."""
        flow = self.flow
        super().connection_made(self.transport)
        self.flow = flow

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        if self._endpoint is None:
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """Answer, or hand what was read to the ordinary way."""
        endpoint = self._endpoint
        if endpoint is None:
            super().on_message_complete()
            return
        answer = endpoint.swift(self.headers, self._body)
        if answer is not None:
            self._endpoint = None
            self._write(answer)
            return
        self._ordinary()
        super().on_body(self._body)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Rest from the end of an answer that was given the ordinary way."""
        self._seen = self.loop.time()
        super().on_response_complete()

    def _write(self, answer: Answer) -> None:
        self._seen = self.loop.time()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        status, head, body = answer
        own = self.server_state.default_headers
        lines = (Head(own).lines if own else b"") + head.lines
        self.transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (STATUS_LINE[status], lines, len(body), body))
