import asyncio
import json
import logging
from collections.abc import Sequence

import pytest

from proxy.edge import hooks
from proxy.edge.flight import CROWD, RESERVE, Flight
from proxy.edge.hooks import Door, Endpoint, Event, Raw
from proxy.edge.metrics import Meter
from proxy.errors import Fault
from proxy.wire.read import document
from proxy.wire.replies import Answered, Expired, Refreshed, Refused, Reply

from .wire import Got, call

SECRET, PREVIOUS = b"s" * 32, b"p" * 32
NAME = b"x-centrigate-hook-secret"
KNOWN = [(NAME, SECRET)]
OVERLOAD = {"error": {"code": 111, "message": "too many requests", "temporary": True}}


class Echo:
    """A hook that answers with the body, as it is told by it."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.raw: Raw = []

    async def reply(self, asked: dict[str, object], raw: Raw) -> Reply:
        self.asked.append(asked)
        self.raw = raw
        if "fault" in asked:
            message = "the store is away"
            raise Fault(message)
        if "stuck" in asked:
            await asyncio.Event().wait()
        if "late" in asked:
            raise TimeoutError
        if "bug" in asked:
            message = f"unexpected {asked}"
            raise ValueError(message)
        return Refused(code=103, message="no") if "no" in asked else Answered(data=asked)

    def now(self, asked: dict[str, object], _raw: Raw) -> Reply | None:
        return Answered(data=asked) if "now" in asked else None

    def undecided(self, asked: dict[str, object]) -> Reply:
        if "worse" in asked:
            raise ZeroDivisionError
        return Refreshed(expire_at=1_800_000_000) if "live" in asked else Expired()


class Scene:
    def __init__(self, *, refresh: bool = False, most: int = 8, now: bool = False, lasts: bool = False) -> None:
        self.echo = Echo()
        self.clock_s = 100.0
        self.flight = Flight(most, 1.0, lambda: self.clock_s)
        self.meter = Meter("echo")
        undecided = self.echo.undecided if refresh else None
        at_hand = self.echo.now if now else None
        event = Event(name="echo", decode=document, reply=self.echo.reply, undecided=undecided, now=at_hand, lasts=lasts)
        self.app = Endpoint(event, Door([SECRET, PREVIOUS], 64), self.flight, self.meter)

    async def post(self, *chunks: bytes | None, headers: Sequence[tuple[bytes, bytes]] = KNOWN, method: str = "POST") -> Got:
        got = await call(self.app, chunks, headers, method=method)
        assert self.flight.count == 0
        return got

    def queue(self, seconds: float) -> None:
        """Have others wait for so long."""
        for _ in range(CROWD):
            self.flight.begin()
        self.clock_s += seconds

    @property
    def outcomes(self) -> dict[str, int]:
        return {outcome: count for outcome, count in self.meter.outcomes.items() if count}


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_reply_is_json_with_its_length(scene: Scene) -> None:
    got = await scene.post(b'{"a":1}')
    assert (got.status, got.json) == (200, {"result": {"data": {"a": 1}}})
    assert got.headers == {"content-type": "application/json", "content-length": str(len(got.body))}
    assert scene.outcomes == {"allowed": 1}
    assert sum(scene.meter.buckets) == 1


async def test_a_refusal_is_an_answer(scene: Scene) -> None:
    got = await scene.post(b'{"no":1}')
    assert (got.status, got.json["error"]["code"]) == (200, 103)
    assert scene.outcomes == {"refused": 1}


async def test_a_hook_is_given_the_headers_as_they_came(scene: Scene) -> None:
    headers = [*KNOWN, (b"cookie", b"a=b")]
    await scene.post(b"{}", headers=headers)
    assert scene.echo.raw == headers


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(NAME, b"")],
        [(NAME, b"wrong")],
        [(NAME, SECRET[:-1])],
        [(NAME, SECRET), (NAME, SECRET)],
        [(NAME, b"wrong"), (NAME, SECRET)],
        [(b"authorization", SECRET)],
        [(NAME, "sécret".encode())],
    ],
)
async def test_without_the_one_secret_nobody_gets_in(scene: Scene, headers: list[tuple[bytes, bytes]]) -> None:
    got = await scene.post(b'{"a":1}', headers=headers)
    assert got == Got(status=401, headers={"content-length": "0"}, body=b"", reads=0)
    assert not scene.echo.asked
    assert scene.outcomes == {"unauthorized": 1}


async def test_the_previous_secret_is_accepted(scene: Scene) -> None:
    assert (await scene.post(b"{}", headers=[(NAME, PREVIOUS)])).status == 200


async def test_a_hook_is_only_posted_to(scene: Scene) -> None:
    got = await scene.post(b"", method="GET")
    assert (got.status, got.headers["allow"], got.body) == (405, "POST", b"")


@pytest.mark.parametrize("length", [b"65", b"9" * 5000, b"-1", b"x", b"\xb2"])
async def test_a_long_body_is_refused_before_it_is_read(scene: Scene, length: bytes) -> None:
    got = await scene.post(b"{}", headers=[*KNOWN, (b"content-length", length)])
    assert (got.status, got.json["error"]["code"], got.headers["connection"]) == (413, "too_large", "close")
    assert got.reads == 0


async def test_a_body_of_unknown_length_is_read_up_to_the_limit(scene: Scene) -> None:
    assert (await scene.post(b'{"a":', b"1", b"}")).json == {"result": {"data": {"a": 1}}}
    assert (await scene.post(b" " * 65)).status == 413
    got = await scene.post(*[b" " * 33] * 4)
    assert (got.status, got.reads) == (413, 2)
    assert not scene.echo.asked[1:]


@pytest.mark.parametrize("chunks", [[None], [b"{", None]])
async def test_who_has_left_is_sent_nothing(scene: Scene, chunks: list[bytes | None]) -> None:
    assert (await scene.post(*chunks)).status == 0
    assert not scene.echo.asked


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"a":NaN}', b"\xef\xbb\xbf{}"])
async def test_garbage_changes_nothing(scene: Scene, body: bytes) -> None:
    got = await scene.post(body)
    assert (got.status, got.json["error"]["code"]) == (400, "malformed")
    assert not scene.echo.asked
    assert scene.outcomes == {"malformed": 1}


async def test_a_fault_of_ours_is_unavailable(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    got = await scene.post(b'{"fault":1}')
    assert (got.status, got.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert scene.outcomes == {"failed": 1}
    assert "the store is away" in caplog.text


async def test_an_unexpected_exception_is_logged_without_the_payload(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    got = await scene.post(b'{"bug":"card 4111"}')
    assert (got.status, got.body) == (500, b"internal error\n")
    assert "ValueError" in caplog.text
    assert "in reply" in caplog.text
    assert "4111" not in caplog.text + got.body.decode()


async def test_above_the_limit_a_hook_is_told_to_come_later() -> None:
    scene = Scene(most=0)
    assert (await scene.post(b'{"a":1}')).json == OVERLOAD
    assert not scene.echo.asked
    assert scene.outcomes == {"overload": 1}


async def test_up_to_the_limit_a_hook_is_answered() -> None:
    assert (await Scene(most=1).post(b"{}")).json == {"result": {"data": {}}}


@pytest.mark.parametrize("trouble", ["fault", "bug"])
async def test_a_refresh_is_answered_whatever_fails(trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(refresh=True)
    got = await scene.post(json.dumps({trouble: 1, "live": 1}).encode())
    assert (got.status, got.json) == (200, {"result": {"expire_at": 1_800_000_000}})
    assert (await scene.post(json.dumps({trouble: 1}).encode())).json == {"result": {"expired": True}}
    assert scene.outcomes == {"undecided": 2}
    assert all(record.levelno >= logging.WARNING for record in caplog.records[:2])


async def test_a_refresh_that_nobody_can_answer_fails() -> None:
    assert (await Scene(refresh=True).post(b'{"bug":1,"worse":1}')).status == 500


async def test_above_the_limit_a_refresh_is_answered_without_a_decision() -> None:
    scene = Scene(refresh=True, most=0)
    assert (await scene.post(b'{"live":1}')).json == {"result": {"expire_at": 1_800_000_000}}
    assert scene.outcomes == {"overload": 1}


async def test_what_is_in_work_is_counted() -> None:
    scene = Scene()
    counts = []
    await call(scene.app, [b"{}"], KNOWN, reading=lambda: counts.append(scene.flight.count))
    assert counts == [1]


async def test_a_refresh_may_exceed_the_limit_by_the_reserve() -> None:
    scene = Scene(refresh=True, most=RESERVE)
    scene.flight.count = RESERVE
    got = await call(scene.app, [b'{"a":1}'], KNOWN)
    assert (got.json, scene.outcomes) == ({"result": {"data": {"a": 1}}}, {"allowed": 1})
    scene.flight.count += 1
    await call(scene.app, [b"{}"], KNOWN)
    assert scene.outcomes == {"allowed": 1, "overload": 1}


async def test_while_others_wait_for_too_long_a_hook_is_told_to_come_later() -> None:
    scene = Scene()
    scene.queue(1.0)
    assert (await scene.post(b'{"a":1}')).json == {"result": {"data": {"a": 1}}}
    scene.clock_s += 0.1
    assert (await scene.post(b'{"a":1}')).json == OVERLOAD
    assert (len(scene.echo.asked), scene.outcomes) == (1, {"allowed": 1, "overload": 1})


async def test_while_others_wait_for_too_long_what_is_at_hand_is_answered() -> None:
    scene = Scene(now=True)
    scene.queue(2)
    assert (await scene.post(b'{"now":1}')).json == {"result": {"data": {"now": 1}}}
    assert (await scene.post(b'{"a":1}')).json == OVERLOAD
    assert not scene.echo.asked


async def test_while_others_wait_for_too_long_a_refresh_is_decided() -> None:
    scene = Scene(refresh=True)
    scene.queue(60)
    assert (await scene.post(b'{"a":1}')).json == {"result": {"data": {"a": 1}}}


async def test_a_refresh_that_takes_too_long_is_answered_without_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "PATIENCE_S", 0)
    scene = Scene(refresh=True)
    assert (await scene.post(b'{"stuck":1,"live":1}')).json == {"result": {"expire_at": 1_800_000_000}}
    assert scene.outcomes == {"overload": 1}
    assert (scene.flight.oldest_s, scene.flight.late()) == (0, False)


@pytest.mark.parametrize(("scene", "waits"), [(Scene(), 1), (Scene(lasts=True), 0)], ids=["decided here", "answered elsewhere"])
async def test_what_is_decided_here_counts_as_waiting(scene: Scene, waits: int) -> None:
    task = asyncio.create_task(call(scene.app, [b'{"stuck":1}'], KNOWN))
    for _ in range(5):
        await asyncio.sleep(0)
    assert scene.echo.asked
    scene.clock_s += 1
    assert scene.flight.oldest_s == waits
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert scene.flight.oldest_s == 0


@pytest.mark.parametrize(("scene", "outcome"), [(Scene(), "failed"), (Scene(refresh=True), "undecided")], ids=["command", "refresh"])
async def test_a_lateness_that_nobody_foresaw_is_a_failure(scene: Scene, outcome: str, caplog: pytest.LogCaptureFixture) -> None:
    await scene.post(b'{"late":1,"live":1}')
    assert scene.outcomes == {outcome: 1}
    assert "TimeoutError" in caplog.text
