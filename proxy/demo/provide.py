"""Finds Centrifugo in a given version, or builds it with Go from the pinned module in `tools/`.

In this order: the program that the user chose, `centrifugo` on the path in the right version, `.tools/centrifugo-VERSION`, a build.
"""

import fcntl
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from proxy.errors import SetupFault

PINNED: Final = "6.9.1"
"""The version that the demo runs."""
BUILD_S: Final = 1800
"""Seconds that a build may take; a cold one downloads a few hundred modules."""

_ANSWER_S: Final = 30
_LINES: Final = 15
_VERSION: Final = re.compile(r"Centrifugo v(\S+)")


def provide(
    version: str, chosen: str = "", *, root: Path | None = None, path: str | None = None, tell: Callable[[str], None] = print
) -> Path:
    """Give the path of a Centrifugo of this version; `chosen` is the value of `$CENTRIFUGO` and wins when it has the same major version.

    `root` is the project's folder (else the working directory), `path` the search path (else the process's). `tell` gets a sentence
    before a build begins. Blocks, for minutes when it builds. Raises `SetupFault` that says what to do.
    """
    if chosen:
        return _chosen(chosen, version, path)
    installed = shutil.which("centrifugo", path=path)
    if installed and _version(installed) == version:
        return Path(installed)
    root = (root or Path()).absolute()
    target = root / ".tools" / f"centrifugo-{version}"
    return target if _version(str(target)) == version else _build(version, root, target, path, tell)


def _chosen(chosen: str, version: str, path: str | None) -> Path:
    found = shutil.which(chosen, path=path)
    has = found and _version(found)
    if not found or not has:
        raise SetupFault(f"CENTRIFUGO={chosen} is no Centrifugo that runs: correct it or unset it")
    if _major(has) != _major(version):
        raise SetupFault(f"CENTRIFUGO={chosen} is Centrifugo {has}, and {version} is wanted: choose another or unset it")
    return Path(found)


def _version(program: str) -> str | None:
    try:
        done = subprocess.run((program, "version"), capture_output=True, text=True, timeout=_ANSWER_S, check=False)  # noqa: S603 - the program is the user's own
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout)
    return found[1] if found else None


def _major(version: str) -> str:
    return version.partition(".")[0]


def _build(version: str, root: Path, target: Path, path: str | None, tell: Callable[[str], None]) -> Path:
    module = root / "tools" / f"centrifugo{_major(version)}"
    pins = module / "go.mod"
    go = shutil.which("go", path=path)
    if go is None or not pins.is_file() or f" v{version}\n" not in pins.read_text():
        raise SetupFault(_missing(version, go, module))
    target.parent.mkdir(exist_ok=True)
    with (target.parent / f"{target.name}.lock").open("w") as lock:
        # Two processes may want it at once; the second finds what the first has built.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _version(str(target)) != version:
            tell(f"Building Centrifugo {version} with Go: this takes a few minutes, once.")
            _compile(go, version, module, target)
    return target


def _compile(go: str, version: str, module: Path, target: Path) -> None:
    package = f"github.com/centrifugal/centrifugo/v{_major(version)}"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / target.name
        flags = ("-trimpath", "-buildvcs=false", "-ldflags", f"-s -w -X {package}/internal/build.Version={version}", "-o", str(built))
        try:
            done = subprocess.run(  # noqa: S603 - Go, with arguments of our own
                ("/usr/bin/env", "CGO_ENABLED=0", go, "build", *flags, package),
                cwd=module,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=BUILD_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SetupFault(f"building Centrifugo {version} took longer than {BUILD_S} s: look at the network and try again") from None
        if done.returncode != 0:
            log = "\n".join(done.stdout.splitlines()[-_LINES:])
            raise SetupFault(f"building Centrifugo {version} failed: mend what Go says and try again, or install it otherwise\n{log}")
        # In one step, so that nobody ever runs half a file.
        built.replace(target)


def _missing(version: str, go: str | None, module: Path) -> str:
    why = "Go is not installed" if go is None else f"{module} does not pin it"
    return (
        f"there is no Centrifugo {version}, and {why}: set CENTRIFUGO to its program, put it on the path as `centrifugo`, "
        "or install Go, which builds it; `docker compose up --wait` needs none of these"
    )


def _main(versions: Sequence[str]) -> int:
    try:
        for version in versions:
            print(f"Centrifugo {version}: {provide(version)}")  # noqa: T201 - this is its output
    except SetupFault as fault:
        print(fault, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
