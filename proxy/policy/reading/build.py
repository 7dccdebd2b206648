"""Builds the statements of policy files from what the parser reduces."""

from typing import TypeVar, cast

from lark import v_args

from proxy.policy.reading.clauses import (
    Algorithms,
    Answer,
    Ask,
    Assign,
    Audience,
    Base,
    Batch,
    Cache,
    Delivery,
    Duration,
    Env,
    Forward,
    Get,
    Guest,
    Header,
    Invalidate,
    Issuer,
    Jwt,
    Key,
    Keys,
    Listen,
    Mask,
    Number,
    Parameter,
    Place,
    Python,
    Sample,
    Source,
    Sql,
    Subscribe,
    Timeout,
)
from proxy.policy.reading.lexeme import Lexeme
from proxy.policy.reading.rules import Rules
from proxy.policy.reading.statements import (
    Channel,
    Connect,
    Database,
    Deny,
    Fact,
    Http,
    Identity,
    Invariant,
    Let,
    Log,
    Meta,
    Rpc,
    Service,
    Statement,
)  # fmt: skip
from proxy.policy.reading.syntax import Expression, Field, Text, TypeSyntax, Word
from proxy.policy.reading.terms import object_to
from proxy.policy.reading.walk import bound_type

_Clause = TypeVar("_Clause")


def kept(clauses: tuple[_Clause | Lexeme, ...]) -> tuple[_Clause, ...]:
    """Drop what stands for statements that could not be read."""
    return tuple(clause for clause in clauses if not isinstance(clause, Lexeme))


@v_args(inline=True)
class Statements(Rules):
    """One method for each rule of the grammar about statements and clauses."""

    def policy(self, *parts: Statement | Lexeme | None) -> tuple[Statement, ...]:
        """All statements of a file."""
        return tuple(part for part in parts if part and not isinstance(part, Lexeme))

    def database(self, at: Lexeme, name: Word, url: Source, listen: Listen | None) -> Database:
        """`database NAME { url …; }`."""
        return Database(at=at.at, name=name, url=url, listen=listen)

    def listen(self, at: Lexeme, channel: Text) -> Listen:
        """`listen "channel";`."""
        return Listen(at=at.at, channel=channel)

    def http(self, at: Lexeme, name: Word, *clauses: Base | Header | Timeout | Lexeme) -> Http:
        """`http NAME { … }`."""
        return Http(at=at.at, name=name, clauses=kept(clauses))

    def base(self, at: Lexeme, value: Source) -> Base:
        """`base …;`."""
        return Base(at=at.at, value=value)

    def header(self, at: Lexeme, name: Text, value: Source) -> Header:
        """`header "name" …;`."""
        return Header(at=at.at, name=name, value=value)

    def timeout(self, at: Lexeme, duration: Duration) -> Timeout:
        """`timeout D;`."""
        return Timeout(at=at.at, duration=duration)

    def env(self, at: Lexeme, variable: Word, default: Text | None) -> Env:
        """`env VARIABLE`."""
        return Env(at=at.at, variable=variable, default=default)

    def identity(
        self, at: Lexeme, name: Word, *clauses: Jwt | Ask | Guest | Issuer | Audience | Algorithms | Keys | Assign | Lexeme
    ) -> Identity:
        """`identity NAME { … }`."""
        return Identity(at=at.at, name=name, clauses=kept(clauses))

    def jwt(self, at: Lexeme, *places: Place) -> Jwt:
        """`jwt from …;`."""
        return Jwt(at=at.at, places=places)

    def place(self, kind: Lexeme, name: Text) -> Place:
        """`header "authorization"`."""
        return Place(at=kind.at, kind=Word(at=kind.at, text=kind.text), name=name)

    def ask(self, at: Lexeme, http: Word, path: Text, forwards: tuple[Text, ...] | None) -> Ask:
        """`http NAME GET "/path" forward header …;`."""
        return Ask(at=at.at, http=http, path=path, forwards=forwards or ())

    def guest(self, at: Lexeme) -> Guest:
        """`guest;`."""
        return Guest(at=at.at)

    def issuer(self, at: Lexeme, value: Text) -> Issuer:
        """`issuer "…";`."""
        return Issuer(at=at.at, value=value)

    def audience(self, at: Lexeme, value: Text) -> Audience:
        """`audience "…";`."""
        return Audience(at=at.at, value=value)

    def algorithms(self, at: Lexeme, *names: Word) -> Algorithms:
        """`algorithms ES256, …;`."""
        return Algorithms(at=at.at, names=names)

    def keys(self, at: Lexeme, *value: Lexeme | Source) -> Keys:
        """`keys jwks "…";` or `keys env …;`."""
        return Keys(at=at.at, kind="jwks" if len(value) > 1 else "env", value=cast("Source", value[-1]))

    def identity_value(self, name: Lexeme, value: Expression) -> Assign:
        """`user = …;` and the like."""
        return Assign(at=name.at, name=Word(at=name.at, text=name.text), value=value)

    connect_value = identity_value

    def meta(self, at: Lexeme, fields: tuple[Field, ...]) -> Meta:
        """`meta { … }`."""
        for field in fields:
            bound_type(field.type)
        return Meta(at=at.at, fields=fields)

    def fact(
        self, at: Lexeme, name: Word, parameters: tuple[Parameter, ...] | None, of: TypeSyntax,
        *clauses: Sql | Get | Python | Cache | Timeout | Invalidate | Batch | Lexeme,
    ) -> Fact:  # fmt: skip
        """`fact NAME(…) -> T { … }`."""
        bound_type(of)
        return Fact(at=at.at, name=name, parameters=parameters or (), type=of, clauses=kept(clauses))

    def parameters(self, *parameters: Parameter) -> tuple[Parameter, ...]:
        """The parameters of a fact."""
        return parameters

    def parameter(self, name: Word, of: TypeSyntax) -> Parameter:
        """`name: T`."""
        bound_type(of)
        return Parameter(name=name, type=of)

    def sql(self, at: Lexeme, database: Word, query: Text) -> Sql:
        """`sql NAME "…";`."""
        return Sql(at=at.at, database=database, query=query)

    def get(self, at: Lexeme, http: Word, path: Text, pick: Text | None) -> Get:
        """`http NAME GET "/path";` of a fact."""
        return Get(at=at.at, http=http, path=path, pick=pick)

    def python(self, at: Lexeme, target: Text) -> Python:
        """`python "package.module:function";`."""
        return Python(at=at.at, target=target)

    def cache(self, at: Lexeme, ttl: Duration, negative: Duration | None, most: Number | None) -> Cache:
        """`cache D …;`."""
        if most and not most.value:
            raise object_to(most.at, "a cache for nothing holds nothing", "leave the line out")
        return Cache(at=at.at, ttl=ttl, negative=negative, max=most)

    def invalidate(self, at: Lexeme, topics: tuple[Text, ...]) -> Invalidate:
        """`invalidate on …;`."""
        return Invalidate(at=at.at, topics=topics)

    def batch(self, at: Lexeme, most: Number) -> Batch:
        """`batch N;`."""
        return Batch(at=at.at, most=most)

    def let(self, at: Lexeme, name: Word, value: Expression) -> Let:
        """`let NAME = …;`."""
        return Let(at=at.at, name=name, value=value)

    def deny(self, at: Lexeme, name: Word, operations: tuple[Word, ...] | None, when: Expression) -> Deny:
        """`deny NAME on … when …;`."""
        return Deny(at=at.at, name=name, operations=operations or (), when=when)

    def connect(self, at: Lexeme, *clauses: object) -> Connect:
        """`connect { … }`."""
        return Connect(at=at.at, clauses=cast("tuple[Assign, ...]", kept(clauses)))

    def subscribe(self, at: Lexeme, channel: Expression) -> Subscribe:
        """`subscribe …;`."""
        return Subscribe(at=at.at, channel=channel)

    def channel(self, at: Lexeme, pattern: Text, *statements: object) -> Channel:
        """`channel "…" { … }`."""
        return Channel(at=at.at, pattern=pattern, statements=cast("tuple[Let, ...]", kept(statements)))

    def rpc(self, at: Lexeme, method: Text, *statements: object) -> Rpc:
        """`rpc "…" { … }`."""
        return Rpc(at=at.at, method=method, statements=cast("tuple[Let, ...]", kept(statements)))

    def forward(self, at: Lexeme, http: Word, path: Text) -> Forward:
        """`forward NAME POST "/path";`."""
        return Forward(at=at.at, http=http, path=path)

    def answer(self, at: Lexeme, value: Expression) -> Answer:
        """`answer = …;`."""
        return Answer(at=at.at, kind="value", value=value, limit=None)

    def presence(self, at: Lexeme, channel: Expression) -> Answer:
        """`answer presence …;`."""
        return Answer(at=at.at, kind="presence", value=channel, limit=None)

    def history(self, at: Lexeme, channel: Expression, limit: Number) -> Answer:
        """`answer history … limit N;`."""
        return Answer(at=at.at, kind="history", value=channel, limit=limit)

    def service(self, at: Lexeme, name: Word, *clauses: object) -> Service:
        """`service NAME { … }`."""
        return Service(at=at.at, name=name, clauses=cast("tuple[Key, ...]", kept(clauses)))

    def key(self, at: Lexeme, value: Source) -> Key:
        """`key …;`."""
        return Key(at=at.at, value=value)

    def delivery(self, at: Lexeme, mode: Lexeme) -> Delivery:
        """`delivery durable;`."""
        return Delivery(at=at.at, mode="durable" if mode.type == "DURABLE" else "direct")

    def log(self, at: Lexeme, *clauses: Mask | Sample | Lexeme) -> Log:
        """`log { … }`."""
        return Log(at=at.at, clauses=kept(clauses))

    def mask(self, at: Lexeme, *paths: tuple[Word, ...]) -> Mask:
        """`mask …;`."""
        return Mask(at=at.at, paths=paths)

    def path(self, *words: Word) -> tuple[Word, ...]:
        """`data.text`."""
        return words

    def sample(self, at: Lexeme, percent: Lexeme) -> Sample:
        """`sample allow P%;`."""
        if float(percent.text) > 100:  # noqa: PLR2004 - per cent
            raise object_to(percent.at, "a sample is at most 100%")
        return Sample(at=at.at, percent=float(percent.text))

    def always(
        self, at: Lexeme, operations: tuple[Word, ...], pattern: Text, kinds: tuple[Word, ...], when: Expression | None
    ) -> Invariant:  # fmt: skip
        """`always deny OPS on "PATTERN" for KINDS …;`."""
        return Invariant(at=at.at, word="always deny", operations=operations, pattern=pattern, kinds=kinds, when=when)

    def never(
        self, at: Lexeme, operations: tuple[Word, ...], pattern: Text, kinds: tuple[Word, ...] | None, when: Expression | None
    ) -> Invariant:  # fmt: skip
        """`never allow OPS on "PATTERN" …;`."""
        return Invariant(at=at.at, word="never allow", operations=operations, pattern=pattern, kinds=kinds or (), when=when)
