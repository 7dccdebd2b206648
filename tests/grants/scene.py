"""What the tests of grants work with: grants, a clock that is set, a Centrifugo that notes what it is sent, a policy of two facts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from proxy.errors import DeliveryFault
from proxy.gate import Gate
from proxy.grants.endings import Endings
from proxy.grants.grant import TOKEN, Grant
from proxy.grants.redecision import Redecision
from proxy.grants.registry import Registry
from proxy.policy.decision import FactKey, Known, Lost
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.wire.api import ApiError, Command, Outcome, Result

POLICY = b"""
language 1;
database main { url env URL; }
fact account(uid: string) -> { suspended: bool } { sql main "select suspended from a where id = :uid"; invalidate on "account:{uid}"; }
fact member(doc: string, uid: string) -> bool { sql main "select 1 from m where d = :doc and u = :uid"; invalidate on "doc:{doc}"; }
deny suspended when account(user).suspended;
channel "doc:{d}" { allow subscribe when member(vars.d, user); }
channel "news:{d}" { allow subscribe; }
"""


class Clock:
    """Epoch milliseconds that are set."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


class Centrifugo:
    """Notes the commands that it is sent; `away` makes it fail, `answer` is what it says."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, object]] = []
        self.away = False
        self.answer: Outcome = Result(fields={})
        self._heard = asyncio.Event()

    async def send(self, command: Command) -> Outcome:
        self.sent.append({"method": command.method, **command.params})
        self._heard.set()
        await asyncio.sleep(0)
        if self.away:
            raise DeliveryFault("away")
        return self.answer

    async def heard(self, count: int) -> None:
        """Returns when it was sent so many commands."""
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                self._heard.clear()
                await self._heard.wait()


class Data:
    """The facts: a user is not suspended and a member of everything, unless it says otherwise."""

    def __init__(self) -> None:
        self.suspended: set[str] = set()
        self.strangers: set[str] = set()
        self.away = False
        self.loads = 0
        self.slow: asyncio.Event | None = None

    def get(self, _key: FactKey, /) -> None:
        return None

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        self.loads += 1
        await (self.slow.wait() if self.slow else asyncio.sleep(0))
        return {key: Lost(why="away") if self.away else Known(value=self._value(key), topics=topics(key)) for key in keys}

    def _value(self, key: FactKey) -> object:
        return {"suspended": key[1] in self.suspended} if key[0] == "account" else key[2] not in self.strangers


class Unlimited:
    def take(self, _limit: object) -> bool:
        return True


def topics(key: FactKey) -> tuple[str, ...]:
    """What invalidates a fact of the policy."""
    return (f"account:{key[1]}" if key[0] == "account" else f"doc:{key[1]}",)


def policy() -> Policy:
    made = load({"base.policy": POLICY}).policy
    assert made
    return made


class Scene:
    """Everything wired together; `lags` are the seconds that were told."""

    def __init__(self, grace_s: int = 60) -> None:
        self.clock, self.centrifugo, self.data = Clock(), Centrifugo(), Data()
        self.lags: list[float] = []
        self.registry = Registry(self.clock)
        self.endings = Endings(self.registry, self.centrifugo, self.clock, self.lags.append)
        self.barred: set[str | None] = set()
        self.gate = Gate(policy=policy(), source=self.data, limits=Unlimited(), barred=self.barred)
        self.redecision = Redecision(self.registry, self.endings, self.gate, self.clock, grace_s)

    def connection(self, client: str, user: str, **more: object) -> Grant:
        """A connection that is held; ten seconds old."""
        return self._held(client, user, "", "connect/default", **more)

    def subscription(self, client: str, user: str, channel: str, **more: object) -> Grant:
        """A subscription that is held."""
        rule = f"{channel.split(':', maxsplit=1)[0]}:{{d}}/subscribe/1"
        return self._held(client, user, channel, rule, **more)

    def token(self, user: str, channel: str | None = None, usable_s: int = 60) -> Grant:
        """A token that is held, usable for so many seconds."""
        end_s = self.clock.now // 1000 + usable_s
        return self._held(f"{TOKEN}{user}{channel}", user, channel or "", "connect/default", usable_s=end_s, end_s=end_s)

    def _held(self, holder: str, user: str, channel: str, rule: str, **more: object) -> Grant:
        rests = topics(("account", user))
        if channel.startswith("doc:"):
            rests += topics(("member", channel[4:], user))
        since_ms = self.clock.now - 10_000
        made = {"end_s": None, "since_ms": since_ms, "decided_ms": since_ms, "topics": rests, **more}
        made = {"revision": self.gate.policy.revision, **made}
        grant = Grant(holder=holder, user=user, channel=channel, rule=rule, **made)  # type: ignore[arg-type]  # as the callers give it
        self.redecision.hold([grant])
        held = self.registry.get(grant.key)
        assert held
        return held

    def invalidate(self, *names: str) -> None:
        """These topics changed."""
        self.redecision.ask(self.registry.resting_on(names))

    async def until(self, true: Callable[[], bool]) -> None:
        """Returns when it is so."""
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110 - there is nothing to wait for but turns of the loop
                await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Both workers, while the block lasts."""
        tasks = [asyncio.create_task(work.run()) for work in (self.redecision, self.endings)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in done), done


__all__ = ["ApiError", "Scene"]
