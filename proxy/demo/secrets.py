"""Secrets of a development machine: made once, kept in `.env`, never shown."""

import os
import secrets
from pathlib import Path
from typing import Final

from proxy import settings

NAMES: Final = (
    "CENTRIGATE_HOOK_SECRET",
    "CENTRIGATE_CENTRIFUGO_API_KEY",
    "CENTRIGATE_TOKEN_KEY",
    "ORDERS_KEY",
    "NEWSROOM_KEY",
    "APPLICATION_KEY",
)
"""What the service and the demo policy need."""

_BYTES: Final = 32


def complete(file: Path) -> tuple[str, ...]:
    """Give each name that neither the environment nor the file sets a random value in the file; answers the names that were added.

    The file is then readable by its owner only. Blocks.
    """
    given = settings.variables(file)
    missing = tuple(name for name in NAMES if not given.get(name))
    if missing:
        _append(file, "".join(f"{name}={secrets.token_hex(_BYTES)}\n" for name in missing))
    return missing


def _append(file: Path, lines: str) -> None:
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as opened:
        os.fchmod(descriptor, 0o600)
        before = opened.read()
        opened.write(lines if before.endswith("\n") or not before else f"\n{lines}")
