"""`key new`: keys for the services of a policy."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from typing import Annotated, Final

import typer

from proxy.cli.ending import ending
from proxy.errors import Malformed

BYTES: Final = 32
"""Random bytes of a key."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")


@ending
def new(
    name: Annotated[str, typer.Argument(help="The service of the policy that it is for.")] = "service",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print {variable, key, hash}.")] = False,
) -> None:
    """Make a random key, and the hash by which the service knows it; nothing is kept. Exit code 2 for a name that no service can have."""
    if not _NAME.fullmatch(name):
        raise Malformed(f"{name} cannot be the name of a service: small letters, digits and _ only")
    key, variable = secrets.token_urlsafe(BYTES), f"{name.upper()}_KEY"
    hashed = f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    if as_json:
        typer.echo(json.dumps({"variable": variable, "key": key, "hash": hashed}))
        return
    typer.echo(
        f"# For the backend, which sends it in X-API-Key:\n{variable}={key}\n"
        f"# For the service, whose policy says: service {name} {{ key env {variable}; … }}\n{variable}={hashed}"
    )


COMMANDS: dict[str, Callable[..., None]] = {"new": new}
