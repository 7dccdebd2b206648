"""Another policy while the service runs: loaded beside the one in force, tested, put in its place in one step, or refused whole."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import awatch

from proxy.errors import SetupFault
from proxy.policy.load import load, revision
from proxy.policy.policy import Policy
from proxy.review import trials
from proxy.stores import folder
from proxy.stores.seal import Seal

SETTLE_MS: Final = 50
"""Milliseconds that the folder has to be quiet before it is read."""

AGAIN_S: Final = 5.0
"""Seconds until the next attempt to watch a folder that cannot be watched."""

_LOG: Final = logging.getLogger(__name__)


class Reload:
    """Follows a policies folder; what cannot be used changes nothing, and `refused` says why until something else stands there.

    `take` puts a policy in force and raises `SetupFault` if it cannot; with a `seal`, only signed policies count. `taken` and `failures`
    count attempts.
    """

    def __init__(
        self, path: Path, policy: Policy, take: Callable[[Policy], Awaitable[None]], seal: Seal | None = None, *, name: str = "policy"
    ) -> None:
        self.refused = ""
        self.taken = self.failures = 0
        self._name = name
        self._path = path
        self._revision = policy.revision
        self._take = take
        self._seal = seal
        self._one = asyncio.Lock()
        self._wake = asyncio.Event()

    async def admit(self) -> None:
        """Return if the policy that is in force from the start is signed, where it must be; raises `SetupFault` if not."""
        if self._seal is None:
            return
        files, _ = await asyncio.to_thread(folder.read, self._path)
        if revision(files) != self._revision:
            raise SetupFault(f"the policies in {self._path} changed during the start: start again")
        await asyncio.to_thread(self._seal.admit, self._path, files)

    async def __call__(self) -> str:
        """Put what stands in the folder in force and give its revision; raises `SetupFault`, and nothing has changed then."""
        async with self._one:
            try:
                policy = await asyncio.to_thread(self._load)
                if policy.revision != self._revision:
                    await self._take(policy)
                    self._revision = policy.revision
                    self.taken += 1
                    _LOG.info("%s %s of %s is in force", self._name, policy.revision, self._path)
            except SetupFault as fault:
                self.failures += 1
                self.refused = str(fault)
                _LOG.error("%s %s stays in force: %s", self._name, self._revision, fault)
                raise
            self.refused = ""
            return policy.revision

    def ask(self) -> None:
        """Have the folder looked at soon."""
        self._wake.set()

    async def run(self) -> None:
        """Follow the folder, for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._watch())
            both.create_task(self._follow())

    async def _watch(self) -> None:
        while True:
            try:
                async for _ in awatch(self._path, debounce=10 * SETTLE_MS, step=SETTLE_MS):
                    self.ask()
            except OSError as error:
                _LOG.warning("%s cannot be watched: %s", self._path, error)
            await asyncio.sleep(AGAIN_S)

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            with suppress(SetupFault):
                await self()

    def _load(self) -> Policy:
        files, policy = _read(self._path)
        report = trials.run(policy, files)
        failed = [f"{each.at.file}:{each.at.line}: {each.title}" for each in report.results if not each.passed]
        failed += map(str, report.findings)
        if failed:
            raise SetupFault(f"tests of the policy in {self._path} fail: {_listed(failed)}")
        if self._seal is not None:
            self._seal.admit(self._path, files)
        return policy


def usable(path: Path) -> Policy:
    """Give the policy of a folder; raises `SetupFault` for one with errors."""
    return _read(path)[1]


def _read(path: Path) -> tuple[Mapping[str, bytes], Policy]:
    files, unread = folder.read(path)
    loaded = load(files)
    errors = [str(finding) for finding in unread or loaded.findings if finding.severity == "error"]
    if errors or loaded.policy is None:
        raise SetupFault(f"the policy in {path} cannot be used: {_listed(errors)}")
    return files, loaded.policy


def _listed(items: list[str]) -> str:
    first, *others = items
    return f"{first} (and {len(others)} more)" if others else first
