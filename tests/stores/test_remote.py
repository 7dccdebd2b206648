import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.errors import FactFault, SetupFault
from proxy.policy import declared
from proxy.policy.declared import Variable
from proxy.stores.remote import MAX_BYTES, Remote
from tests.identity.site import Site, says, site

TOKEN = Variable(name="APP_TOKEN")


def remote(base: str, *headers: tuple[str, Variable], timeout_ms: int = 5000, **variables: str) -> Remote:
    made = declared.Remote(name="app", base=Variable(name="APP_URL"), headers=headers, timeout_ms=timeout_ms)
    return Remote(made, {"APP_URL": base, "APP_TOKEN": "t0ken", **variables})


@asynccontextmanager
async def asking(path: str = "", *headers: tuple[str, Variable], timeout_ms: int = 5000) -> AsyncIterator[tuple[Site, Remote]]:
    async with site() as app:
        made = remote(app.url + path, *headers, timeout_ms=timeout_ms)
        try:
            yield app, made
        finally:
            await made.close()


async def test_a_reply_is_its_status_and_its_value() -> None:
    async with asking("/base/") as (app, made):
        app.answer = says({"a": [1]})
        assert await made.get("/x/y%2Fz?q=%20") == (200, {"a": [1]})
        path, headers = app.asked.get_nowait()
    assert path == "/base/x/y%2Fz?q=%20"
    assert (headers["accept"], headers["accept-encoding"], headers["user-agent"]) == ("application/json", "identity", "centrigate")


async def test_the_declared_headers_stand_above_those_of_a_call() -> None:
    async with asking("", ("Authorization", TOKEN)) as (app, made):
        await made.get("/", {"authorization": "stranger", "cookie": "a=é"})
        _, headers = app.asked.get_nowait()
    assert (headers["authorization"], headers["cookie"]) == ("t0ken", "a=é")


@pytest.mark.parametrize("status", [204, 301, 302, 401, 403, 404, 500, 503])
async def test_other_statuses_have_no_value_and_no_redirect_is_followed(status: int) -> None:
    async with asking() as (app, made):
        app.answer = says({"a": 1}, status, head=f"Location: {app.url}/other\r\n")
        assert await made.get("/x") == (status, None)
        assert app.count == 1


async def test_no_cookie_of_a_reply_is_sent_with_the_next_request() -> None:
    async with asking() as (app, made):
        app.answer = says({}, head="Set-Cookie: session=stolen; Path=/\r\n")
        for _ in range(2):
            await made.get("/")
            assert "cookie" not in app.asked.get_nowait()[1]
        assert app.connections == 1


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with asking() as (_, made):
        assert await made.get("/") == (200, {})


@pytest.mark.parametrize("body", [
    b"", b"<html>", b'{"a":1,"a":2}', b'{"a":18446744073709551616}', b"{} {}", b"[" * 300 + b"]" * 300, b"\xff",
    gzip.compress(b"{}", mtime=0),
])  # fmt: skip
async def test_a_reply_that_is_not_json_with_one_reading_is_a_fault(body: bytes) -> None:
    async with asking() as (app, made):
        app.answer = says(body=body)
        with pytest.raises(FactFault, match="http app: the reply"):
            await made.get("/")


async def test_a_reply_that_is_too_long_is_a_fault_whatever_its_status() -> None:
    async with asking() as (app, made):
        app.answer = says(body=b" " * (MAX_BYTES - 2) + b"{}")
        assert await made.get("/") == (200, {})
        for status in (200, 404):
            app.answer = says(body=b" " * (MAX_BYTES - 1) + b"{}", status=status)
            with pytest.raises(FactFault, match="longer than 262144 bytes"):
                await made.get("/")


async def test_an_application_that_is_slow_is_a_fault() -> None:
    async with asking(timeout_ms=20) as (app, made):
        app.open.clear()
        with pytest.raises(FactFault, match=r"^http app: no answer within 0.02 s$"):
            await made.get("/")


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
async def test_a_broken_answer_is_a_fault(answer: bytes) -> None:
    async with asking(timeout_ms=200) as (app, made):
        app.answer = answer
        with pytest.raises(FactFault, match="http app: no answer"):
            await made.get("/")


async def test_an_application_that_is_away_is_a_fault_that_names_no_path() -> None:
    async with site() as app:
        made = remote(app.url)
    with pytest.raises(FactFault, match=r"^http app: no answer \(ConnectError\)$"):
        await made.get("/secret")
    with pytest.raises(FactFault):
        await made.reach()
    await made.close()


@pytest.mark.parametrize("path", ["", "x", "@other.example", "/../x", "/x/..", "/./x", "/x/.?q"])
async def test_a_path_that_would_lead_elsewhere_is_not_asked(path: str) -> None:
    async with asking() as (app, made):
        with pytest.raises(FactFault, match="would lead elsewhere"):
            await made.get(path)
        assert app.count == 0


async def test_a_reply_to_what_an_application_is_told_is_its_value() -> None:
    async with asking("/base", ("Authorization", TOKEN)) as (app, made):
        app.answer = says({"renamed": True})
        assert await made.post("/rpc/rename", {"user": "42", "data": {"title": "é"}}) == {"renamed": True}
        path, headers = app.asked.get_nowait()
    assert (path, headers["content-type"], headers["authorization"]) == ("/base/rpc/rename", "application/json", "t0ken")
    assert app.bodies == ['{"user":"42","data":{"title":"é"}}'.encode()]


@pytest.mark.parametrize("status", [201, 204, 302, 400, 500])
async def test_another_status_than_200_is_a_fault_for_what_an_application_is_told(status: int) -> None:
    async with asking() as (app, made):
        app.answer = says({"a": 1}, status)
        with pytest.raises(FactFault, match=f"status {status}"):
            await made.post("/x", {})


async def test_what_is_no_json_is_not_told() -> None:
    async with asking() as (app, made):
        for value in ("\ud800", {"a": object()}):
            with pytest.raises(FactFault, match="not JSON"):
                await made.post("/x", value)
        with pytest.raises(FactFault, match="lead elsewhere"):
            await made.post("/../x", {})
        assert app.count == 0


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "\x00", "€"])
async def test_a_header_that_cannot_be_sent_is_a_fault(value: str) -> None:
    async with asking() as (app, made):
        with pytest.raises(FactFault):
            await made.get("/", {"cookie": value})
        assert app.count == 0


async def test_above_the_bound_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.stores.remote.MAX_CONNECTIONS", 2)
    monkeypatch.setattr("proxy.stores.remote.MAX_IN_FLIGHT", 5)
    async with asking() as (app, made):
        app.open.clear()
        waiting = [asyncio.create_task(made.get("/")) for _ in range(5)]
        for _ in range(2):
            await app.asked.get()
        with pytest.raises(FactFault, match="5 requests are in flight already"):
            await made.get("/")
        app.open.set()
        assert await asyncio.gather(*waiting) == [(200, {})] * 5
        assert await made.get("/") == (200, {})
        assert app.connections <= 2


async def test_an_application_that_answers_anything_is_reached() -> None:
    async with asking("/base") as (app, made):
        app.answer = says(body=b"no", status=404)
        await made.reach()
        assert app.asked.get_nowait()[0] == "/base"


@pytest.mark.parametrize("base", [
    "ftp://app.example", "app.example", "http://", "http://u:p@app.example", "http://app.example/?a=b", "http://app.example/#x",
    "http://[", "http://a:x", "http://a b/",
])  # fmt: skip
def test_a_base_that_is_no_address_stops_the_start_and_is_not_repeated(base: str) -> None:
    with pytest.raises(SetupFault, match=r"^APP_URL must be an address such as") as caught:
        remote(base)
    assert f"{base}," not in str(caught.value)


def test_what_is_missing_stops_the_start() -> None:
    with pytest.raises(SetupFault, match="the policy's http app needs the environment variable APP_URL"):
        remote("")
    with pytest.raises(SetupFault, match="the policy's http app needs the environment variable APP_TOKEN"):
        remote("http://app.example", ("x-token", TOKEN), APP_TOKEN="")


@pytest.mark.parametrize("value", ["a\nb", "é"])
def test_a_header_that_cannot_travel_stops_the_start(value: str) -> None:
    with pytest.raises(SetupFault, match=r"^APP_TOKEN travels in a header"):
        remote("http://app.example", ("x-token", TOKEN), APP_TOKEN=value)


async def test_defaults_stand_in_for_missing_variables() -> None:
    async with site() as app:
        base, token = Variable(name="A", default=app.url), Variable(name="B", default="d")
        made = Remote(declared.Remote(name="app", base=base, headers=(("x-token", token),), timeout_ms=5000), {})
        assert await made.get("/") == (200, {})
        assert app.asked.get_nowait()[1]["x-token"] == "d"
        await made.close()
