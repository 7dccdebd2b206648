"""A real Redis that keeps nothing on disk, for as long as a test needs it."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic


class Redis:
    """A server that can be killed and started again, on the same port and empty; with a `folder` it keeps what it was told."""

    def __init__(self, folder: Path | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as vacant:
            self.port: int = vacant.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it and returns when it takes connections."""
        found = shutil.which("redis-server")
        assert found, "redis-server is not installed: .ci/run says how to get it"
        kept = ["--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "always"] if self._folder else ["--save", ""]
        command = [found, "--port", str(self.port), "--bind", "127.0.0.1", *kept]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait(self.port)

    def kill(self) -> None:
        """Ends it as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """Lets it hang, with its connections open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis(folder: Path | None = None) -> Iterator[Redis]:
    """A running server, gone when the block ends."""
    server = Redis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _wait(port: int) -> None:
    end = monotonic() + 20
    while monotonic() < end:
        with socket.socket() as tried:
            tried.settimeout(1)
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                tried.sendall(b"PING\r\n")
                if tried.recv(64).startswith(b"+PONG"):
                    return
    raise AssertionError("redis-server did not start")
