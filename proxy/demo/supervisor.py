"""Runs one Centrifugo as a child process, from its first healthy answer to its end."""

import asyncio
import contextlib
import errno
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx

from proxy.errors import SetupFault

START_S: Final = 20.0
"""Seconds until `/health` must have answered."""
NEIGHBOUR_S: Final = 60.0
"""Seconds that a Centrifugo of somebody else may take to come up."""
STOP_S: Final = 8.0
"""Seconds that Centrifugo has to end by itself."""
LINES: Final = 20
"""Lines of its log that are shown when it ends unasked."""

_KEPT: Final = 64 * 1024
_PAUSE_S: Final = 0.05
_EVENTS: Final = {
    "CLIENT_PROXY": ("connect", "refresh"),
    "CHANNEL_PROXY": ("subscribe", "publish", "sub_refresh", "map_publish", "map_remove", "shared_poll_refresh"),
}


def environment(*, hook_secret: str, api_key: str, token_key: str) -> Mapping[str, str]:
    """Give the secrets of `centrifugo-config.json` as Centrifugo 6 takes them."""
    return {
        "CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": hook_secret,
        "CENTRIFUGO_HTTP_API_KEY": api_key,
        "CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY": token_key,
        # Centrifugo 6 does not start without one where a namespace is polled. Its signatures are no JWTs, so that one key may serve both.
        "CENTRIFUGO_SHARED_POLL_HMAC_SECRET_KEY": token_key,
    }


def endpoints(service: str) -> Mapping[str, str]:
    """Give what turns the hooks of `centrifugo-config.json` to another address, such as `http://127.0.0.1:8010`."""
    named = {f"CENTRIFUGO_{part}_{event.upper()}_ENDPOINT": event for part, events in _EVENTS.items() for event in events}
    return {name: f"{service}/centrifugo/{event}" for name, event in (named | {"CENTRIFUGO_RPC_PROXY_ENDPOINT": "rpc"}).items()}


class Neighbour:
    """A Centrifugo that somebody else runs, at an address; used like a `Supervisor`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.port = urlsplit(url).port or 80

    async def __aenter__(self) -> Self:
        """Nothing is started: it may come up after us, and asks us while it does."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is stopped."""

    async def healthy(self) -> None:
        """Wait until it is healthy; raises `SetupFault` when it is not in time."""
        try:
            async with asyncio.timeout(NEIGHBOUR_S):
                await _asked(self.url)
        except TimeoutError:
            raise SetupFault(f"Centrifugo at {self.url} was not healthy within {NEIGHBOUR_S:g} s: start it") from None

    async def watch(self) -> None:
        """Wait for as long as we run: whoever runs it looks after it."""
        await asyncio.Event().wait()


class Supervisor:
    """Centrifugo with its configuration, on a port of its own; an asynchronous context manager that can be entered once.

    `variables` are its whole environment. The configuration must enable the health endpoint. Works for versions 5 and 6. When this
    process dies, Centrifugo is stopped by the kernel (where `setpriv` is installed).
    """

    def __init__(self, program: Path, config: Path, variables: Mapping[str, str], host: str = "127.0.0.1", port: int = 0) -> None:
        """Take a port, or 0 for a free one; nothing runs yet."""
        self._program = program
        self._config = config
        self._variables = variables
        self._host = host
        self._port = port
        self._log = b""

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Its address over HTTP, without a path."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    @property
    def log(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.decode(errors="replace").splitlines()[-LINES:])

    async def __aenter__(self) -> Self:
        """Start it and wait until it is healthy; raises `SetupFault` that says why it is not."""
        self._port = _vacant(self._host, self._port)
        await self._start()
        try:
            await self._healthy()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it, by force after `STOP_S`."""
        await self._stop()

    async def healthy(self) -> None:
        """Return at once: it was healthy when it was entered."""

    async def watch(self) -> None:
        """Wait until it ends, and raise `SetupFault` with the end of its log; for as long as it runs, it waits."""
        await self._process.wait()
        await asyncio.shield(self._drain)
        raise SetupFault(f"Centrifugo ended unasked, with exit code {self._process.returncode}; its log ends with\n{self.log}")

    async def _start(self) -> None:
        arguments = ("-c", str(self._config), "-a", self._host, "-p", str(self._port))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *_leash(),
                str(self._program),
                *arguments,
                env=self._variables,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # A Ctrl-C at the terminal is for us; we stop it when nobody needs it any more.
                start_new_session=True,
            )
        except OSError as error:
            raise SetupFault(f"{self._program} cannot be run ({error.strerror}): provide Centrifugo with `make install`") from None
        self._drain = asyncio.create_task(self._read())

    async def _read(self) -> None:
        pipe = self._process.stdout
        while pipe and (chunk := await pipe.read(_KEPT)):
            self._log = (self._log + chunk)[-_KEPT:]

    async def _healthy(self) -> None:
        watch = asyncio.create_task(self.watch())
        ask = asyncio.create_task(_asked(self.url))
        try:
            async with asyncio.timeout(START_S):
                done, _ = await asyncio.wait((watch, ask), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except TimeoutError:
            raise SetupFault(f"Centrifugo was not healthy within {START_S:g} s; its log ends with\n{self.log}") from None
        finally:
            for task in (watch, ask):
                task.cancel()
            await asyncio.gather(watch, ask, return_exceptions=True)

    async def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            await self._drain


async def _asked(url: str) -> None:
    async with httpx.AsyncClient(timeout=1.0, trust_env=False) as client:
        while not await _answers(client, f"{url}/health"):  # noqa: ASYNC110 - it is another process, which can only be asked
            await asyncio.sleep(_PAUSE_S)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False


def _vacant(host: str, port: int) -> int:
    # Somebody else's Centrifugo on this port would answer that it is healthy, so it is looked at beforehand.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as taken:
            return int(taken.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SetupFault(f"{host}:{port} is in use: stop what listens there or take --centrifugo-port") from None
        raise SetupFault(f"{host}:{port} cannot be used ({error.strerror}): give Centrifugo another address") from None


def _leash(path: str | None = None) -> tuple[str, ...]:
    setpriv = shutil.which("setpriv", path=path)
    return (setpriv, "--pdeathsig", "TERM") if setpriv else ()
