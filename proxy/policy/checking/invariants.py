"""Checks invariants: what a policy set says that no rule in it may ever allow."""

from collections.abc import Iterable

from proxy.policy.checking.allows import operations, pattern, variables
from proxy.policy.checking.flow import NOTHING
from proxy.policy.checking.ground import Ground
from proxy.policy.checking.infer import condition
from proxy.policy.checking.plan import Claim
from proxy.policy.checking.world import Book, Code, Scope, meant
from proxy.policy.decision import OPERATIONS
from proxy.policy.names import BUILTINS, METHODS
from proxy.policy.reading import statements
from proxy.policy.reading.syntax import Word

PEOPLE, GUESTS, SERVICES = "users", "guests", "services"


def claims(ground: Ground, services: Iterable[str]) -> tuple[Claim, ...]:
    """The invariants of a policy set; those with a pattern that cannot be read are left out."""
    known = tuple(services)
    found = [_claim(node, ground, known) for node in ground.all(statements.Invariant)]
    return tuple(claim for claim in found if claim is not None)


def _claim(node: statements.Invariant, ground: Ground, services: tuple[str, ...]) -> Claim | None:
    kinds = _kinds(node.kinds, services, ground.book)
    people = not node.kinds or bool(kinds & {PEOPLE, GUESTS})
    named = services if not node.kinds or SERVICES in kinds else tuple(name for name in services if name in kinds)
    asked = operations(node.operations, _known(people=people, serving=bool(named) or SERVICES in kinds), ground.book)
    own = tuple(op for op in asked if op in OPERATIONS) if people else ()
    methods = _methods(asked) if named else ()
    found = pattern(node.pattern, ground.book)
    when, methods = _when(node, ground, own, methods)
    if found is None:
        return None
    return Claim(
        text=_text(node),
        at=f"{node.at.file}:{node.at.line}",
        pattern=found,
        operations=own,
        guests=GUESTS in kinds and PEOPLE not in kinds,
        services=dict.fromkeys(named, methods) if methods else {},
        when=when,
    )


def _kinds(words: Iterable[Word], services: tuple[str, ...], book: Book) -> set[str]:
    """Whom the words name; findings for those that name nobody."""
    kinds: set[str] = set()
    for word in words:
        everybody = (PEOPLE, GUESTS, SERVICES, *services)
        if word.text not in everybody:
            book.find("unknown-name", word.at, f'"{word.text}" is nobody', meant(word.text, everybody) or "write users, guests, services")
        elif word.text in kinds:
            book.find("duplicate-name", word.at, f"{word.text} stands twice")
        kinds.add(word.text)
    return kinds


def _known(*, people: bool, serving: bool) -> tuple[str, ...]:
    return (*(OPERATIONS if people else ()), *(METHODS if serving or not people else ()))


def _methods(asked: Iterable[str]) -> tuple[str, ...]:
    """The methods of services among what is asked; who broadcasts publishes."""
    return tuple(dict.fromkeys(method for op in asked if op in METHODS for method in ((op, "broadcast") if op == "publish" else (op,))))


def _when(
    node: statements.Invariant, ground: Ground, own: tuple[str, ...], methods: tuple[str, ...]
) -> tuple[Code | None, tuple[str, ...]]:
    """The condition, and the methods that are asked about: of an invariant for everybody none where it reads what services lack."""
    if node.when is None:
        return None, methods
    serving = frozenset(f"service {method}" for method in methods)
    where = frozenset(own) | serving if node.kinds or not own else frozenset(own)
    types = {**ground.types, "vars": variables(pattern(node.pattern, Book()))}
    denied = NOTHING.union(*(guard.known for guard in ground.guards if where <= guard.operations))
    when = condition(node.when, ground.book, Scope(where=where, types=types, lets=ground.lets, block=True), denied)
    return when, methods if _read_by(when.uses.names, serving) else ()


def _read_by(names: Iterable[str], serving: frozenset[str]) -> bool:
    return all(serving <= BUILTINS[name].where for name in names)


def _text(node: statements.Invariant) -> str:
    """The statement up to its condition."""
    kinds = f" for {_listed(node.kinds)}" if node.kinds else ""
    return f'{node.word} {_listed(node.operations)} on "{node.pattern.value}"{kinds}'


def _listed(words: Iterable[Word]) -> str:
    return ", ".join(word.text for word in words)
