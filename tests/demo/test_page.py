import asyncio
import json
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import jwt
import pytest
from starlette.applications import Starlette

from proxy.demo import data
from proxy.demo.application import Application
from proxy.demo.backend import Backend
from proxy.demo.identity import Provider
from proxy.demo.page import Page
from tests.demo.test_data import rows

JSON = {"Content-Type": "application/json"}
BEN = """select suspended, role from accounts left join doc_members on user_id = id and doc_id = '7' where id = '43'"""
BEFORE = [(0, "editor")]


class Gateway(BaseHTTPRequestHandler):
    """Answers the gateway's calls with what `reply` says, and keeps them."""

    reply: tuple[int, object] = (200, {"result": {}})
    got: list[tuple[str, str | None, object]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.got.append((self.path, self.headers["X-API-Key"], body))
        status, value = self.reply
        answer = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
async def gateway() -> AsyncIterator[type[Gateway]]:
    handler = type("Own", (Gateway,), {"got": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.port = server.server_address[1]  # type: ignore[attr-defined]  # for the page
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield handler
        await asyncio.to_thread(server.shutdown)
        thread.join()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    data.write(tmp_path / "demo.db")
    return tmp_path / "demo.db"


@pytest.fixture
async def visit(
    gateway: type[Gateway], provider: Provider, database: Path, tmp_path: Path
) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    url = f"http://127.0.0.1:{gateway.port}"  # type: ignore[attr-defined]  # see above
    orders, application = Backend(url, "key"), Application(Backend(url, "application-key"), database)
    library = tmp_path / "centrifuge.js"
    library.write_text("// the client")
    clients: list[httpx.AsyncClient] = []

    def make(file: Path = library) -> httpx.AsyncClient:
        page = Page(provider=provider, orders=orders, application=application, centrifugo=8123, library=file)
        app = Starlette(routes=page.routes())
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8010"))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()
    await orders.close()
    await application.close()


Visit = Callable[..., httpx.AsyncClient]


async def test_the_page_and_its_parts_are_served_under_a_strict_content_policy(visit: Visit) -> None:
    http = visit()
    for path, kind in {
        "/demo": "text/html",
        "/demo/app.js": "javascript",
        "/demo/style.css": "text/css",
        "/demo/centrifuge.js": "java",
    }.items():
        reply = await http.get(path)
        assert reply.status_code == 200
        assert kind in reply.headers["content-type"]
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "connect-src 'self' ws://127.0.0.1:8123 http://127.0.0.1:8123 ws://localhost:8123 http://localhost:8123;" in policy


async def test_nothing_on_the_page_comes_from_elsewhere_or_stands_inline(visit: Visit) -> None:
    page = (await visit().get("/demo")).text
    assert "//" not in page
    assert "<style" not in page
    assert page.count("<script") == page.count("<script src=") == 2


async def test_without_the_client_library_the_page_says_what_to_do(visit: Visit, tmp_path: Path) -> None:
    reply = await visit(tmp_path / "missing.js").get("/demo")
    assert (reply.status_code, "make install" in reply.text) == (503, True)
    assert (await visit(tmp_path / "missing.js").get("/demo/centrifuge.js")).status_code == 404


@pytest.mark.parametrize("name", ["index.html", "..%2Fpage.py", "app.jsx"])
async def test_no_other_file_is_served(visit: Visit, name: str) -> None:
    assert (await visit().get(f"/demo/{name}")).status_code == 404


async def test_the_page_learns_where_centrifugo_is_and_who_there_is(visit: Visit) -> None:
    found = (await visit().get("/demo/settings")).json()
    assert found["centrifugo"] == 8123
    assert found["people"][0] == {"id": "42", "name": "Ann", "part": "owns the document"}
    assert found["document"] == {"id": "7", "title": "Launch plan"}
    assert (found["changed"], found["changes"]) == ("43", ["remove", "add", "suspend", "reinstate"])


async def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(visit: Visit, provider: Provider) -> None:
    reply = await visit().post("/demo/login", json={"user": "43"})
    assert reply.status_code == 204
    token = reply.cookies["centrigate_demo"]
    assert jwt.decode(token, provider.key, ["ES256"], audience="realtime")["sub"] == "43"
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(reply.headers["set-cookie"].split("; "))


@pytest.mark.parametrize("path", ["/demo/login", "/demo/order", "/demo/remove", "/demo/add", "/demo/suspend", "/demo/reinstate"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"user": "99"}', JSON),
        (b'{"user": 42}', JSON),
        (b'{"user": ["42"]}', JSON),
        (b'["42"]', JSON),
        (b"{", JSON),
        (b"", JSON),
        (b'{"user": "42", "x": "' + b"x" * 256 + b'"}', JSON),
        (b'{"user": "42"}', {"Content-Type": "text/plain"}),
        (b'{"user": "42"}', {}),
    ],
)
async def test_what_names_nobody_is_refused(
    visit: Visit, gateway: type[Gateway], database: Path, path: str, body: bytes, headers: dict[str, str]
) -> None:
    reply = await visit().post(path, content=body, headers=headers)
    assert reply.status_code == 400
    assert "set-cookie" not in reply.headers
    assert gateway.got == []
    assert rows(database, BEN) == BEFORE


async def test_an_order_is_told_to_its_user_through_the_gateway_with_the_key(visit: Visit, gateway: type[Gateway]) -> None:
    assert (await visit().post("/demo/order", json={"user": "43"})).status_code == 204
    data = {"type": "order_shipped", "orderId": "12345", "message": "Order 12345 is on its way"}
    assert gateway.got == [("/api/publish", "key", {"channel": "notifications#43", "data": data})]


@pytest.mark.parametrize("answer", [(401, None), (200, {"error": {"code": 103, "message": "permission denied"}})])
async def test_an_order_that_the_gateway_refuses_is_reported(visit: Visit, gateway: type[Gateway], answer: tuple[int, object]) -> None:
    gateway.reply = answer
    assert (await visit().post("/demo/order", json={"user": "43"})).status_code == 502


@pytest.mark.parametrize(
    ("change", "topic", "after"),
    [
        ("remove", "doc:7", [(0, None)]),
        ("add", "doc:7", BEFORE),
        ("suspend", "account:43", [(1, "editor")]),
        ("reinstate", "account:43", BEFORE),
    ],
)
async def test_what_ben_may_is_changed_in_the_data_and_the_service_is_told(
    visit: Visit, gateway: type[Gateway], database: Path, change: str, topic: str, after: list[tuple[object, ...]]
) -> None:
    if after == BEFORE:
        data.remove(database, data.BEN)
        data.suspend(database, data.BEN, suspended=True)
        data.add(database, data.BEN) if change == "reinstate" else data.suspend(database, data.BEN, suspended=False)
    assert (await visit().post(f"/demo/{change}", json={"user": "43"})).status_code == 204
    assert rows(database, BEN) == after
    assert gateway.got == [("/api/invalidate", "application-key", {"topics": [topic]})]


@pytest.mark.parametrize("answer", [(401, None), (200, {"error": {"code": 103, "message": "permission denied"}})])
async def test_a_change_that_the_service_was_not_told_of_is_reported(
    visit: Visit, gateway: type[Gateway], answer: tuple[int, object]
) -> None:
    gateway.reply = answer
    assert (await visit().post("/demo/remove", json={"user": "43"})).status_code == 502
