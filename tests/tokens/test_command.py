import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from proxy import settings
from proxy.cli import main, token
from proxy.tokens.keys import read
from proxy.tokens.mint import Pen
from tests.tokens.samples import KEY, key, pem

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `token …` in this process; `given` is standard input."""
    for name in settings.names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("HOOK_SECRET", "CENTRIFUGO_API_KEY", "TOKEN_KEY"):
        monkeypatch.setenv(f"CENTRIGATE_{name}", KEY)

    def run(*arguments: str, given: bytes = b"", **variables: str) -> tuple[int, str, str]:
        for name, value in variables.items():
            monkeypatch.setenv(f"CENTRIGATE_{name}", value)
        monkeypatch.setattr(sys, "argv", ["centrigate", "token", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert KEY not in out + err
        code = ended.value.code
        assert isinstance(code, int)
        return code, out, err

    return run


def claims(minted: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(minted.strip(), KEY, ["HS256"])
    assert len(str(found.pop("jti"))) == 24
    life = int(str(found.pop("exp"))) - int(str(found.pop("iat")))
    return {"life": life, **found}


def test_a_connection_token_is_minted_and_it_is_said_that_nobody_was_asked(run: Run) -> None:
    code, out, err = run("mint", "--user", "42")
    assert (code, claims(out)) == (0, {"life": 600, "sub": "42"})
    assert err == "the policy was not asked: whoever holds this token gets what it says\n"


def test_info_and_meta_are_json_and_null_is_left_out(run: Run) -> None:
    _, out, _ = run("mint", "--user", "", "--info", '{"name": "Ä"}', "--meta", "[1]", "--ttl", "2h")
    assert claims(out) == {"life": 7200, "sub": "", "info": {"name": "Ä"}, "meta": [1]}
    _, out, _ = run("mint", "--user", "42", "--info", "null")
    assert claims(out) == {"life": 600, "sub": "42"}


def test_a_subscription_token_is_for_a_channel(run: Run) -> None:
    _, out, _ = run("mint", "--user", "42", "--channel", "chat:doc-7", "--info", "1", SUBSCRIPTION_TOKEN_TTL="30s")
    assert claims(out) == {"life": 30, "sub": "42", "channel": "chat:doc-7", "info": 1}


def test_a_minted_token_comes_as_json_too(run: Run) -> None:
    _, out, _ = run("mint", "--user", "42", "--json")
    found = json.loads(out)
    assert set(found) == {"token", "expires_in"}
    assert claims(found["token"])["life"] == found["expires_in"] == 600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "42", "--ttl", "soon"], "--ttl must be a duration such as 30s, 10m or 24h"),
        (["--user", "42", "--ttl", "0"], "--ttl must be a duration such as 30s, 10m or 24h"),
        (["--user", "42", "--channel", ""], "a subscription token has a channel and no meta"),
        (["--user", "42", "--channel", "a", "--meta", "1"], "a subscription token has a channel and no meta"),
        (["--user", "42", "--info", "{"], "not valid JSON"),
        (["--user", "42", "--info", "\udcff"], "not valid JSON"),
        (["--user", "\udcff"], "--user is not UTF-8 text"),
        (["--user", "42", "--channel", "\udcff"], "--channel is not UTF-8 text"),
        ([], "Missing option '--user'"),
    ],
)
def test_what_cannot_be_minted_is_said(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("mint", *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("command", [("mint", "--user", "42"), ("verify", "x")])
def test_a_key_that_cannot_be_used_is_said(run: Run, command: tuple[str, ...]) -> None:
    code, out, err = run(*command, TOKEN_ALGORITHM="ES256")
    assert (code, out) == (2, "")
    assert err == "CENTRIGATE_TOKEN_KEY is not made for ES256: it signs HS256 or HS384 or HS512\n"


def test_a_token_is_verified_from_standard_input(run: Run) -> None:
    _, minted, _ = run("mint", "--user", "42\n", "--channel", "chat:doc-7")
    code, out, err = run("verify", "-", given=minted.encode())
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == [
        "valid",
        'subscription token of user "42\\n" for channel "chat:doc-7"',
        "signed with CENTRIGATE_TOKEN_KEY",
    ]
    assert [line.split()[0] for line in lines[3:]] == ["exp", "iat", "header", "claims"]
    assert lines[3].startswith("exp       in ")
    assert lines[5] == 'header    {"alg": "HS256", "typ": "JWT"}'
    assert json.loads(lines[6].removeprefix("claims"))["sub"] == "42\n"


def test_a_token_that_is_over_is_not_valid(run: Run) -> None:
    code, out, _ = run("verify", Pen(key("HS256")).write({"sub": "42", "exp": 1_000_000, "expire_at": 0}))
    assert code == 1
    assert out.splitlines()[:3] == ["not valid: it has expired", 'connection token of user "42"', "signed with CENTRIGATE_TOKEN_KEY"]
    assert " ago, 1970-01-12 13:46:40 UTC" in out.splitlines()[3]
    assert out.splitlines()[4] == "expire_at never"


def test_a_token_without_an_end_is_said_to_have_none(run: Run) -> None:
    code, out, _ = run("verify", Pen(key("HS256")).write({"sub": "42", "iat": [1]}))
    assert (code, out.splitlines()[3:5]) == (0, ["exp       never", "iat       [1]"])


def test_what_a_stranger_signed_is_shown_but_not_believed(run: Run) -> None:
    code, out, _ = run("verify", Pen(read("K", "o" * 32)).write({"sub": "42", "nbf": 1e300}))
    assert code == 1
    assert out.splitlines()[:5] == [
        "not valid: no key here has signed it",
        'said to be a connection token of user "42"',
        "signed by nobody known here, so none of this may be true",
        "exp       never",
        "nbf       1e+300",
    ]


def test_the_previous_key_is_known(run: Run) -> None:
    old = Pen(read("K", pem("P-256"))).write({"sub": "42"})
    code, out, _ = run("verify", old, "--json", TOKEN_PREVIOUS_KEY=pem("P-256"))
    found = json.loads(out)
    assert (code, found["valid"], found["key"], found["kind"], found["trouble"]) == (
        0, True, "CENTRIGATE_TOKEN_PREVIOUS_KEY", "connection", None,
    )  # fmt: skip
    assert (found["claims"], found["header"]["alg"]) == ({"sub": "42"}, "ES256")
    _, out, _ = run("mint", "--user", "42")
    assert claims(out)["sub"] == "42"


def test_a_reading_comes_as_json_whatever_it_is(run: Run) -> None:
    code, out, _ = run("verify", Pen(key("HS256")).write({"channel": "a", "exp": 5}), "--json")
    found = json.loads(out)
    assert (code, found["valid"], found["kind"], found["trouble"]) == (1, False, "subscription", "it has expired")
    code, out, _ = run("verify", "-", "--json", given=b"\xff" * 70_000)
    assert (code, json.loads(out)["valid"]) == (1, False)
    code, out, _ = run("verify", "nonsense")
    assert (code, out) == (1, "not valid: this is no token: Not enough segments\n")


def test_the_token_itself_is_not_repeated(run: Run) -> None:
    written = Pen(key("HS256")).write({"sub": "42"})
    for arguments in (["verify", written], ["verify", written, "--json"]):
        assert written not in run(*arguments)[1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (1, "1 s"), (61, "1 min 1 s"), (3600, "1 h"), (3661, "1 h 1 min"), (90_061, "1 d 1 h"), (864_000, "10 d")],
)
def test_a_time_is_said_in_two_units(seconds: int, words: str) -> None:
    assert token.span(seconds) == words


def test_a_moment_is_said_both_ways() -> None:
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    assert token._when(at, at - 61) == "in 1 min 1 s, 2030-01-02 03:04:05 UTC"
    assert token._when(at, at + 61) == "1 min 1 s ago, 2030-01-02 03:04:05 UTC"
