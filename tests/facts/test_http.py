import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.errors import Away, FactFault
from proxy.facts.http import Resource, picked, steps
from proxy.facts.lane import FAILURES, WIDTH
from proxy.policy import declared
from proxy.policy.declared import HttpSource, Variable
from proxy.policy.types import ANY, BOOL, INT, STRING, Type
from proxy.stores.remote import Remote
from tests.facts.scene import declare


class Site:
    """An HTTP application: what it was asked for as it came over the wire, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.body = b"{}"
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.asked.append(head.split("\r\n")[0].removeprefix("GET ").removesuffix(" HTTP/1.1"))
                writer.write(b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n%s" % (self.status, len(self.body), self.body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with await asyncio.start_server(site.serve, "127.0.0.1", 0) as server:
        site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield site


@pytest.fixture
async def remote(site: Site) -> AsyncIterator[Remote]:
    remote = Remote(declared.Remote(name="app", base=Variable(name="APP"), headers=(), timeout_ms=5000), {"APP": f"{site.url}/in"})
    yield remote
    await remote.close()


def resource(remote: Remote, path: str, pick: str | None = None, takes: Mapping[str, Type] | None = None) -> Resource:
    source = HttpSource(remote="app", path=path, pick=pick)
    return Resource(declare(ANY, takes), source, remote, asyncio.Semaphore(WIDTH))


async def test_a_reply_is_the_value(site: Site, remote: Remote) -> None:
    site.body = b'{"roles": ["member"], "n": 1}'
    assert await resource(remote, "/users/{uid}")(("42",)) == {"roles": ["member"], "n": 1}
    assert site.asked == ["/in/users/42"]


async def test_a_part_of_the_reply_is_picked(site: Site, remote: Remote) -> None:
    site.body = b'{"a/b": [0, {"~": null}]}'
    assert await resource(remote, "/{uid}", "/a~1b/0")(("42",)) == 0
    assert await resource(remote, "/{uid}", "/a~1b/1/~0")(("42",)) is None
    with pytest.raises(FactFault, match="the reply does not have what is picked"):
        await resource(remote, "/{uid}", "/b")(("42",))


async def test_what_is_not_there_is_nothing(site: Site, remote: Remote) -> None:
    site.status = 404
    assert await resource(remote, "/{uid}", "/a")(("42",)) is None


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 403, 410, 500])
async def test_another_status_is_a_failure_of_this_key(site: Site, remote: Remote, status: int) -> None:
    site.status, site.body = status, b""
    asked = resource(remote, "/{uid}")
    for _ in range(2 * FAILURES):
        with pytest.raises(FactFault, match=f"^http app: status {status}$") as caught:
            await asked(("42",))
        assert not isinstance(caught.value, Away)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_an_application_that_says_it_is_away_is_asked_no_more_for_a_while(site: Site, remote: Remote, status: int) -> None:
    site.status = status
    asked = resource(remote, "/{uid}")
    for _ in range(FAILURES):
        with pytest.raises(Away, match=f"^http app: status {status}$"):
            await asked(("42",))
    with pytest.raises(Away, match="out of order"):
        await asked(("66",))
    assert len(site.asked) == FAILURES


async def test_no_answer_is_away(site: Site) -> None:
    remote = Remote(declared.Remote(name="app", base=Variable(name="APP"), headers=(), timeout_ms=5000), {"APP": "http://127.0.0.1:1"})
    asked = resource(remote, "/{uid}")
    with pytest.raises(Away, match="http app: no answer"):
        await asked(("42",))
    with pytest.raises(FactFault, match="http app: no answer"):
        await asked.probe()
    await remote.close()
    assert not site.asked


async def test_a_probe_asks_the_application_itself(site: Site, remote: Remote) -> None:
    site.status = 404
    await resource(remote, "/{uid}").probe()
    assert site.asked == ["/in"]


@pytest.mark.parametrize(("argument", "path"), [
    ("a b", "/in/x/a%20b/y?z=a%20b"),
    ("a/b", "/in/x/a%2Fb/y?z=a%2Fb"),
    ("a?b#c&d=e", "/in/x/a%3Fb%23c%26d%3De/y?z=a%3Fb%23c%26d%3De"),
    ("%2e%2e%2f", "/in/x/%252e%252e%252f/y?z=%252e%252e%252f"),
    ("...", "/in/x/.../y?z=..."),
    ("ü€😀", "/in/x/%C3%BC%E2%82%AC%F0%9F%98%80/y?z=%C3%BC%E2%82%AC%F0%9F%98%80"),
    ("{uid};@:\\", "/in/x/%7Buid%7D%3B%40%3A%5C/y?z=%7Buid%7D%3B%40%3A%5C"),
])  # fmt: skip
async def test_an_argument_stays_in_its_segment(site: Site, remote: Remote, argument: str, path: str) -> None:
    await resource(remote, "/x/{uid}/y?z={uid}")((argument,))
    assert site.asked == [path]


@pytest.mark.parametrize(
    "argument", ["", ".", "..", "../admin", "a/../b", "a/..", "..\\b", "./a", "a\nb", "a\0", "\x7f", "\x85", "a\r\nX: y"]
)
async def test_an_argument_that_leads_elsewhere_is_asked_for_nowhere(site: Site, remote: Remote, argument: str) -> None:
    with pytest.raises(FactFault, match=r"^an argument cannot stand in a path$") as caught:
        await resource(remote, "/x/{uid}")((argument,))
    assert not isinstance(caught.value, Away)
    assert site.asked == []


@pytest.mark.parametrize(("path", "arguments"), [("/x/.{a}{b}", ("a", "b")), ("/x/{a}{b}", ("a", "."))])
async def test_arguments_stand_for_themselves_together_too(site: Site, remote: Remote, path: str, arguments: tuple[str, str]) -> None:
    if "." in arguments:
        with pytest.raises(FactFault, match=r"^an argument cannot stand in a path$"):
            await resource(remote, path, takes={"a": STRING, "b": STRING})(arguments)
    else:
        await resource(remote, path, takes={"a": STRING, "b": STRING})(arguments)
        assert site.asked == ["/in/x/.ab"]


async def test_numbers_and_truths_are_written_as_in_json(site: Site, remote: Remote) -> None:
    await resource(remote, "/{n}/{b}", takes={"n": INT, "b": BOOL})((-5, True))
    assert site.asked == ["/in/-5/true"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(argument=st.text(st.characters(codec="utf-8"), max_size=20) | st.text("./\\%?#ab\0", max_size=8))
async def test_whatever_the_argument_is_its_segment_holds_it_and_nothing_else(site: Site, remote: Remote, argument: str) -> None:
    site.asked.clear()
    try:
        await resource(remote, "/x/{uid}/y")((argument,))
    except FactFault:
        assert site.asked == []
        return
    (path,) = site.asked
    first, second, *middle, last = path.removeprefix("/").split("/")
    assert (first, second, last, len(middle)) == ("in", "x", "y", 1)
    assert unquote(middle[0]) == argument
    assert not set("?# ") & set(path)


@pytest.mark.parametrize(("pointer", "found"), [
    ("", {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, " ": 7, "~1": 9}),
    ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/m~0n", 8), ("/ ", 7), ("/~01", 9),
])  # fmt: skip
def test_a_pointer_picks_as_rfc_6901_says(pointer: str, found: object) -> None:
    document = json.loads('{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, " ": 7, "~1": 9}')
    assert picked(document, steps(pointer)) == found


@pytest.mark.parametrize("pointer", ["/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/01", "/foo/1.0", "/foo/x", "/none", "/foo/0/0"])
def test_a_pointer_to_nothing_is_a_fault(pointer: str) -> None:
    with pytest.raises(FactFault):
        picked({"foo": ["bar", "baz"]}, steps(pointer))
