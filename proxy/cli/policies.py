"""Loading the policy that a command works with."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import typer

from proxy.errors import SetupFault
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.policy.reading.render import as_text, summary
from proxy.stores import folder

SETUP: Final = 2
"""Exit code of a command that cannot do its work."""


def usable(path: Path, *, quiet: bool = False) -> Policy:
    """The policy of a folder; what there is to say of it goes to standard error, with `quiet` only if it cannot be used.

    Raises `SetupFault` for a policy with errors.
    """
    files, unread = folder.read(path)
    loaded = load(files)
    findings = [*unread, *loaded.findings]
    broken = loaded.policy is None or any(finding.severity == "error" for finding in findings)
    if broken or not quiet:
        sources = {name: text.decode(errors="replace") for name, text in files.items()}
        typer.echo(as_text(findings, sources, colours=sys.stderr.isatty()), err=True, nl=False)
    if loaded.policy is None or broken:
        raise SetupFault(f"the policy in {path} cannot be used: {summary(findings)}")
    return loaded.policy


def named(path: Path) -> Mapping[str, str]:
    """The names of a folder's schema files by their digests."""
    return {hashlib.sha256(raw).hexdigest(): name for name, raw in folder.read(path)[0].items() if name.endswith(".json")}
