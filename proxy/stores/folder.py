"""Reads a policies folder: what is in it and nothing else."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from proxy.policy.findings import Finding, Position

MAX_BYTES = 1 << 20
"""Size of a file at most."""

MAX_FILES = 1000
"""Number of files at most."""

_LINK = "this is a link to a folder, and such links are not followed"


def read(path: Path) -> tuple[Mapping[str, bytes], tuple[Finding, ...]]:
    """Give `*.policy` of the folder and `schemas/**/*.json` by their names in it, and a finding for each that cannot be read.

    Hidden files and folders are passed over. Links are followed only where they lead to a file in the folder, as those
    of a mounted Kubernetes ConfigMap do; links to folders are not followed.
    """
    folder = _Folder(path.resolve())
    if not path.is_dir():
        folder.find(str(path), "this is no folder", "give the folder with the *.policy files")
        return {}, tuple(folder.findings)
    names = sorted(folder.names())
    for name in names[:MAX_FILES]:
        folder.take(name)
    if len(names) > MAX_FILES:
        folder.find(names[MAX_FILES], f"there are more than {MAX_FILES} files", "take those away that decide nothing", kind="too-large")
    return folder.files, tuple(folder.findings)


@dataclasses.dataclass(slots=True)
class _Folder:
    root: Path
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def names(self) -> Iterator[str]:
        """The names of the files that count."""
        yield from (name for name in self.visible() if name.endswith(".policy"))
        schemas = self.root / "schemas"
        if schemas.is_symlink():
            self.find("schemas", _LINK, "put the folder itself here")
        elif schemas.exists():
            yield from self.below(schemas)

    def visible(self) -> list[str]:
        """The names at the top that are not hidden."""
        try:
            return [entry.name for entry in self.root.iterdir() if not entry.name.startswith(".")]
        except OSError as error:
            self.failed(error)
            return []

    def below(self, schemas: Path) -> Iterator[str]:
        """The names of schemas, those in folders too."""
        for parent, folders, names in os.walk(schemas, onerror=self.failed):
            here = Path(parent).relative_to(self.root)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in folders:
                if (self.root / here / name).is_symlink():
                    self.find((here / name).as_posix(), _LINK)
            yield from ((here / name).as_posix() for name in names if name.endswith(".json") and not name.startswith("."))

    def failed(self, error: OSError) -> None:
        """Note a folder that cannot be listed."""
        self.find(os.path.relpath(error.filename, self.root), f"this folder cannot be read: {error.strerror}")

    def take(self, name: str) -> None:
        """Read one file, unless its name cannot be shown."""
        if not name.isprintable():
            self.find(name.encode(errors="backslashreplace").decode(), "the name of this file has characters that cannot be shown")
            return
        try:
            data = self.content(name)
        except OSError as error:
            self.find(name, f"this file cannot be read: {error.strerror}")
            return
        if data is not None and len(data) > MAX_BYTES:
            self.find(name, f"this file is longer than {MAX_BYTES} bytes", "split it", kind="too-large")
        elif data is not None:
            self.files[name] = data

    def content(self, name: str) -> bytes | None:
        """The bytes of a file in the folder, one more than allowed at most; what a link leads to is opened as itself."""
        real = Path(os.path.realpath(self.root / name, strict=True))
        if not real.is_relative_to(self.root):
            self.find(name, "this link leads out of the folder", "put the file itself here")
            return None
        if not real.is_file():
            self.find(name, "this is no file")
            return None
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(MAX_BYTES + 1)

    def find(self, name: str, message: str, hint: str = "", kind: str = "unreadable") -> None:
        """Note what is wrong with a file."""
        at = Position(file=name, line=1, column=1)
        self.findings.append(Finding(id=kind, at=at, message=message, hint=hint))
