import asyncio
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence

import httpx
import pytest
import uvloop
from starlette.types import Message, Receive, Scope, Send

from proxy.cli.server import LISTENERS, listen, run
from proxy.errors import SetupFault


class App:
    """Answers with the path and notes that it was stopped."""

    def __init__(self) -> None:
        self.stopped = False
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["path"] == "/slow":
            self.entered.set()
            await self.leave.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _live(self, receive: Receive, send: Send) -> None:
        message: Message = {"type": ""}
        while message["type"] != "lifespan.shutdown":
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        self.stopped = True


Story = Callable[[App, httpx.AsyncClient, "asyncio.Task[None]"], Awaitable[None]]


def serving(story: Story) -> App:
    """Run a server in this process and what happens to it; gives the application when both have ended."""

    async def main() -> App:
        app, started, sockets = App(), asyncio.Event(), listen("127.0.0.1", 0)
        task = asyncio.create_task(run(app, sockets, started.set))
        await started.wait()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}") as client:
            await story(app, client, task)
        return app

    return uvloop.run(main())


async def ended(task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(20):
        await task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_in_order(number: signal.Signals) -> None:
    async def story(_app: App, client: httpx.AsyncClient, task: "asyncio.Task[None]") -> None:
        got = await client.get("/")
        assert (got.text, dict(got.headers)) == ("ok", {"content-length": "2"})
        os.kill(os.getpid(), number)
        await ended(task)

    assert serving(story).stopped
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_cancelled_server_stops_in_order() -> None:
    async def story(_app: App, _client: httpx.AsyncClient, task: "asyncio.Task[None]") -> None:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ended(task)

    assert serving(story).stopped


def test_work_ends_before_the_server_does() -> None:
    async def story(app: App, client: httpx.AsyncClient, task: "asyncio.Task[None]") -> None:
        asking = asyncio.create_task(client.get("/slow"))
        await app.entered.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        app.leave.set()
        assert (await asking).text == "ok"
        await ended(task)

    assert serving(story).stopped


def test_all_the_files_that_may_be_open_can_be() -> None:
    async def story(_app: App, client: httpx.AsyncClient, task: "asyncio.Task[None]") -> None:
        assert (await client.get("/")).text == "ok"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ended(task)

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        serving(story)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_socket_has_many_listeners() -> None:
    sockets = listen("127.0.0.1", 0)
    try:
        assert len(sockets) == LISTENERS == 64
        assert len({each.getsockname() for each in sockets}) == 1
    finally:
        close(sockets)


def test_ipv6_is_listened_to() -> None:
    sockets = listen("::1", 0)
    try:
        assert sockets[0].family is socket.AF_INET6
    finally:
        close(sockets)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    sockets = listen("127.0.0.1", 0)
    try:
        port = sockets[0].getsockname()[1]
        with pytest.raises(SetupFault, match=f"127.0.0.1:{port} is in use: stop what listens there or set CENTRIGATE_PORT"):
            listen("127.0.0.1", port)
    finally:
        close(sockets)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(SetupFault, match=r"cannot listen on 192\.0\.2\.1:8010 \(.+\): set CENTRIGATE_HOST"):
        listen("192.0.2.1", 8010)


async def test_a_slow_loop_is_refused() -> None:
    sockets = listen("127.0.0.1", 0)
    try:
        with pytest.raises(SetupFault, match="the event loop is not uvloop"):
            await run(App(), sockets, print)
    finally:
        close(sockets)


async def test_a_slow_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(SetupFault, match="httptools is not installed"):
        await run(App(), [], print)


def close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()
