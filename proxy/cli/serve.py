"""`centrigate serve`: the service with one policy, until it is told to stop."""

import asyncio
import gc
import logging
import signal
from typing import Annotated

import typer
import uvloop

from proxy import settings
from proxy.app import create
from proxy.cli.ending import ending
from proxy.cli.policies import usable
from proxy.cli.server import listen, run

_LOG = logging.getLogger("centrigate")

_YOUNG = (20_000, 20, 20)
"""Objects, and collections of those before, after which garbage is looked for: with Python's 700 and 10 a busy service spends a twentieth
of its time on it, and next to nothing that a hook leaves is in a cycle."""


@ending
def serve(
    *,
    explain: Annotated[bool, typer.Option("--explain-to-clients", help="Tell clients why they are refused (development only).")] = False,
) -> None:
    """Run the service; what it needs comes from CENTRIGATE_* variables and `.env`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for other in ("uvicorn.error", "watchfiles"):
        logging.getLogger(other).setLevel(logging.WARNING)
    uvloop.run(_serve(explain=explain))


async def _serve(*, explain: bool) -> None:
    chosen = settings.read()
    if explain:
        chosen = chosen.model_copy(update={"explain_to_clients": True})
    policy = usable(chosen.policies)
    app = create(chosen, policy, settings.variables())
    await app.prepare()
    # What is there now stays: to walk through it again and again would stop everything for a tenth of a second each time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_YOUNG)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.reload)
    sockets = listen(chosen.host, chosen.port)
    host, port = sockets[0].getsockname()[:2]
    await run(app, sockets, lambda: _LOG.info("policy %s of %s is in force at http://%s:%s", policy.revision, chosen.policies, host, port))
