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
