import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.errors import FactFault
from proxy.identity.session import AWAY_S, FAILURES, KNOWN_S, MAX_KEPT_BYTES, UNKNOWN_S, Answer, Session
from proxy.policy.declared import HttpIdentity, Remote, Variable
from proxy.stores import remote

from .site import Site, says, site

ADA = {"id": 42}
COOKIE = {"cookie": "session=a", "x-other": "1"}


class App:
    """An application and who asks it, with a clock of its own."""

    def __init__(self, at: Site) -> None:
        self.site = at
        self.now = 100.0
        identity = HttpIdentity(name="session", remote="app", path="/me", forwards=("cookie", "authorization"))
        declared = Remote(name="app", base=Variable(name="APP_URL"), headers=(), timeout_ms=5000)
        self.session = Session(identity, remote.Remote(declared, {"APP_URL": at.url}), lambda: self.now)
        at.answer = says(ADA)

    async def ask(self, **headers: str) -> Answer | None:
        return await self.session.ask(headers or COOKIE)

    async def fails(self) -> str:
        with pytest.raises(FactFault) as caught:
            await self.ask()
        return str(caught.value)


@asynccontextmanager
async def running() -> AsyncIterator[App]:
    async with site() as at:
        made = App(at)
        try:
            yield made
        finally:
            await made.session.close()


async def test_the_application_is_asked_with_the_declared_headers_only() -> None:
    async with running() as app:
        assert await app.ask(cookie="session=a", authorization="Bearer é", host="evil.example", **{"x-other": "1"}) == Answer(
            known=True, reply=ADA
        )
        path, headers = app.site.asked.get_nowait()
    assert (path, headers["cookie"], headers["authorization"]) == ("/me", "session=a", "Bearer é")
    assert "x-other" not in headers
    assert headers["host"] in app.site.url


@pytest.mark.parametrize("headers", [{"x-other": "1"}, {"cookie": ""}])
async def test_without_such_a_header_the_application_is_not_asked(headers: dict[str, str]) -> None:
    async with running() as app:
        assert await app.session.ask(headers) is None
        assert await app.session.ask({}) is None
        assert app.site.count == 0


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_an_answer(status: int) -> None:
    async with running() as app:
        app.site.answer = says({"id": 42}, status)
        assert await app.ask() == Answer(known=False)


@pytest.mark.parametrize(
    "answer", [says(ADA, 500), says(ADA, 404), says(ADA, 302), says(body=b"", status=204), says(ADA, 429), says(body=b"<html>")]
)
async def test_every_other_answer_is_a_fault_and_is_not_kept(answer: bytes) -> None:
    async with running() as app:
        app.site.answer = answer
        await app.fails()
        app.site.answer = says(ADA)
        assert await app.ask() == Answer(known=True, reply=ADA)


@pytest.mark.parametrize(("status", "seconds"), [(200, KNOWN_S), (401, UNKNOWN_S)])
async def test_an_answer_counts_for_a_short_time(status: int, seconds: float) -> None:
    async with running() as app:
        app.site.answer = says(ADA, status)
        first = await app.ask()
        app.now += seconds - 0.1
        assert await app.ask() is first
        assert app.site.count == 1
        app.now += 0.1
        assert await app.ask() is not first
        assert app.site.count == 2


async def test_each_credential_has_its_own_answer() -> None:
    async with running() as app:
        await app.ask(cookie="session=a")
        app.site.answer = says({"id": 7})
        assert await app.ask(cookie="session=b") == Answer(known=True, reply={"id": 7})
        assert await app.ask(authorization="session=a") == Answer(known=True, reply={"id": 7})
        assert await app.ask(cookie="session=a") == Answer(known=True, reply=ADA)
        assert app.site.count == 3


async def test_no_credential_is_kept() -> None:
    async with running() as app:
        await app.ask(cookie="session=topsecret")
        assert "topsecret" not in repr(app.session._kept)
        other = App(app.site)
        await other.ask(cookie="session=topsecret")
        assert not set(app.session._kept) & set(other.session._kept)
        await other.session.close()


async def test_many_who_ask_at_once_are_one_question() -> None:
    async with running() as app:
        app.site.open.clear()
        waiting = [asyncio.create_task(app.ask()) for _ in range(50)]
        await app.site.asked.get()
        waiting[0].cancel()
        app.site.open.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert answers[1:] == [Answer(known=True, reply=ADA)] * 49
        assert app.site.count == 1


async def test_the_least_recently_used_answers_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.identity.session.MAX_KEPT", 2)
    async with running() as app:
        for name in ("a", "b", "a", "c", "a"):
            await app.ask(cookie=name)
        assert app.site.count == 3
        await app.ask(cookie="b")
        assert app.site.count == 4


async def test_a_long_answer_is_not_kept() -> None:
    async with running() as app:
        for length, expected in ((MAX_KEPT_BYTES - 2, 1), (MAX_KEPT_BYTES - 1, 2)):
            app.site.count = 0
            app.site.answer = says("x" * length)
            for _ in range(2):
                await app.ask(cookie=f"session={length}")
            assert app.site.count == expected


async def test_an_application_that_keeps_failing_is_left_alone_for_a_moment() -> None:
    async with running() as app:
        app.site.answer = says(None, 500)
        for _ in range(FAILURES - 1):
            await app.fails()
        app.site.answer = says(ADA)
        await app.ask(cookie="session=other")
        app.site.answer = says(None, 500)
        for _ in range(FAILURES):
            assert await app.fails() == "identity session: the reply has status 500"
        asked = app.site.count
        assert await app.fails() == "identity session: the application is away"
        assert await app.ask(cookie="session=other") == Answer(known=True, reply=ADA)
        assert app.site.count == asked
        app.site.answer = says(ADA)
        app.now += AWAY_S
        assert await app.ask() == Answer(known=True, reply=ADA)


async def test_closing_ends_the_questions_in_flight() -> None:
    async with running() as app:
        app.site.open.clear()
        waiting = asyncio.create_task(app.fails())
        await app.site.asked.get()
        await app.session.close()
        assert await waiting == "identity session: stopped"
