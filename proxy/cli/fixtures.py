"""The facts that commands without a service work with."""

from pathlib import Path

import typer

from proxy.errors import SetupFault
from proxy.policy.policy import Policy
from proxy.policy.reading.render import as_text
from proxy.review import fixtures
from proxy.review.fixtures import Fixtures
from proxy.stores import folder


def given(policy: Policy, policies: Path, other: Path | None = None) -> Fixtures:
    """Give the fixtures that stand beside the policy, or those of another file.

    Raises `SetupFault` if something is wrong with them, which is said on standard error, and `OSError`.
    """
    files = {other.name: other.read_bytes()} if other else folder.read(policies)[0]
    tests = {name: raw for name, raw in files.items() if other or name.endswith(".test.policy")}
    found, findings = fixtures.read(tests, policy)
    if findings:
        sources = {name: raw.decode(errors="replace") for name, raw in tests.items()}
        typer.echo(as_text(findings, sources), err=True, nl=False)
        raise SetupFault(f"the fixtures of {other or policies} cannot be used")
    return found
