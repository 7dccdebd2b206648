"""The short way against the ordinary one, which is uvicorn's own: the same bytes, in the same order, and the same numbers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import pytest
import uvloop
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from proxy.cli.server import KEEP_ALIVE_S, listen, run
from proxy.cli.swift import LONGEST, Swift
from tests.hooks.scene import body

from .scene import Scene
from .talks import CASES, CHUNKED, MEMBER, NEWS, NOW, SLOW, WAIT, Case, post, short
from .ways import PATIENCE_S, Heard, Line, Site, Way, dialled, fed, protocol, rest, statuses

WAYS: tuple[Way, Way] = (Swift, "httptools")
LATER = {"error": {"code": 111, "message": "too many requests", "temporary": True}}


def same(heard: Sequence[Heard], case: Case) -> None:
    short, ordinary = heard
    assert statuses(short.data) == [code for _, codes in case.steps for code in codes]
    assert short.data == ordinary.data
    assert (short.requests, short.outcomes) == (ordinary.requests, ordinary.outcomes)
    assert short.ordinary == case.ordinary


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_over_a_socket_both_ways_answer_the_same(case: Case) -> None:
    async def main() -> list[Heard]:
        return [await dialled(Site(), way, case.steps) for way in WAYS]

    same(uvloop.run(main()), case)


@pytest.mark.parametrize("way", WAYS, ids=["short", "ordinary"])
def test_the_ordinary_way_knows_whose_connection_it_is(way: Way) -> None:
    heard = uvloop.run(dialled(Site(), way, [(NOW, [200]), (WAIT, [200]), (WAIT, [200])]))
    assert heard.whence == {("http", "127.0.0.1", "127.0.0.1")}


def bytewise(raw: bytes) -> list[bytes]:
    return [raw[at : at + 1] for at in range(len(raw))]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("cut", [lambda raw: [raw], bytewise], ids=["whole", "bytes"])
async def test_in_pieces_both_ways_answer_the_same(case: Case, cut: Callable[[bytes], Iterable[bytes]]) -> None:
    same([await fed(Site(), way, case.steps, cut) for way in WAYS], case)


async def test_what_came_together_with_garbage_is_answered_the_short_way_only() -> None:
    short, ordinary = [await fed(Site(), way, [(NOW + b"\xff\r\n", [400])]) for way in WAYS]
    assert (statuses(short.data), statuses(ordinary.data)) == ([200, 400], [400])


@pytest.mark.parametrize("raw", [NEWS + NOW, MEMBER, NOW + WAIT + NOW], ids=["short", "facts", "mixed"])
async def test_wherever_it_is_cut_it_is_answered_the_same(raw: bytes) -> None:
    codes = [200] * raw.count(b"POST")
    whole = await fed(Site(), "httptools", [(raw, codes)])
    for at in range(1, len(raw)):
        parts = await fed(Site(), Swift, [(raw, codes)], lambda raw, at=at: [raw[:at], raw[at:]])  # type: ignore[misc]
        assert (parts.data, parts.requests, parts.outcomes) == (whole.data, whole.requests, whole.outcomes), at


@pytest.mark.parametrize(
    ("raw", "outcome", "answer"),
    [
        (NEWS, "allowed", {"result": {"info": {"topic": "1"}}}),
        (post("/subscribe", body(channel="none:1")), "refused", {"error": {"code": 102, "message": "unknown channel", "temporary": False}}),
        (NOW, "allowed", {"result": {"data": {"a": 1}}}),
        (post("/now", b'{"no":1}'), "refused", {"error": {"code": 103, "message": "no", "temporary": False}}),
        (post("/now", b"[]"), "malformed", {"error": {"code": "malformed", "message": "the body must be a JSON object"}}),
        (post("/now", secrets=[]), "unauthorized", None),
        (post("/renew", b'{"odd":1}'), "undecided", {"result": {"expired": True}}),
    ],
)
async def test_what_is_answered_the_short_way_is_counted(raw: bytes, outcome: str, answer: object) -> None:
    heard = await fed(Site(), Swift, [(raw, [200])])
    assert json.loads(heard.data.partition(b"\r\n\r\n")[2] or "null") == answer
    assert ([each for _, each in heard.outcomes], heard.ordinary) == ([outcome], 0)


async def test_bodies_beyond_the_bound_go_the_ordinary_way() -> None:
    for size, ordinary in ((LONGEST, 0), (LONGEST + 1, 1)):
        talk = short(post("/now", b'{"no":"%s"}' % (b"x" * (size - 9))))
        same([await fed(Site(most=1 << 20), way, talk.steps) for way in WAYS], Case(steps=talk.steps, ordinary=ordinary))


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (NOW, LATER),
        (SLOW, LATER),
        (post("/renew", b'{"live":1}'), {"result": {"expire_at": 1_800_000_000}}),
        (post("/refresh"), {"result": {"expired": True}}),
    ],
)
async def test_above_the_limit_both_ways_put_off(raw: bytes, answer: object) -> None:
    both = [await fed(Site(flights=0), way, [(raw, [200])]) for way in WAYS]
    assert json.loads(both[0].data.partition(b"\r\n\r\n")[2]) == answer
    assert (both[0].data, both[0].outcomes) == (both[1].data, both[1].outcomes)
    assert [outcome for _, outcome in both[0].outcomes] == ["overload"]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    await scene.end()


def closes_after(scene: Scene, seconds: float) -> None:
    scene.clock.forward(seconds - 0.5)
    assert not scene.line.closed
    scene.clock.forward(0.5)
    assert scene.line.closed


async def test_a_connection_that_says_nothing_is_closed(scene: Scene) -> None:
    closes_after(scene, KEEP_ALIVE_S)


@pytest.mark.parametrize("raw", [NOW, SLOW, WAIT, post("/none")], ids=["short", "slow", "waiting", "unknown"])
async def test_a_connection_rests_from_its_last_answer(scene: Scene, raw: bytes) -> None:
    for _ in range(3):
        scene.clock.forward(KEEP_ALIVE_S - 10)
        await scene.say(raw)
    closes_after(scene, KEEP_ALIVE_S)


async def test_a_connection_has_one_timer_for_all_short_answers(scene: Scene) -> None:
    for _ in range(9):
        await scene.say(NOW)
        assert len(scene.clock.due) == 1


async def test_a_connection_is_not_looked_at_more_than_once_a_second(scene: Scene) -> None:
    scene.clock.forward(0.25)
    await scene.say(NOW)
    closes_after(scene, KEEP_ALIVE_S + 0.75)


async def test_a_hook_that_is_read_for_long_is_answered(scene: Scene) -> None:
    scene.serving.data_received(NOW[:-1])
    scene.clock.forward(5 * KEEP_ALIVE_S)
    await scene.say(NOW[-1:])
    scene.clock.forward(KEEP_ALIVE_S - 1)
    assert not scene.line.closed
    scene.clock.forward(1)
    assert scene.line.closed


async def test_a_head_that_has_begun_may_go_on_for_as_long_as_a_rest(scene: Scene) -> None:
    scene.clock.forward(KEEP_ALIVE_S - 1)
    scene.serving.data_received(NOW[:20])
    closes_after(scene, KEEP_ALIVE_S)


async def test_a_hook_that_waits_for_long_is_answered(scene: Scene) -> None:
    await scene.hold()
    scene.clock.forward(5.5 * KEEP_ALIVE_S)
    assert not scene.line.closed
    await scene.release()
    assert statuses(scene.line.written) == [200]
    closes_after(scene, KEEP_ALIVE_S)


async def test_a_short_one_waits_for_the_one_before(scene: Scene) -> None:
    await scene.hold()
    scene.serving.data_received(NOW)
    assert not scene.line.written
    await scene.release()
    await scene.line.heard(2)
    assert scene.line.written.index(b"wait") < scene.line.written.index(b'"a"')


async def test_hooks_in_work_elsewhere_count() -> None:
    scene = Scene(flights=1)
    await scene.hold()
    other = Line()
    neighbour = scene.connect(other)
    neighbour.data_received(NOW)
    assert json.loads(other.written.partition(b"\r\n\r\n")[2]) == LATER
    assert scene.site.ordinary == ["/now"]
    neighbour.connection_lost(None)
    await scene.end()


async def test_who_does_not_read_is_waited_for_the_ordinary_way(scene: Scene) -> None:
    scene.serving.pause_writing()
    scene.serving.data_received(NOW)
    async with asyncio.timeout(PATIENCE_S):
        await scene.site.echo.entered.wait()
    assert (scene.site.ordinary, scene.line.written, scene.serving.flow.write_paused) == (["/now"], b"", True)
    scene.serving.resume_writing()
    assert await scene.line.heard(1) == [200]


async def test_who_leaves_is_not_answered(scene: Scene) -> None:
    scene.serving.data_received(CHUNKED[:-5])
    scene.serving.connection_lost(ConnectionResetError())
    await scene.release()
    assert (scene.site.ordinary, scene.site.flight.count, scene.line.written) == (["/now"], 0, b"")
    assert scene.site.outcomes == {}


async def test_nothing_is_written_to_what_is_closing(scene: Scene) -> None:
    scene.line.close()
    scene.serving.data_received(NOW)
    assert (scene.line.written, scene.state.total_requests, scene.site.ordinary) == (b"", 1, [])


async def test_headers_of_the_server_come_first(scene: Scene) -> None:
    scene.state.default_headers = [(b"server", b"x")]
    await scene.say(NOW)
    await scene.say(SLOW)
    assert scene.line.written.count(b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-type: application/json\r\n") == 2


@pytest.mark.parametrize(("app", "limit"), [(Site(), 9), (rest, None)], ids=["limited", "without hooks"])
async def test_without_need_everything_goes_the_ordinary_way(app: ASGIApp, limit: int | None) -> None:
    state, line = ServerState(), Line()
    serving = protocol(app, Swift, state, limit=limit)
    serving.connection_made(line)
    serving.data_received(NOW)
    assert (len(state.tasks), line.written) == (1, b"")
    assert await line.heard(1) == [200 if limit else 404]
    serving.connection_lost(None)


async def test_a_stop_waits_for_what_is_in_work(scene: Scene) -> None:
    await scene.hold()
    scene.serving.shutdown()
    assert not scene.line.closed
    await scene.release()
    assert statuses(scene.line.written) == [200]
    assert b"connection: close" in scene.line.written
    assert scene.line.closed


def test_a_stop_closes_what_is_read_by_half() -> None:
    async def main() -> bytes:
        started, sockets = asyncio.Event(), listen("127.0.0.1", 0)
        task = asyncio.create_task(run(Site(), sockets, started.set))
        await started.wait()
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
        async with asyncio.timeout(PATIENCE_S):
            writer.write(NOW + NOW[:-3])
            await reader.readuntil(b"}}}")
            task.cancel()
            left = await reader.read()
            writer.close()
            await asyncio.wait([task])
        return left

    assert uvloop.run(main()) == b""
