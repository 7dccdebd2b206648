"""The command `explain`: by fixtures, from the decision log, and by a running service."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvloop
from typer.testing import Result

from proxy.cli.explain import explain
from proxy.policy.decision import Allow, Deny, FactKey, Known, Request
from proxy.policy.load import load
from proxy.review.journal import Veil, line
from proxy.review.replay import LONGEST
from tests.cli.test_seams import run
from tests.gateway.pair import ALL_KEY, ORDERS_KEY, service

POLICY = """language 1;
fact level(uid: string) -> int { python "tests.cli.test_explain:level"; timeout 5s; cache 1h; }
fact friend(uid: string) -> string? { python "tests.cli.test_explain:friend"; timeout 5s; }
deny banned when user == "66";
connect { allow when transport == "websocket" && client == "client"; }
channel "x:{y}" {
  allow subscribe when level(user) > 1 || friend(user) != null expire 5m;
  allow publish when data.n > 1 && timestamp_ms >= 0;
}
rpc "ping" { allow; answer = user; }
service all { key env ALL_KEY; allow explain, block_user; allow publish on "x:{y}" when timestamp_ms >= 0; }
service orders { key env ORDERS_KEY; allow publish on "x:{y}"; }
log { mask data.n; }
"""
FIXTURES = 'language 1;\nfixture level("1") = 2;\nfixture level("2") = 0;\n'
NOW = 1_700_000_000_000
PLAIN = """user "1" subscribe x:7
allow by x:{y}/subscribe/1 (a.policy:7)
  expire_ms 300000
pattern x:{y}  y = "7"
deny deny/banned  a.policy:4  does not hold
  user == "66"  false
    user  "1"
allow x:{y}/subscribe/1  a.policy:7  allows
  level(user) > 1 || friend(user) != null  true
    level(user) > 1  true
      level(user)  2
        user  "1"
"""


def level(uid: str) -> int:
    return len(uid) + 2


def friend(uid: str) -> str | None:
    return uid or None


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a policy, and a key of each service in the environment."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.policy").write_text(POLICY)
    (tmp_path / "policies" / "a.test.policy").write_text(FIXTURES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_KEY", ALL_KEY)
    monkeypatch.setenv("ORDERS_KEY", ORDERS_KEY)
    return tmp_path


def told(*arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - decoded JSON
    result = run(explain, "--json", *arguments)
    assert (result.exit_code, result.stderr) == (code, "")
    return json.loads(result.stdout)


def refused(*arguments: str) -> str:
    result = run(explain, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    return result.stderr


SUBSCRIBE = ("--user", "1", "--op", "subscribe", "x:7")


def test_an_allowed_decision_is_explained_by_fixtures() -> None:
    result = run(explain, *SUBSCRIBE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == PLAIN + 'fact level("1") = 2  (fixture)\n'


def test_a_refusal_is_exit_code_1() -> None:
    result = run(explain, "--user", "66", "--op", "subscribe", "x:7")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1] == "deny because banned by deny/banned (a.policy:4)"


def test_an_unknown_user_channel_method_or_service_is_a_refusal() -> None:
    found = told("--user", "9", "--op", "subscribe", "x:7", code=1)
    assert found["decision"]["reason"] == "fact_error"
    assert [(fact["fact"], fact["error"], fact["source"]) for fact in found["facts"]] == [
        ('level("9")', "there is no fixture", "no fixture"),
    ]
    assert told("--user", "1", "--op", "subscribe", "nothing", code=1)["decision"]["reason"] == "no_channel"
    assert told("--user", "1", "--op", "rpc", "nothing", code=1)["decision"]["reason"] == "no_method"
    assert told("--service", "nobody", "--op", "publish", "x:7", code=1)["decision"]["reason"] == "no_identity"
    assert told("--service", "all", "--op", "nothing", "x:7", code=1)["decision"]["reason"] == "no_rule"
    assert told("--user", "\udcff", "--op", "publish", "x:\udcff", code=1)["decision"]["reason"] == "bad_channel"


def test_the_target_is_a_method_for_rpc_and_a_channel_else() -> None:
    found = told("--user", "1", "--op", "rpc", "ping")
    assert (found["request"], found["decision"]["data"]) == ({"op": "rpc", "user": "1", "method": "ping"}, "1")
    found = told("--service", "all", "--op", "publish", "x:7")
    assert found["request"] == {"op": "publish", "service": "all", "channel": "x:7", "method": "publish"}
    assert told("--service", "all", "--op", "rpc", "x:7", code=1)["request"]["channel"] == "x:7"


def test_more_of_the_request_is_given_as_json_and_the_rest_is_as_in_tests() -> None:
    assert told("--user", "1", "--op", "publish", "--request", '{"channel": "x:7", "data": {"n": 2}}')["decision"]["effect"] == "allow"
    assert told("--user", "1", "--op", "publish", "x:7", "--request", '{"data": {"n": 2}, "timestamp_ms": -1}', code=1)
    assert told("--user", "1", "--op", "connect")["decision"]["rule"] == "connect/1"
    assert told("--user", "1", "--op", "connect", "--request", '{"transport": "sse"}', code=1)["decision"]["reason"] == "no_rule"


def test_facts_may_be_stated_and_fixtures_stand_in_another_file(folder: Path) -> None:
    found = told("--user", "2", "--op", "subscribe", "x:7", "--facts", '{"level(\\"2\\")": 5, "level(\\"3\\")": 1}')
    assert [(fact["fact"], fact["value"], fact["source"]) for fact in found["facts"]] == [('level("2")', 5, "stated")]
    assert found["notes"] == ['level("3") was stated but not read']
    (folder / "other").write_text('language 1;\nfixture level("2") = 7;\n')
    assert told("--user", "2", "--op", "subscribe", "x:7", "--fixtures", "other")["facts"][0]["value"] == 7
    assert told(*SUBSCRIBE, "--fixtures", "other", code=1)["decision"]["reason"] == "fact_error"


def test_another_folder_may_be_named(folder: Path) -> None:
    (folder / "policies").rename(folder / "draft")
    assert told("--policies", "draft", *SUBSCRIBE)["decision"]["effect"] == "allow"
    assert "this is no folder" in refused(*SUBSCRIBE)


def test_fixtures_that_cannot_be_used_are_told(folder: Path) -> None:
    (folder / "policies" / "a.test.policy").write_text('language 1;\nfixture levle("1") = 2;\n')
    message = refused(*SUBSCRIBE)
    assert "error unknown-name" in message
    assert "a.test.policy:2:9" in message
    assert message.endswith("the fixtures of policies cannot be used\n")
    assert refused(*SUBSCRIBE, "--fixtures", "policies/a.test.policy").endswith("the fixtures of policies/a.test.policy cannot be used\n")
    (folder / "raw").write_bytes(b"\xff")
    assert "the fixtures of raw cannot be used" in refused(*SUBSCRIBE, "--fixtures", "raw")


WAYS = "facts come from --live, from --log (with --at), or from --fixtures and --facts"
WHO = "say who asks for what: --user or --service, and --op"
LOGGED = "the log has the request: name its line with --at, or say who, --op and channel, but no --request"
MORE = "--request says more, not who asks for what: that is said by --user or --service, and --op"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), WHO),
        (("--user", "1"), WHO),
        (("--op", "subscribe"), WHO),
        (("--user", "1", "--service", "all", "--op", "publish"), WHO),
        (("--live", "--op", "publish"), WHO),
        ((*SUBSCRIBE, "--live", "--log", "x"), WAYS),
        ((*SUBSCRIBE, "--live", "--facts", '{"level(\\"1\\")": 1}'), WAYS),
        ((*SUBSCRIBE, "--log", "x", "--fixtures", "y"), WAYS),
        ((*SUBSCRIBE, "--at", "1"), WAYS),
        (("--log", "x", "--at", "1", "--user", "1"), LOGGED),
        (("--log", "x", "--at", "1", "x:7"), LOGGED),
        (("--log", "x", "--request", "{}  "), LOGGED),
        (("--user", "1", "--op", "nothing"), '"op" must name an operation'),
        (("--user", "1", "--op", "nothing", "--live"), '"op" must name an operation'),
        (("--user", "1", "--op", "subscribe"), '"channel" is missing'),
        (("--user", "1", "--op", "rpc"), '"method" is missing'),
        ((*SUBSCRIBE, "--request", "["), "--request is no JSON: Expecting value: line 1 column 2 (char 1)"),
        ((*SUBSCRIBE, "--request", "[]"), "--request must be a JSON object"),
        ((*SUBSCRIBE, "--request", '{"service": "all"}'), MORE),
        ((*SUBSCRIBE, "--request", '{"headers": 1}'), '"headers" must be a map of strings'),
        ((*SUBSCRIBE, "--facts", "1"), "--facts must be a JSON object"),
        ((*SUBSCRIBE, "--facts", '{"levle(1)": 1}'), 'the policy has no fact "levle" (did you mean "level"?)'),
        (
            (*SUBSCRIBE, "--fixtures", "nowhere"),
            "nowhere cannot be read: No such file or directory; name a file with fixtures, such as a *.test.policy",
        ),
        (("--log", "nowhere"), "nowhere cannot be used: No such file or directory"),
        (
            (*SUBSCRIBE, "--live", "--key", "NO_KEY"),
            "NO_KEY is not set: put the key of a service into it, or name another variable with --key",
        ),
    ],
)
def test_what_cannot_be_explained_is_told_and_nothing_else(arguments: tuple[str, ...], message: str) -> None:
    assert refused(*arguments) == f"{message}\n"


def written(*requests: Request) -> bytes:
    """A decision log, as the service writes it."""
    policy = load({"a.policy": POLICY.encode()}).policy
    assert policy is not None
    facts: dict[FactKey, Known] = {("level", str(user)): Known(value=user, at_ms=NOW - 1200) for user in range(9)}
    veil, lines = Veil(policy.logging, policy.identities), b""
    for request in requests:
        found = policy.decide(request, facts)
        assert isinstance(found, Allow | Deny)
        lines += line(request, found, NOW, veil)
    return lines


def publish(data: object = None, **who: str) -> Request:
    return Request(op="publish", channel="x:7", data=data, timestamp_ms=NOW, **who)  # type: ignore[arg-type]


ONE, THREE = (Request(op="subscribe", user=user, channel="x:7", timestamp_ms=NOW) for user in ("2", "3"))


@pytest.fixture
def log(folder: Path) -> Path:
    lines = written(ONE, publish({"n": 1}, user="2"), publish(service="all", method="publish"), THREE)
    other = b'{"version": 2, "decision": "allow"}\n'
    (folder / "log").write_bytes(lines + other + b"x" * (LONGEST + 1) + b"\n" + b"\xff\n" + written(ONE) + b"half")
    return folder / "log"


def test_a_line_of_the_log_is_explained(log: Path) -> None:
    result = run(explain, "--log", str(log), "--at", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == 'user "2" subscribe x:7'
    assert result.stdout.splitlines()[-2:] == [
        'fact level("2") = 2  (python tests.cli.test_explain:level, 1.2 s old)',
        f"note: line 1 of {log}",
    ]


def test_a_decision_by_what_is_masked_may_have_been_otherwise(log: Path) -> None:
    found = told("--log", str(log), "--at", "2", code=1)
    assert found["notes"][0] == f"line 2 of {log}"
    assert found["notes"][-1] == "data.n is masked, so that it may have been otherwise"


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ((), 8),
        (("--user", "2"), 8),
        (("--op", "publish"), 3),
        (("--user", "2", "--op", "publish", "x:7"), 2),
        (("--service", "all"), 3),
        (("--service", "all", "--op", "publish"), 3),
        (("--user", "3", "--op", "subscribe", "x:7"), 4),
        (("publish",), 3),
    ],
)
def test_without_a_number_it_is_the_last_line_that_fits(log: Path, wanted: tuple[str, ...], number: int) -> None:
    result = run(explain, "--json", "--log", str(log), *wanted)
    assert json.loads(result.stdout)["notes"][0] == f"line {number} of {log}"


def test_a_line_that_is_not_there_or_no_decision_is_told(log: Path) -> None:
    for wanted in (("--at", "10"), ("--user", "9"), ("--user", "2", "x:8"), ("--service", "orders")):
        assert refused("--log", str(log), *wanted) == f"{log} has no such line\n"
    for number in ("5", "6", "7", "9"):
        assert refused("--log", str(log), "--at", number) == "this is no line of the decision log\n"
    assert "--at" in refused("--log", str(log), "--at", "0")


def live(*commands: tuple[str, ...]) -> list[Result]:
    """What a running service answers to each."""

    async def main() -> list[Result]:
        async with service("http://127.0.0.1:1", POLICY.encode()) as url:
            return [await asyncio.to_thread(run, explain, "--live", "--url", f"{url}/", *each) for each in commands]

    return uvloop.run(main())


def test_a_running_service_explains_by_the_facts_that_it_has() -> None:
    allowed, banned, called = live(
        SUBSCRIBE, ("--user", "66", "--op", "subscribe", "x:7"), ("--service", "all", "--op", "publish", "x:7", "--json")
    )
    assert (allowed.exit_code, allowed.stderr) == (0, "")
    lines = allowed.stdout.splitlines()
    assert lines[:2] == ['user "1" subscribe x:7', "allow by x:{y}/subscribe/1 (orders.policy:7)"]
    assert lines[-1].startswith('fact level("1") = 3  (python tests.cli.test_explain:level, ')
    assert lines[-1].endswith(" s old)")
    assert (banned.exit_code, banned.stdout.splitlines()[1]) == (1, "deny because banned by deny/banned (orders.policy:4)")
    assert json.loads(called.stdout)["decision"]["rule"] == "service/all/publish/1"


def test_a_key_that_is_wrong_or_may_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_KEY", "another-key-0123456789")
    forbidden, unknown = live((*SUBSCRIBE, "--key", "ORDERS_KEY"), (*SUBSCRIBE, "--key", "WRONG_KEY"))
    message = "the service of this key may not explain: the policy says so with allow explain\n"
    assert (forbidden.exit_code, forbidden.stdout, forbidden.stderr) == (2, "", message)
    assert (unknown.exit_code, unknown.stdout, unknown.stderr) == (2, "", "the service does not know this key\n")


def test_what_has_two_readings_is_not_explained() -> None:
    (result,) = live(("--user", "1", "--op", "publish", "x:7", "--request", '{"data": 99999999999999999999}'))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("the service answered with status 400: ")


class Stranger(ThreadingHTTPServer):
    """Answers every call with `status` and `answer`."""

    status, answer = 200, b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Stranger

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


NONE = "what answered is no service of this version\n"


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (503, b"temporarily unavailable\n", "the service answered with status 503: temporarily unavailable\n"),
        (404, b"", "the service answered with status 404: \n"),
        (302, b"", "the service answered with status 302: \n"),
        (200, b"<html>", "/api/explain answered what is no explanation\n"),
        (200, b"[" * 100_000, "/api/explain answered what is no explanation\n"),
        (200, b"[]", NONE),
        (200, b"{}", NONE),
        (200, b'{"request": {"op": "connect"}, "decision": {"effect": "allow"}, "detail": "", "pattern": 1}', NONE),
    ],
)
def test_an_answer_that_is_no_explanation_is_told(stranger: Stranger, status: int, answer: bytes, message: str) -> None:
    stranger.status, stranger.answer = status, answer
    said = refused(*SUBSCRIBE, "--live", "--url", f"http://127.0.0.1:{stranger.server_port}")
    assert said.endswith(message)
    assert said.count("\n") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[", "ftp://x"])
def test_a_service_that_cannot_be_asked_is_told(url: str) -> None:
    said = refused(*SUBSCRIBE, "--live", "--url", url)
    assert f"{url}/api/explain could not be asked" in said
    assert ALL_KEY not in said
