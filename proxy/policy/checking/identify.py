"""Checks identities: who may speak, and what is known about them."""

import re
from collections.abc import Iterable, Sequence

from proxy.policy.checking.declare import known, single, variable
from proxy.policy.checking.infer import value
from proxy.policy.checking.plan import PersonPlan
from proxy.policy.checking.world import Book, Code, Scope, meant
from proxy.policy.declared import GuestIdentity, HttpIdentity, Identity, JwtIdentity, Place, Variable
from proxy.policy.reading import clauses, statements
from proxy.policy.reading.syntax import MapOf, Text, Word
from proxy.policy.types import ANY, DOUBLE, INT, STRING, Record, Type

FAMILIES = {"HS": ("256", "384", "512"), "RS": ("256", "384", "512"), "ES": ("256", "384", "512"), "PS": ("256", "384", "512")}
ALGORITHMS = frozenset({*(f + n for f, sizes in FAMILIES.items() for n in sizes), "EdDSA"})
KEYS = {"user": STRING, "meta": ANY, "info": ANY, "expire": DOUBLE}

_FETCHED = re.compile(r"https://|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/|$)")
"""Where a key set may come from: over https, or from this machine."""


def identity(node: statements.Identity, book: Book, remotes: Iterable[str], meta: Record | None) -> tuple[Identity, PersonPlan]:
    """`identity NAME { … }`."""
    kinds = [c for c in node.clauses if isinstance(c, clauses.Jwt | clauses.Ask | clauses.Guest)]
    if len(kinds) != 1:
        at = kinds[1].at if kinds else node.name.at
        book.find("bad-identity", at, f'the identity "{node.name.text}" needs exactly one of jwt, http and guest, found {len(kinds)}')
    kind = kinds[0] if kinds else None
    plan = _person(node, "http" if isinstance(kind, clauses.Ask) else "jwt", book, meta)
    if isinstance(kind, clauses.Guest):
        return GuestIdentity(name=node.name.text), plan
    if plan.user is None:
        book.find("bad-identity", node.name.at, f'the identity "{node.name.text}" does not say who the user is', "write user = …;")
    if isinstance(kind, clauses.Ask):
        known(kind.http, remotes, "http", book)
        forwards = tuple(f.value.lower() for f in kind.forwards)
        return HttpIdentity(name=node.name.text, remote=kind.http.text, path=kind.path.value, forwards=forwards), plan
    return _jwt(node, kind, book), plan


def _jwt(node: statements.Identity, kind: clauses.Jwt | None, book: Book) -> JwtIdentity:
    issuer = single(clauses.Issuer, node.clauses, book)
    audience = single(clauses.Audience, node.clauses, book)
    algorithms = single(clauses.Algorithms, node.clauses, book)
    keys = single(clauses.Keys, node.clauses, book)
    for name, clause in (("issuer", issuer), ("algorithms", algorithms), ("keys", keys)):
        if clause is None and kind is not None:
            book.find("bad-identity", node.name.at, f'the identity "{node.name.text}" has no {name}', "it is required")
    if audience is None and kind is not None:
        message = "tokens made for other audiences are accepted"
        book.find("jwt-without-audience", node.name.at, message, 'write audience "…";')
    _algorithms(algorithms.names if algorithms else (), keys, book)
    return JwtIdentity(
        name=node.name.text,
        places=tuple(Place(kind=p.kind.text, name=_lower(p)) for p in kind.places) if kind else (),  # type: ignore[arg-type]  # three words
        issuer=issuer.value.value if issuer else "",
        audience=audience.value.value if audience else None,
        algorithms=tuple(a.text for a in algorithms.names) if algorithms else (),
        keys=_keys(keys, book) if keys else "",
    )


def _lower(place: clauses.Place) -> str:
    return place.name.value.lower() if place.kind.text == "header" else place.name.value


def _keys(keys: clauses.Keys, book: Book) -> str | Variable:
    if keys.kind == "jwks" and isinstance(keys.value, Text):
        if not _FETCHED.match(keys.value.value):
            book.find("bad-identity", keys.value.at, "a key set is fetched over https only")
        return keys.value.value
    return variable(keys.value, book)


def _algorithms(names: Sequence[Word], keys: clauses.Keys | None, book: Book) -> None:
    hmac = [a for a in names if a.text.startswith("HS")]
    for name in names:
        if name.text not in ALGORITHMS:
            book.find("bad-identity", name.at, f'there is no algorithm "{name.text}" here', meant(name.text, ALGORITHMS))
    if hmac and keys is not None and keys.kind == "jwks":
        book.find("bad-identity", hmac[0].at, f"{hmac[0].text} needs a shared secret, a key set holds public keys", "write keys env NAME;")
    elif hmac and len(hmac) != len(names):
        book.find("bad-identity", hmac[0].at, f"{hmac[0].text} stands beside public-key algorithms: a public key would pass as its secret")


def _person(node: statements.Identity, kind: str, book: Book, meta: Record | None) -> PersonPlan:
    scope = Scope(where=frozenset({f"identity {kind}"}))
    found: dict[str, Code] = {}
    for clause in node.clauses:
        if not isinstance(clause, clauses.Assign):
            continue
        name = clause.name.text
        if name in found:
            book.find("duplicate-name", clause.at, f"{name} stands twice")
        wanted: Type = meta if name == "meta" and meta is not None else KEYS.get(name, ANY)
        if name == "user":
            found[name] = _user(clause, book, scope)
        else:
            found[name] = value(clause.value, book, scope, wanted=wanted)
            _complete(clause, wanted, book)
    return PersonPlan(user=found.get("user"), meta=found.get("meta"), info=found.get("info"), expire=found.get("expire"))


def _complete(clause: clauses.Assign, wanted: Type, book: Book) -> None:
    """Demands that written meta has every member that its type requires."""
    if isinstance(wanted, Record) and isinstance(clause.value, MapOf):
        given = {key.value for key, _ in clause.value.entries}
        for name, member in wanted.fields.items():
            if name not in given and not member.optional:
                book.find("wrong-type", clause.value.at, f'meta has no "{name}", which its type requires')


def _user(clause: clauses.Assign, book: Book, scope: Scope) -> Code:
    code = value(clause.value, book, scope)
    if code.type not in (STRING, INT, ANY):
        book.find("wrong-type", clause.value.at, f"a user is a string, found {code.type}")
    return code


def order(nodes: list[statements.Identity], book: Book) -> None:
    """Demands that a guest comes last."""
    for node in nodes[:-1]:
        if any(isinstance(c, clauses.Guest) for c in node.clauses):
            book.find("bad-identity", node.at, "identities after a guest are never asked", "put the guest last")
