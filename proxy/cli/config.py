"""`config generate` and `config convert`: configurations of Centrifugo."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, cast
from urllib.parse import urlsplit

import typer

from proxy.cli.doctor import opened
from proxy.cli.ending import ending
from proxy.cli.policies import usable
from proxy.errors import SetupFault
from proxy.review.doctor.conversion import convert as converted
from proxy.review.doctor.document import Tree
from proxy.review.doctor.examine import version
from proxy.review.doctor.findings import written
from proxy.review.doctor.fitting import fit
from proxy.review.doctor.generation import generate as generated
from proxy.review.doctor.generation import text
from proxy.review.doctor.needs import needs
from proxy.review.doctor.vocabulary import FIFTH, Version, shape

SERVICE: Final = "http://127.0.0.1:8010"
"""Where Centrifugo reaches the service, unless it is told otherwise."""


@ending
def generate(
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    release: Annotated[int, typer.Option("--for", min=5, max=6, help="The version of Centrifugo.")] = 6,
    service: Annotated[str, typer.Option(help="Address at which Centrifugo reaches the service.")] = SERVICE,
    origin: Annotated[list[str] | None, typer.Option(help="Origin of your pages; may be repeated. Else the service's own.")] = None,
) -> None:
    """Print the configuration that the policy needs; secrets come from Centrifugo's environment. Exit code 2 without a usable policy."""
    policy, address = usable(policies, quiet=True), _address(service)
    for pattern, _ in needs(policy).floating:
        typer.echo(f"the channels of {pattern} may lie in any namespace: add those that you use", err=True)
    origins = origin or [address, *([address.replace("127.0.0.1", "localhost")] if "//127.0.0.1" in address else [])]
    typer.echo(text(generated(policy, address, origins, cast("Version", release))))


@ending
def convert(file: Annotated[Path, typer.Argument(help="The configuration of Centrifugo 5: JSON, YAML or TOML.")]) -> None:
    """Print a configuration of version 5 as one of version 6. Exit code 1 when something was left out, 2 for what is none of version 5."""
    tree, troubles = fit(_fifth(file), shape(5))
    found = converted(tree)
    typer.echo(text(found.tree))
    for key in found.lost:
        typer.echo(f"left out: {key}, which version 6 does not have", err=True)
    for trouble in troubles:
        why = f"it must be {trouble.expected}" if trouble.expected else "version 5 does not know it"
        typer.echo(f"left out: {written(trouble.path)}: {why}", err=True)
    if found.lost or troubles:
        raise typer.Exit(1)


def _fifth(file: Path) -> Tree:
    tree = opened(file).tree
    if version(tree) != FIFTH:
        raise SetupFault(f"{file} is written for version 6 already")
    return tree


def _address(service: str) -> str:
    parts = urlsplit(service)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SetupFault(f"--service must be an address such as {SERVICE}")
    return service.rstrip("/")


COMMANDS: dict[str, Callable[..., None]] = {"generate": generate, "convert": convert}
