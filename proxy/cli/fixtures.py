"""The facts that commands without a service work with."""

from collections.abc import Sequence
from pathlib import Path

import typer

from proxy.errors import Malformed, SetupFault
from proxy.policy.policy import Policy
from proxy.policy.reading.render import as_text
from proxy.review import fixtures
from proxy.review.fixtures import Fixtures
from proxy.stores import folder


def given(policy: Policy, policies: Path, other: Path | None = None) -> Fixtures:
    """Give the fixtures that stand beside the policy, or those of another file.

    Raises `SetupFault` if something is wrong with them, which is said on standard error, or the file cannot be read.
    """
    files = {other.name: _read(other)} if other else folder.read(policies)[0]
    tests = {name: raw for name, raw in files.items() if other or name.endswith(".test.policy")}
    found, findings = fixtures.read(tests, policy)
    if findings:
        sources = {name: raw.decode(errors="replace") for name, raw in tests.items()}
        typer.echo(as_text(findings, sources), err=True, nl=False)
        raise SetupFault(f"the fixtures of {other or policies} cannot be used")
    return found


def about(users: Sequence[str], policy: Policy, policies: Path, other: Path | None) -> Fixtures:
    """Give the facts about users, likewise; none where nobody is named, which excludes another file: raises `Malformed`."""
    if users:
        return given(policy, policies, other)
    if other:
        raise Malformed("fixtures are facts about users: say about whom with --user, or leave --fixtures out")
    return Fixtures(declared=policy.facts, values={})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupFault(f"{path} cannot be read: {error.strerror}; name a file with fixtures, such as a *.test.policy") from None
