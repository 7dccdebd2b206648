"""Trying what the service will rely on: what the policy names, Centrifugo, the outbox."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from proxy import settings
from proxy.app import centrifugo
from proxy.errors import DeliveryFault, SetupFault
from proxy.policy.findings import Finding, Position
from proxy.policy.policy import Policy
from proxy.review import online
from proxy.settings import PREFIX, Settings
from proxy.stores import outboxes
from proxy.tokens.keys import keyring

TIMEOUT_S: Final = 10.0
"""Seconds that Centrifugo and the outbox get."""


def tried(policy: Policy, files: Mapping[str, bytes], folder: Path) -> Sequence[Finding]:
    """What of it does not work, with the environment and `.env`; raises `SetupFault` where that file cannot be read.

    What is wrong with a setting is said at its line in `.env`, or the first one: that is where it may be set.
    """
    return asyncio.run(_tried(policy, files, os.path.relpath(settings.FILE, folder)))


async def _tried(policy: Policy, files: Mapping[str, bytes], file: str) -> Sequence[Finding]:
    variables = settings.variables()
    durable = any(service.delivery == "durable" for service in policy.services.values())
    named, service = await asyncio.gather(online.tried(policy, files, variables), _service(file, durable=durable))
    return [*named, *service]


async def _service(file: str, *, durable: bool) -> Sequence[Finding]:
    try:
        chosen = settings.read()
        keyring(chosen)
    except SetupFault as fault:
        return [_finding(online.UNUSABLE, file, text.split()[0].rstrip(":"), text) for text in str(fault).splitlines()]
    address = PREFIX + ("CENTRIFUGO_URL" if chosen.centrifugo_grpc is None else "CENTRIFUGO_GRPC")
    trials = [_trial(file, address, lambda: _asked(chosen))]
    if durable:
        trials.append(_trial(file, f"{PREFIX}STORE_URL", lambda: _written(chosen)))
    return [finding for finding in await asyncio.gather(*trials) if finding]


async def _trial(file: str, name: str, act: Callable[[], Awaitable[None]]) -> Finding | None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await act()
    except (DeliveryFault, SetupFault) as fault:
        return _finding(online.UNREACHABLE, file, name, str(fault), f"start it, or correct {name}")
    except TimeoutError:
        return _finding(online.UNREACHABLE, file, name, f"no answer within {TIMEOUT_S:g} s", f"start it, or correct {name}")
    return None


async def _asked(chosen: Settings) -> None:
    server = centrifugo(chosen)
    try:
        await server.health()
    finally:
        await server.close()


async def _written(chosen: Settings) -> None:
    store = outboxes.outbox((chosen.hand_over or chosen.store_url).get_secret_value())
    try:
        await store.open()
        await store.write((), (), time.time_ns() // 1_000_000)
    finally:
        await store.close()


def _finding(id_: str, file: str, name: str, message: str, hint: str = "") -> Finding:
    return Finding(id=id_, at=Position(file=file, line=settings.line(name), column=1), message=message, hint=hint)
