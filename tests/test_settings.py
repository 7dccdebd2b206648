from pathlib import Path

import pytest

from proxy import settings
from proxy.errors import SetupFault

STRONG = "x" * 32
REQUIRED = {f"CENTRIGATE_{name}": STRONG for name in ("HOOK_SECRET", "CENTRIFUGO_API_KEY", "TOKEN_KEY")}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.names():
        monkeypatch.delenv(name, raising=False)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def fault(file: Path) -> str:
    with pytest.raises(SetupFault) as raised:
        settings.read(file)
    return str(raised.value)


def test_secrets_are_all_that_has_to_be_set(file: Path) -> None:
    found = settings.read(file)
    assert (found.host, found.port, found.policies) == ("127.0.0.1", 8010, Path("policies"))
    assert (found.token_ttl, found.subscription_token_ttl, found.refresh_grace) == (600, 60, 120)
    assert (found.max_body, found.max_in_flight, found.explain_to_clients) == (1 << 20, 1024, False)
    assert (found.centrifugo_url, found.origins, found.hook_secret_previous) == ("http://127.0.0.1:8000", (), None)


def test_secrets_mask_themselves(file: Path) -> None:
    assert STRONG not in repr(settings.read(file))


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("CENTRIGATE_PORT=1\nCENTRIGATE_HOST=::1\n")
    monkeypatch.setenv("CENTRIGATE_PORT", "2")
    found = settings.read(file)
    assert (found.host, found.port) == ("::1", 2)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_secret_stops_the_start_and_is_easily_made(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    assert fault(file) == f"{name} is not set: make one with: python -c 'import secrets; print(secrets.token_hex(32))'"


@pytest.mark.parametrize("name", [*REQUIRED, "CENTRIGATE_HOOK_SECRET_PREVIOUS"])
def test_a_short_secret_stops_the_start_and_is_not_shown(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "tell-no-one" + "." * 20)
    assert fault(file).startswith(f"{name} is shorter than 32 bytes: make one with: ")
    assert "tell-no-one" not in fault(file)


def test_a_secret_that_no_header_can_hold_stops_the_start(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_HOOK_SECRET", "ü" * 32)
    assert fault(file) == "CENTRIGATE_HOOK_SECRET travels in a header, so it must be printable ASCII without spaces"


def test_an_empty_variable_is_not_set(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_HOOK_SECRET_PREVIOUS", "")
    assert settings.read(file).hook_secret_previous is None


@pytest.mark.parametrize(("text", "seconds"), [("120", 120), ("120s", 120), ("10m", 600), ("24h", 86400), ("30d", 2_592_000)])
def test_durations_have_a_unit(text: str, seconds: int, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_TOKEN_TTL", text)
    assert settings.read(file).token_ttl == seconds


@pytest.mark.parametrize("text", ["5x", "1.5m", "-1s", "10 m", "٣s", "150ms"])
def test_other_durations_are_refused(text: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_TOKEN_TTL", text)
    assert fault(file) == "CENTRIGATE_TOKEN_TTL must be a duration such as 30s, 10m or 24h"


def test_no_grace_is_possible_but_no_lifetime_is_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_REFRESH_GRACE", "0")
    assert settings.read(file).refresh_grace == 0
    monkeypatch.setenv("CENTRIGATE_SUBSCRIPTION_TOKEN_TTL", "0")
    assert fault(file).startswith("CENTRIGATE_SUBSCRIPTION_TOKEN_TTL: ")


def test_origins_are_a_list(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_ORIGINS", "https://App.example.org, http://localhost:3000,")
    assert settings.read(file).origins == ("https://app.example.org", "http://localhost:3000")


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "app.example.org",
        "https://a.example/",
        "https://a.example/x",
        "https://u@a.example",
        "ftp://a.example",
        "https://",
        "https://a?b",
    ],
)
def test_an_origin_is_scheme_and_host(text: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_ORIGINS", text)
    assert fault(file).startswith("CENTRIGATE_ORIGINS must be origins such as https://app.example.org")


def test_an_address_loses_its_slash(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_CENTRIFUGO_URL", "https://rt.example.org:8000/base/")
    assert settings.read(file).centrifugo_url == "https://rt.example.org:8000/base"


@pytest.mark.parametrize("text", ["rt.example.org:8000", "https://", "https://u:p@rt.example.org", "https://rt?x", "https://rt#x"])
def test_other_addresses_are_refused(text: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_CENTRIFUGO_URL", text)
    assert fault(file).startswith("CENTRIGATE_CENTRIFUGO_URL must be an address such as http://127.0.0.1:8000")


@pytest.mark.parametrize("text", ["127.0.0.1:10000", "[::1]:10000", "grpcs://rt.example.org:443"])
def test_the_grpc_api_is_an_address_with_a_port(text: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.read(file).centrifugo_grpc is None
    monkeypatch.setenv("CENTRIGATE_CENTRIFUGO_GRPC", text)
    assert settings.read(file).centrifugo_grpc == text


@pytest.mark.parametrize(
    "text", ["rt.example.org", "http://rt.example.org:10000", "grpc://rt:1", "u@rt:1", "rt:1/x", "grpcs://rt", "dns:///rt:1"]
)
def test_other_addresses_of_the_grpc_api_are_refused(text: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_CENTRIFUGO_GRPC", text)
    assert fault(file).startswith("CENTRIGATE_CENTRIFUGO_GRPC must be an address such as 127.0.0.1:10000")


def test_everything_wrong_is_named_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_PORT", "99999")
    monkeypatch.delenv("CENTRIGATE_TOKEN_KEY")
    assert [line.split()[0].rstrip(":") for line in fault(file).splitlines()] == ["CENTRIGATE_PORT", "CENTRIGATE_TOKEN_KEY"]


@pytest.mark.parametrize("where", ["file", "environment"])
def test_a_misspelt_setting_is_not_overlooked(where: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "file":
        file.write_text("CENTRIGATE_REFRESH_GRAECE=0\n")
    else:
        monkeypatch.setenv("CENTRIGATE_REFRESH_GRAECE", "0")
    assert fault(file) == "CENTRIGATE_REFRESH_GRAECE is no setting: did you mean CENTRIGATE_REFRESH_GRACE?"


def test_a_setting_like_none_is_no_setting(file: Path) -> None:
    file.write_text("CENTRIGATE_ZZZZZZZZ=0\n")
    assert fault(file) == "CENTRIGATE_ZZZZZZZZ is no setting"


def test_other_variables_are_for_the_policy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("DATABASE_URL=sqlite:///file.db\nORDERS_KEY=file\nEMPTY\n")
    monkeypatch.setenv("ORDERS_KEY", "environment")
    found = settings.variables(file)
    assert (found["DATABASE_URL"], found["ORDERS_KEY"]) == ("sqlite:///file.db", "environment")
    assert "EMPTY" not in found
    assert settings.read(file).port == 8010


def test_a_file_that_cannot_be_read_stops_the_start(file: Path) -> None:
    file.write_bytes(b"A=\xff\n")
    assert fault(file) == f"{file} is not UTF-8 text"


def test_every_setting_is_described() -> None:
    assert all(len(text) > 10 and text.endswith(".") for text in settings.names().values())
    assert "CENTRIGATE_HOOK_SECRET" in settings.names()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:p@db/name?table=centrifugo_outbox&partitions=4",
        "redis://127.0.0.1:6379?stream=cmds&group=centrifugo",
        "rediss://:p@redis.example.org:6380/2?stream=a:b&group=g",
    ],
)
def test_publications_are_handed_to_a_table_or_a_stream(address: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.read(file).hand_over is None
    monkeypatch.setenv("CENTRIGATE_HAND_OVER", address)
    found = settings.read(file).hand_over
    assert found
    assert found.get_secret_value() == address


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:wonderland@db/name",
        "postgresql://u:wonderland@db/name?table=Robert'--&partitions=1",
        "postgresql://u:wonderland@db/name?table=t&partitions=0",
        "redis://:wonderland@db/0",
        "sqlite:///var/outbox.db",
    ],
)
def test_publications_are_handed_nowhere_else(address: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_HAND_OVER", address)
    assert fault(file).startswith("CENTRIGATE_HAND_OVER must be postgresql://")
    assert "wonderland" not in fault(file)
