"""The people and documents of the demonstration, in a SQLite file."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who can sign in; `part` says in a few words what they are to the document."""

    id: str
    name: str
    part: str
    suspended: bool = False


ANN: Final = Person(id="42", name="Ann", part="owns the document")
BEN: Final = Person(id="43", name="Ben", part="edits the document")
CLEO: Final = Person(id="44", name="Cleo", part="has nothing to do with the document")
DEE: Final = Person(id="45", name="Dee", part="only reads the document")
SAM: Final = Person(id="66", name="Sam", part="edits the document, but is suspended", suspended=True)

PEOPLE: Final = {person.id: person for person in (ANN, BEN, CLEO, DEE, SAM)}
"""Everybody, by user id."""

DOCUMENTS: Final = {"7": "Launch plan", "8": "Cleo's diary"}
"""Titles, by document id."""

DOCUMENT: Final = "7"
"""The document that the scenario and the page are about."""

ROLES: Final = (
    ("7", ANN.id, "owner"),
    ("7", BEN.id, "editor"),
    ("7", DEE.id, "viewer"),
    ("7", SAM.id, "editor"),
    ("8", CLEO.id, "owner"),
)
"""Document, user, role."""

_SCHEMA: Final = """
drop table if exists accounts;
drop table if exists documents;
drop table if exists doc_members;
create table accounts (id text primary key, name text not null, suspended boolean not null) without rowid;
create table documents (id text primary key, title text not null) without rowid;
create table doc_members (doc_id text, user_id text, role text not null, primary key (doc_id, user_id)) without rowid;
"""


def write(file: Path) -> None:
    """Make the file anew, whatever was in it; blocks."""
    file.parent.mkdir(parents=True, exist_ok=True)
    accounts = [(person.id, person.name, person.suspended) for person in PEOPLE.values()]
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.executescript(_SCHEMA)
        database.executemany("insert into accounts values (?, ?, ?)", accounts)
        database.executemany("insert into documents values (?, ?)", DOCUMENTS.items())
        database.executemany("insert into doc_members values (?, ?, ?)", ROLES)


def remove(file: Path, person: Person) -> None:
    """Take somebody off the document; blocks."""
    _execute(file, "delete from doc_members where doc_id = ? and user_id = ?", DOCUMENT, person.id)


def add(file: Path, person: Person) -> None:
    """Give somebody back the role on the document that they had at first, if they had one; blocks."""
    for document, user, role in ROLES:
        if (document, user) == (DOCUMENT, person.id):
            _execute(file, "insert or replace into doc_members values (?, ?, ?)", document, user, role)


def suspend(file: Path, person: Person, *, suspended: bool) -> None:
    """Suspend somebody's account, or end that; blocks."""
    _execute(file, "update accounts set suspended = ? where id = ?", suspended, person.id)


def take_away(file: Path) -> None:
    """Let the database not be there."""
    file.rename(_away(file))


def bring_back(file: Path) -> None:
    """Let it be there again, if it is not."""
    with contextlib.suppress(FileNotFoundError):
        _away(file).rename(file)


def _away(file: Path) -> Path:
    return file.with_suffix(".away")


def _execute(file: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(statement, values)
