"""Checks the statements that name what a policy can reach: types, databases, applications, facts."""

import re
from collections.abc import Container, Iterable, Sequence
from typing import TypeVar

from proxy.policy.checking.world import Book, meant
from proxy.policy.declared import Database, Fact, HttpSource, PythonSource, Remote, SqlSource, Variable
from proxy.policy.reading import clauses, statements, syntax
from proxy.policy.types import (
    ANY,
    BOOL,
    DOUBLE,
    INT,
    NULL,
    STRING,
    ListOf,
    MapOf,
    Member,
    Nullable,
    Record,
    Type,
    fitter,
    nullable,
)

SIMPLE = {"bool": BOOL, "int": INT, "double": DOUBLE, "string": STRING, "any": ANY, "null": NULL}
PARAMETERS = (BOOL, INT, STRING)
TIMEOUT_MS, HTTP_TIMEOUT_MS, ENTRIES = 200, 1000, 100_000
BATCH = range(2, 501)
"""For how many keys one query may ask."""

MOST_CHANNEL = 64
"""Where PostgreSQL cuts names off."""

_PASSWORD = re.compile(r"//[^/@]*:[^/@]+@")
_BIND = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|(?<![:\w]):([A-Za-z_]\w*)", re.DOTALL)
_BRACES = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"/(?!/)(?:[!$&-;=?-Z_a-z{}~]|%[0-9A-Fa-f]{2})*")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")

T = TypeVar("T")


def single(kind: type[T], clauses: Iterable[object], book: Book) -> T | None:
    """The one clause of a kind; a second one is a finding."""
    found = [c for c in clauses if isinstance(c, kind)]
    for again in found[1:]:
        book.find("duplicate-name", again.at, "this stands twice")  # type: ignore[attr-defined]  # every clause has a place
    return found[0] if found else None


def resolve(node: syntax.TypeSyntax, book: Book) -> Type:
    """The type that is written; findings for what is none."""
    match node:
        case syntax.NamedType():
            if node.name not in SIMPLE:
                book.find("unknown-name", node.at, f'there is no type "{node.name}"', meant(node.name, {*SIMPLE, "list", "map"}))
            return SIMPLE.get(node.name, ANY)
        case syntax.NullableType():
            return nullable(resolve(node.of, book))
        case syntax.ListType():
            return ListOf(of=resolve(node.of, book))
        case syntax.MapType():
            if resolve(node.key, book) not in (STRING, ANY):
                book.find("wrong-type", node.key.at, "the keys of a map are strings", "write map<string, …>")
            return MapOf(of=resolve(node.of, book))
        case _:
            return record(node.fields, book)


def record(fields: Sequence[syntax.Field], book: Book) -> Record:
    """The record type with these fields."""
    members: dict[str, Member] = {}
    for field in fields:
        if field.name.text in members:
            book.find("duplicate-name", field.name.at, f'the field "{field.name.text}" stands twice')
        members[field.name.text] = Member(type=resolve(field.type, book), optional=field.optional)
    return Record(fields=members)


def variable(source: clauses.Source, book: Book) -> Variable:
    """The environment variable that is named; a literal in its place is a secret in the policy."""
    if isinstance(source, clauses.Env):
        default = source.default
        if default is not None and _PASSWORD.search(default.value):
            book.find("secret-in-policy", default.at, "a password stands in the policy", "leave the default out; set the variable")
        return Variable(name=source.variable.text, default=default.value if default else None)
    book.find("secret-in-policy", source.at, "this value does not belong into a policy", "write env NAME and set the variable NAME")
    return Variable(name="")


def database(node: statements.Database, book: Book) -> Database:
    """`database NAME { … }`."""
    if node.listen and not 0 < len(node.listen.channel.value.encode()) < MOST_CHANNEL:
        book.find("wrong-type", node.listen.at, f"the name of a channel has 1 to {MOST_CHANNEL - 1} bytes")
    return Database(name=node.name.text, url=variable(node.url, book), listen=node.listen.channel.value if node.listen else None)


def remote(node: statements.Http, book: Book) -> Remote:
    """`http NAME { … }`."""
    base = single(clauses.Base, node.clauses, book)
    if base is None:
        book.find("syntax", node.at, f'http "{node.name.text}" has no base', "write base env NAME;")
    timeout = single(clauses.Timeout, node.clauses, book)
    return Remote(
        name=node.name.text,
        base=variable(base.value, book) if base else Variable(name=""),
        headers=tuple((c.name.value.lower(), variable(c.value, book)) for c in node.clauses if isinstance(c, clauses.Header)),
        timeout_ms=timeout.duration.ms if timeout else HTTP_TIMEOUT_MS,
    )


def parameters(node: statements.Fact, book: Book) -> tuple[Type, ...]:
    """The types of a fact's parameters, which are scalars."""
    seen: set[str] = set()
    out = []
    for parameter in node.parameters:
        if parameter.name.text in seen:
            book.find("duplicate-name", parameter.name.at, f'the parameter "{parameter.name.text}" stands twice')
        seen.add(parameter.name.text)
        found = resolve(parameter.type, book)
        unknown = isinstance(parameter.type, syntax.NamedType) and parameter.type.name not in SIMPLE
        if found not in PARAMETERS and not unknown:
            book.find("bad-fact", parameter.type.at, f"a parameter cannot be {found}", "use bool, int or string")
        out.append(found)
    return tuple(out)


def fact(node: statements.Fact, book: Book, databases: Iterable[str], remotes: Iterable[str]) -> Fact:
    """`fact NAME(…) -> T { … }`."""
    names = tuple(p.name.text for p in node.parameters)
    type_ = resolve(node.type, book)
    cache = single(clauses.Cache, node.clauses, book)
    timeout = single(clauses.Timeout, node.clauses, book)
    if timeout is None:
        book.find("fact-without-timeout", node.name.at, f'the fact "{node.name.text}" has no timeout', f"the default is {TIMEOUT_MS}ms")
    topics = single(clauses.Invalidate, node.clauses, book)
    for topic in topics.topics if topics else ():
        _braces(topic, names, book, "topic")
    ttl = cache.ttl.ms if cache else 0
    source = _source(node, names, book, databases, remotes)
    return Fact(
        name=node.name.text,
        parameters=names,
        takes=book.parameters[node.name.text],
        type=type_,
        fit=fitter(type_),
        nullable=isinstance(type_, Nullable) or type_ in (ANY, NULL),
        source=source,
        ttl_ms=ttl,
        negative_ms=cache.negative.ms if cache and cache.negative else ttl,
        max_entries=cache.max.value if cache and cache.max else ENTRIES,
        timeout_ms=timeout.duration.ms if timeout else TIMEOUT_MS,
        topics=tuple(t.value for t in topics.topics) if topics else (),
        batch=_batch(node, source, book),
    )


def _batch(node: statements.Fact, source: SqlSource | HttpSource | PythonSource, book: Book) -> int:
    clause = single(clauses.Batch, node.clauses, book)
    if clause is None:
        return 1
    if not isinstance(source, SqlSource):
        book.find("bad-fact", clause.at, "only sql can ask for many keys at once", "leave the line out")
    if clause.most.value not in BATCH:
        book.find("bad-fact", clause.most.at, f"one query asks for {BATCH[0]} to {BATCH[-1]} keys")
    return clause.most.value


def _source(
    node: statements.Fact, names: tuple[str, ...], book: Book, databases: Iterable[str], remotes: Iterable[str]
) -> SqlSource | HttpSource | PythonSource:
    loaders = [c for c in node.clauses if isinstance(c, clauses.Sql | clauses.Get | clauses.Python)]
    if len(loaders) != 1:
        message = f'the fact "{node.name.text}" needs exactly one of sql, http and python, found {len(loaders)}'
        book.find("bad-fact", loaders[1].at if loaders else node.name.at, message)
    match loaders[0] if loaders else None:
        case clauses.Sql() as sql:
            known(sql.database, databases, "database", book)
            _binds(sql.query, names, book)
            return SqlSource(database=sql.database.text, query=sql.query.value)
        case clauses.Get() as get:
            known(get.http, remotes, "http", book)
            _every(get.path, set(_braces(get.path, names, book, "path")), names, book)
            _address(get, book)
            return HttpSource(remote=get.http.text, path=get.path.value, pick=get.pick.value if get.pick else None)
        case clauses.Python() as python:
            if not _TARGET.fullmatch(python.target.value):
                book.find("bad-fact", python.at, f'"{python.target.value}" is no function', 'write "package.module:function"')
            return PythonSource(target=python.target.value)
        case _:
            return PythonSource(target="")


def _address(get: clauses.Get, book: Book) -> None:
    if not _PATH.fullmatch(get.path.value):
        book.find("bad-fact", get.path.at, "this is no path of an address", "begin with one /, encode what has no place there with %")
    if get.pick and not _POINTER.fullmatch(get.pick.value):
        book.find(
            "bad-fact", get.pick.at, f'"{get.pick.value}" is no JSON pointer', 'write "/member/0", with ~1 for / and ~0 for ~ in names'
        )


def known(word: syntax.Word, names: Iterable[str], kind: str, book: Book) -> None:
    """Demands that a database or http of this name is declared."""
    if word.text not in names:
        book.find("unknown-name", word.at, f'there is no {kind} "{word.text}"', meant(word.text, names))


def _binds(query: syntax.Text, names: tuple[str, ...], book: Book) -> None:
    found = {m[1] for m in _BIND.finditer(query.value) if m[1]}
    for name in sorted(found - set(names)):
        book.find("bad-fact", query.at, f'the query asks for ":{name}", which is no parameter', meant(name, names))
    _every(query, found, names, book)


def _every(text: syntax.Text, found: set[str], names: tuple[str, ...], book: Book) -> None:
    for name in names:
        if name not in found:
            book.find("bad-fact", text.at, f'the parameter "{name}" is not used', "every parameter must occur")


def _braces(text: syntax.Text, names: tuple[str, ...], book: Book, kind: str) -> list[str]:
    found = _BRACES.findall(text.value)
    for name in found:
        if name not in names:
            book.find("bad-fact", text.at, f'the {kind} uses "{{{name}}}", which is no parameter', meant(name, names))
    return found


def unique(words: Iterable[syntax.Word], book: Book, kind: str, *taken: Container[str]) -> None:
    """Demands that names of one kind are given once and hide nothing."""
    seen: set[str] = set()
    for word in words:
        if any(word.text in names for names in (seen, *taken)):
            book.find("duplicate-name", word.at, f'"{word.text}" has a meaning already', f"choose another name for this {kind}")
        seen.add(word.text)
