"""Policies that are edited while they are in force: a folder of their own, and somebody who changes a line."""

import shutil
from pathlib import Path

from proxy.errors import SetupFault
from proxy.stores import folder


def copy(source: Path, target: Path) -> None:
    """Make `target` anew with the policies of `source`, whatever was in it; blocks. Raises `SetupFault` for what cannot be read."""
    files, unread = folder.read(source)
    if unread:
        raise SetupFault("\n".join(map(str, unread)))
    shutil.rmtree(target, ignore_errors=True)
    for name, content in files.items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


class Reviewer:
    """Edits the files of a folder, each in one step, and remembers how they were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: dict[str, str] = {}

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Put each second text in place of the first one, which must stand in the file once; raises `LookupError` where it does not."""
        text = (self._path / name).read_text()
        self._before.setdefault(name, text)
        for old, new in changes:
            if text.count(old) != 1:
                message = f"{self._path / name} does not say once: {old}"
                raise LookupError(message)
            text = text.replace(old, new)
        self._write(name, text)

    def restore(self) -> None:
        """Bring back what was there before the first edit."""
        for name, text in self._before.items():
            self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        # Half a file is never read: what is hidden is no policy.
        draft = self._path / f".{name}"
        draft.write_text(text)
        draft.replace(self._path / name)
