"""`sign`: signs a policy, for services that take signed ones only."""

import json
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.ending import ending
from proxy.cli.policies import read
from proxy.errors import SetupFault
from proxy.stores import seal


@ending
def sign(
    key: Annotated[Path, typer.Option(help="The private key: Ed25519, PEM, without a password.")],
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    *,
    edition: Annotated[int | None, typer.Option(min=1, help="Its number, higher than any before; else one more than the last.")] = None,
) -> None:
    """Write signature.json beside the policies; exit code 2 when that cannot be done."""
    number = _signed(policies, key, edition)
    typer.echo(f"{policies / seal.SIGNATURE} signs edition {number}")


def _signed(policies: Path, key: Path, edition: int | None) -> int:
    private = seal.private(key)
    files, unread = read(policies)
    if unread:
        raise SetupFault("\n".join(str(finding) for finding in unread))
    path = policies / seal.SIGNATURE
    number = edition or _last(path) + 1
    path.write_bytes(seal.sign(files, number, private))
    return number


def _last(path: Path) -> int:
    try:
        return int(json.loads(path.read_bytes())["edition"])
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError):
        raise SetupFault(f"{path} is no signature file: take it away, or give --edition a number higher than any before") from None
