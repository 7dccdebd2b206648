import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.publish import publish

KEY = "orders-key-0123456789"
DATA = '{"type": "order_shipped"}'


class Gateway(ThreadingHTTPServer):
    """Answers every call with `status` and `answer`, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.answer = b'{"result":{"offset":1,"epoch":"xyz"}}'
        self.got: list[tuple[str, str | None, object]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, self.headers["x-api-key"], json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gateway]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_KEY", KEY)
    with Gateway() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(gateway: Gateway, *arguments: str, given: str | bytes | None = None) -> Result:
    app = typer.Typer()
    app.command()(publish)
    return CliRunner().invoke(app, ["--url", gateway.url, *arguments], input=given)


def test_a_publication_is_sent_with_the_key_and_its_result_printed(gateway: Gateway) -> None:
    result = run(gateway, "notifications#42", DATA)
    assert (result.exit_code, result.stdout, result.stderr) == (0, '{"offset":1,"epoch":"xyz"}\n', "")
    assert gateway.got == [("/api/publish", KEY, {"channel": "notifications#42", "data": {"type": "order_shipped"}})]


def test_all_that_can_be_said_of_a_publication_is_sent(gateway: Gateway) -> None:
    options = ["--tag", "a=b=c", "--tag", "d=", "--idempotency-key", "i", "--delivery", "durable"]
    assert run(gateway, *options, "--url", f"{gateway.url}/", "a", "null").exit_code == 0
    tags = {"a": "b=c", "d": ""}
    assert gateway.got == [("/api/publish?delivery=durable", KEY, {"channel": "a", "data": None, "tags": tags, "idempotency_key": "i"})]


def test_the_data_may_come_from_standard_input(gateway: Gateway) -> None:
    assert run(gateway, "a", "-", given='{"n": "\u00e9"}\n').exit_code == 0
    assert gateway.got[0][2] == {"channel": "a", "data": {"n": "\u00e9"}}


def test_another_variable_and_the_first_of_several_keys_can_be_chosen(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_KEY", "new-key, old-key")
    assert run(gateway, "--key", "ORDERS_KEY", "a", "1").exit_code == 0
    assert gateway.got[0][1] == "new-key"


def test_the_key_may_stand_in_the_file(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FILED_KEY=filed-key\n")
    assert run(gateway, "--key", "FILED_KEY", "a", "1").exit_code == 0
    assert gateway.got[0][1] == "filed-key"


def test_a_refusal_is_told_and_fails(gateway: Gateway) -> None:
    gateway.answer = b'{"error":{"code":103,"message":"permission denied"}}'
    result = run(gateway, "a", "1")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error 103: permission denied\n")


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (401, b"", "the service does not know this key\n"),
        (400, b'{"error":{}}', 'the service answered with status 400: {"error":{}}\n'),
        (503, b"temporarily unavailable\n", "the service answered with status 503: temporarily unavailable\n"),
        (302, b"", "the service answered with status 302: \n"),
        (200, b"<html>", "Centrifugo's reply is not a JSON object\n"),
    ],
)
def test_a_call_that_fails_is_told_and_has_a_code_of_its_own(gateway: Gateway, status: int, answer: bytes, told: str) -> None:
    gateway.status, gateway.answer = status, answer
    result = run(gateway, "a", "1")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", told)


@pytest.mark.parametrize(
    "arguments",
    [
        ("a", "{"),
        ("a", '{"n": 1, "n": 2}'),
        ("a", "9223372036854775808"),
        ("", "1"),
        ("--tag", "a", "a", "1"),
        ("--key", "NO_KEY", "a", "1"),
        ("--key", "EMPTY_KEY", "a", "1"),
        ("--key", "HASHED_KEY", "a", "1"),
        ("--key", "FOREIGN_KEY", "a", "1"),
        ("--delivery", "later", "a", "1"),
        ("a",),
    ],
)
def test_what_cannot_be_sent_is_not(gateway: Gateway, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EMPTY", " , x"), ("HASHED", f"sha256:{'0' * 64}"), ("FOREIGN", "\u043a\u043b\u044e\u0447")):
        monkeypatch.setenv(f"{name}_KEY", value)
    result = run(gateway, *arguments)
    assert (result.exit_code, result.stdout, gateway.got) == (2, "", [])
    assert result.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[", "ftp://x"])
def test_a_service_that_cannot_be_asked_is_told(gateway: Gateway, url: str) -> None:
    result = run(gateway, "--url", url, "a", "1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{url}/api/publish could not be asked" in result.stderr
    assert KEY not in result.stderr
