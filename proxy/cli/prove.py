"""`prove`: the invariants of a policy, for every request that there can be."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from proxy.cli.diff import progressing
from proxy.cli.ending import ending
from proxy.cli.policies import read, usable
from proxy.errors import SetupFault


@ending
def prove(
    *,
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    timeout: Annotated[float, typer.Option(help="Seconds for each invariant.", min=0.001, max=3600)] = 10,
    rules: Annotated[bool, typer.Option("--rules/--no-rules", help="Look for rules that never decide, too.")] = True,
    allow_unknown: Annotated[bool, typer.Option("--allow-unknown", help="What is neither proved nor refuted does not fail.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Prove the invariants of a policy for all requests, or show one that breaks it and that the policy decides so."""
    try:
        # The solver is large and installed only where it is asked for.
        from proxy.review.proving import prove as proving  # noqa: PLC0415
        from proxy.review.proving import reach, telling  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise SetupFault(f"{missing.name} is not installed: install centrigate[prove]") from None
    policy = usable(policies, quiet=True)
    files, _ = read(policies)
    milliseconds = max(1, int(timeout * 1000))
    with progressing("proving") as told:
        proofs = proving.prove(policy, files, milliseconds, told)
    with progressing("looking for idle rules") as told:
        idle = reach.idle(policy, files, milliseconds, told) if rules else []
    if as_json:
        typer.echo(json.dumps(telling.as_object(proofs, idle), indent=2))
    else:
        console = Console(highlight=False)
        for line in telling.as_lines(proofs, idle):
            console.print(line, soft_wrap=True)
    failing = {"refuted"} if allow_unknown else {"refuted", "unknown"}
    raise typer.Exit(int(any(proof.state in failing for proof in proofs)))
