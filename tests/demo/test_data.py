import contextlib
import sqlite3
from pathlib import Path

from proxy.demo import data


def rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


def test_the_people_are_in_the_file_and_sam_is_suspended(tmp_path: Path) -> None:
    data.write(tmp_path / "var" / "demo.db")
    assert rows(tmp_path / "var" / "demo.db", "select id, name, suspended from accounts") == [
        ("42", "Ann", 0),
        ("43", "Ben", 0),
        ("44", "Cleo", 0),
        ("45", "Dee", 0),
        ("66", "Sam", 1),
    ]


def test_what_was_changed_in_the_file_is_undone_when_it_is_written_again(tmp_path: Path) -> None:
    file = tmp_path / "demo.db"
    data.write(file)
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("delete from doc_members")
    data.write(file)
    assert ("7", "43", "editor") in rows(file, "select * from doc_members")
    assert rows(file, "select count(*) from documents") == [(2,)]


def test_somebody_is_put_back_into_the_role_of_the_beginning_and_a_stranger_into_none(tmp_path: Path) -> None:
    file = tmp_path / "demo.db"
    data.write(file)
    members = rows(file, "select * from doc_members")
    data.remove(file, data.BEN)
    assert ("7", "43", "editor") not in rows(file, "select * from doc_members")
    for person in (data.BEN, data.ANN, data.CLEO):
        data.add(file, person)
    assert rows(file, "select * from doc_members") == members


def test_an_account_is_suspended_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "demo.db"
    data.write(file)
    data.suspend(file, data.BEN, suspended=True)
    assert rows(file, "select id from accounts where suspended") == [("43",), ("66",)]
    data.suspend(file, data.BEN, suspended=False)
    assert rows(file, "select id from accounts where suspended") == [("66",)]


def test_a_database_that_was_taken_away_comes_back_once(tmp_path: Path) -> None:
    file = tmp_path / "demo.db"
    data.write(file)
    data.take_away(file)
    assert not file.exists()
    for _ in range(2):
        data.bring_back(file)
        assert rows(file, "select count(*) from accounts") == [(5,)]
