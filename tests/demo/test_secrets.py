import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from proxy.demo import secrets


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in secrets.NAMES:
        monkeypatch.delenv(name, raising=False)


def test_each_name_gets_a_secret_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert secrets.complete(file) == secrets.NAMES
    values = dotenv_values(file)
    assert tuple(values) == secrets.NAMES
    assert len({*values.values()}) == len(values)
    assert all(len(value or "") == 64 for value in values.values())


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("ORDERS_KEY=mine")
    file.chmod(0o644)
    secrets.complete(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_set_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# my own\nORDERS_KEY=mine")
    assert "ORDERS_KEY" not in secrets.complete(file)
    assert file.read_text().startswith("# my own\nORDERS_KEY=mine\nCENTRIGATE_HOOK_SECRET=")
    assert dotenv_values(file)["ORDERS_KEY"] == "mine"


def test_a_name_without_a_value_gets_one(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("ORDERS_KEY=\n")
    assert "ORDERS_KEY" in secrets.complete(file)
    assert dotenv_values(file)["ORDERS_KEY"]


def test_nothing_is_written_when_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in secrets.NAMES:
        monkeypatch.setenv(name, "set")
    assert secrets.complete(tmp_path / ".env") == ()
    assert not (tmp_path / ".env").exists()
