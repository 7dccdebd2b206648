"""Policies as they are in a revision of a git repository."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from proxy.errors import SetupFault
from proxy.stores.folder import MAX_BYTES, MAX_FILES

PATIENCE_S: Final = 30.0
"""Seconds that one call of git may take."""

_FILE: Final = "100"
"""Modes of ordinary files begin so; links and submodules have others."""


def read(revision: str, path: str, folder: Path) -> Mapping[str, bytes]:
    """Give the files of the policies folder `path` (relative to `folder`, which is in a repository) as they are in a revision.

    They are those that `proxy.stores.folder.read` gives of a folder. Raises `SetupFault`.
    """
    neither = f"{revision!a} is neither a folder nor a revision"
    if revision.startswith("-") or not revision.isprintable() or not revision or ":" in revision:
        raise SetupFault(neither)
    within = PurePosixPath(path)
    if within.is_absolute() or ".." in within.parts:
        raise SetupFault(f"in a revision the policies are a folder below this one, not {path!a}")
    commit = _git(folder, ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"), neither)
    tree = f"{commit.decode().strip()}:./{within}"
    listed = _git(folder, ("ls-tree", "-r", "-l", "-z", tree), f"the revision {revision!a} has no folder {path!a}")
    found = dict(_entries(listed.decode(errors="surrogateescape"), revision))
    if len(found) > MAX_FILES:
        raise SetupFault(f"the revision {revision!a} has more than {MAX_FILES} files in {path!a}")
    return _contents(folder, found)


def _entries(listed: str, revision: str) -> Iterator[tuple[str, str]]:
    """Name and object of each file that counts."""
    for line in filter(None, listed.split("\0")):
        about, _, name = line.partition("\t")
        mode, _, object_, size = about.split()
        if not _counts(PurePosixPath(name)):
            continue
        if not mode.startswith(_FILE) or not name.isprintable():
            raise SetupFault(f"{name!a} in the revision {revision!a} is no ordinary file")
        if int(size) > MAX_BYTES:
            raise SetupFault(f"{name!a} in the revision {revision!a} is longer than {MAX_BYTES} bytes")
        yield name, object_


def _counts(name: PurePosixPath) -> bool:
    if any(part.startswith(".") for part in name.parts):
        return False
    return name.suffix == ".policy" if len(name.parts) == 1 else name.parts[0] == "schemas" and name.suffix == ".json"


def _contents(folder: Path, objects: Mapping[str, str]) -> Mapping[str, bytes]:
    asked = "".join(f"{object_}\n" for object_ in objects.values()).encode()
    told = _git(folder, ("cat-file", "--batch"), "git cannot read its objects", asked)
    found: dict[str, bytes] = {}
    for name in objects:
        head, _, told = told.partition(b"\n")
        size = int(head.split()[2])
        found[name], told = told[:size], told[size + 1 :]
    return found


def _git(folder: Path, arguments: Sequence[str], otherwise: str, given: bytes = b"") -> bytes:
    """What git answers; `otherwise` is what went wrong if it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - a list, no shell
    except FileNotFoundError:
        raise SetupFault("git is not installed; give folders instead of revisions") from None
    except subprocess.TimeoutExpired:
        raise SetupFault(f"git did not answer within {PATIENCE_S:g} s") from None
    if done.returncode != 0:
        raise SetupFault(otherwise if b"not a git repository" not in done.stderr else f"{folder} is in no git repository")
    return done.stdout
