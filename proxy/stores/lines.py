"""A file of lines that is only ever appended to, and that others may rotate."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


class Lines:
    """Appends to `path`, which it creates for its owner alone (0600); `-` is standard output.

    A file that was moved away or removed is left, and one of the old name begun. Not safe to use from several threads at a time.
    """

    def __init__(self, path: str) -> None:
        self._path = None if path == "-" else Path(path)
        self._file: int | None = None if self._path else 1

    def append(self, lines: Iterable[bytes]) -> None:
        """Write lines, each with its end; raises `OSError`, after which some of them may stand there, the last one not to its end."""
        rest = memoryview(b"".join(lines))
        file = self._current()
        while rest:
            rest = rest[os.write(file, rest) :]

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._path and self._file is not None:
            os.close(self._file)
            self._file = None

    def _current(self) -> int:
        if self._path and self._file is not None:
            there = None
            with suppress(OSError):
                there = self._path.stat()
            if there is None or not os.path.samestat(there, os.fstat(self._file)):
                self.close()
        if self._file is None:
            self._file = os.open(str(self._path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file
