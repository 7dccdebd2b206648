"""Loading the policy that a command works with."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from proxy.errors import SetupFault
from proxy.policy.findings import Finding
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.policy.reading.render import as_text, summary
from proxy.stores import folder


def read(path: Path) -> tuple[Mapping[str, bytes], tuple[Finding, ...]]:
    """What `proxy.stores.folder.read` gives of a folder; raises `SetupFault` where there is none."""
    files, unread = folder.read(path)
    if not path.is_dir():
        raise SetupFault(as_text(unread, {}).rstrip())
    return files, unread


def usable(path: Path, *, quiet: bool = False) -> Policy:
    """The policy of a folder; what there is to say of it goes to standard error, with `quiet` only if it cannot be used.

    Raises `SetupFault` for a policy with errors, or none.
    """
    files, unread = read(path)
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
