"""A real PostgreSQL with a data directory of its own, for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

OPTIONS: Final = "-c fsync=on -c listen_addresses=127.0.0.1 -c max_connections=60 -c unix_socket_directories= -c log_min_messages=fatal"
PASSWORD: Final = "postgres-secret"


class Postgres:
    """A server that can be stopped, killed and started again, on the same port with the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as vacant:
            self.port: int = vacant.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        _hand_over(folder)
        self._run("initdb", "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        """Its address, as SQLAlchemy writes it; no driver is named."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Starts it and returns when it takes connections."""
        self._run("pg_ctl", "start", "-w", "-t", "30", "-l", str(self._folder / "log"), "-o", f"-p {self.port} {OPTIONS}")

    def stop(self, *, mode: str = "fast") -> None:
        """Stops it; with `immediate` as in a crash."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def _run(self, program: str, *arguments: str) -> None:
        command = [_program(program), "-D", str(self._data), *arguments]
        # PostgreSQL refuses to run as root
        user = "postgres" if os.getuid() == 0 else None
        done = subprocess.run(
            command, user=user, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server, gone with its data when the block ends."""
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop(mode="immediate")


def _hand_over(folder: Path) -> None:
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")


def _program(name: str) -> str:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(installed[-1]) if installed else shutil.which(name)
    assert found, f"{name} is not installed: .ci/run says how to get it"
    return found
