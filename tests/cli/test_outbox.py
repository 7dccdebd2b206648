import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.outbox import COMMANDS
from proxy.stores.outbox import Draft, Fate, Numbers, Settlement
from proxy.stores.outbox_sqlite import SqliteOutbox

SECRETS = {f"CENTRIGATE_{name}": letter * 32 for name, letter in (("HOOK_SECRET", "h"), ("CENTRIFUGO_API_KEY", "a"), ("TOKEN_KEY", "t"))}


def run(file: Path | None, *arguments: str, variables: Mapping[str, str] | None = None) -> Result:
    app = typer.Typer()
    for name, command in COMMANDS.items():
        app.command(name)(command)
    place = ["--store", f"sqlite:///{file}"] if file else []
    return CliRunner().invoke(app, [*arguments, *place], env=dict(variables or {}))


async def fill(file: Path, waiting: int, dead: Mapping[str, str]) -> None:
    store = SqliteOutbox(file)
    await store.open()
    await store.write([Draft(channel=channel, key=None, body=b"{}") for channel in dead], [], 0)
    settled = [Settlement(id=each.id, fate=Fate.dead, reason=dead[each.channel]) for each in await store.after(0, 10)]
    await store.write([Draft(channel="w", key=None, body=b"{}")] * waiting, settled, 1000)
    await store.close()


async def count(file: Path) -> Numbers:
    store = SqliteOutbox(file)
    await store.open()
    try:
        return await store.numbers()
    finally:
        await store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    asyncio.run(fill(tmp_path / "outbox.db", 2, {"a": "error 102: unknown channel", "b[red]\x1b[2J": "error 107: bad request"}))
    return tmp_path / "outbox.db"


def test_an_outbox_without_dead_letters_is_fine(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "outbox.db", 0, {}))
    done = run(tmp_path / "outbox.db", "status")
    assert (done.exit_code, done.stdout) == (0, "0 waiting\n0 dead\n")


def test_dead_letters_are_listed_and_fail(file: Path) -> None:
    done = run(file, "status")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"2 waiting, the oldest for \d+ d( \d+ (h|min))?", lines[0])
    assert lines[1] == "2 dead"
    assert lines[2].split() == ["id", "channel", "age", "attempts", "reason"]
    assert re.fullmatch(r" ?2 +'b\[red\]\\x1b\[2J' +\d+ d( \d+ (h|min))? +1 +error 107: bad request *", lines[3])
    assert re.fullmatch(r" ?1 +a +\d+ d \d+ h +1 +error 102: unknown channel *", lines[4])
    assert len(lines) == 5


def test_programs_get_one_object(file: Path) -> None:
    done = run(file, "status", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["waiting"], told["dead"], told["oldest_ms"]) == (1, 2, 2, 1000)
    assert told["letters"][1] == {
        "id": 1, "channel": "a", "accepted_ms": 0, "died_ms": 1000, "attempts": 1, "reason": "error 102: unknown channel",
    }  # fmt: skip


def test_a_dead_letter_is_sent_again_by_its_id(file: Path) -> None:
    done = run(file, "retry", "1")
    assert (done.exit_code, done.stdout) == (0, "1 sent again\n")
    numbers = asyncio.run(count(file))
    assert (numbers.waiting, numbers.dead) == (3, 1)


def test_all_are_sent_again(file: Path) -> None:
    done = run(file, "retry", "--all", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"retried": [1, 2], "missing": []})
    numbers = asyncio.run(count(file))
    assert (numbers.waiting, numbers.dead) == (4, 0)


def test_an_id_that_is_none_is_told(file: Path) -> None:
    done = run(file, "retry", "2", "9", "7")
    assert (done.exit_code, done.stdout) == (1, "1 sent again; no dead letters: 7, 9\n")


@pytest.mark.parametrize("arguments", [(), ("--all", "1")])
def test_either_ids_or_all(file: Path, arguments: tuple[str, ...]) -> None:
    done = run(file, "retry", *arguments)
    assert (done.exit_code, done.stderr) == (2, "give the ids of dead letters, or --all\n")
    assert asyncio.run(count(file)).dead == 2


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = run(tmp_path / "none.db", "status")
    assert done.exit_code == 2
    assert "there is no outbox in" in done.stderr
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database, but long enough to be taken for one" * 20)
    done = run(tmp_path / "notes", "status")
    assert (done.exit_code, "cannot be opened" in done.stderr) == (2, True)


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    done = run(None, "status", "--store", "postgresql://u:wonderland@127.0.0.1:1/db")
    assert done.exit_code == 2
    assert "cannot be opened" in done.stderr
    assert "wonderland" not in done.stderr


def test_a_place_that_is_none_is_refused() -> None:
    done = run(None, "status", "--store", "mysql://x")
    assert (done.exit_code, done.stderr.startswith("--store must be a file such as")) == (2, True)


def test_what_is_handed_over_is_counted_where_it_is() -> None:
    handed = "redis://127.0.0.1:1/0?stream=s&group=g"
    done = run(None, "status", variables=SECRETS | {"CENTRIGATE_HAND_OVER": handed, "CENTRIGATE_STORE_URL": "sqlite:///none.db"})
    assert (done.exit_code, "CENTRIGATE_HAND_OVER cannot be opened" in done.stderr) == (2, True)


def test_without_a_place_it_is_that_of_the_settings(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    done = run(None, "status", variables=SECRETS | {"CENTRIGATE_STORE_URL": "sqlite:///outbox.db"})
    assert (done.exit_code, done.stdout.splitlines()[1]) == (1, "2 dead")
