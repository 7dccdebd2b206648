"""The type of an expression, and every reason why it has none."""

from collections.abc import Callable
from typing import Any

from proxy.policy.checking.calls import Calls
from proxy.policy.checking.flow import Known, is_null, learn, path
from proxy.policy.checking.world import Book, Code, Scope, Uses, meant
from proxy.policy.names import BUILTINS
from proxy.policy.reading import syntax
from proxy.policy.reading.syntax import Expression
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, NEVER, NULL, STRING, ListOf, MapOf, Nullable, Record, Simple, Type, nullable

NODES = 300
ROUNDS = 4
"""How many loads of facts may follow one another in an expression."""

NUMBERS = (INT, DOUBLE)


def infer(node: Expression, book: Book, scope: Scope, known: Known = frozenset()) -> Code:
    """Checks an expression whose value may be null; findings go into the book, types of its nodes too."""
    inference = Inference(book, scope)
    return inference.finish(node, inference.type(node, known))


def condition(node: Expression, book: Book, scope: Scope, known: Known = frozenset()) -> Code:
    """Checks an expression that must be a bool."""
    inference = Inference(book, scope)
    inference.demand(node, known)
    return inference.finish(node, BOOL)


def value(node: Expression, book: Book, scope: Scope, known: Known = frozenset(), wanted: Type = ANY) -> Code:
    """Checks an expression that must have a value of the wanted type, not null unless that admits it."""
    inference = Inference(book, scope)
    found = inference.use(node, known)
    if not assignable(found, wanted):
        book.find("wrong-type", node.at, f"expected {wanted}, found {found}")
    return inference.finish(node, found)


def assignable(found: Type, wanted: Type) -> bool:
    """Whether a value of the found type may stand where the wanted type is expected; `any` is checked at run time."""
    if ANY in (found, wanted) or found in (wanted, NEVER):
        return True
    match found, wanted:
        case _, Nullable():
            return found == NULL or assignable(found, wanted.of)
        case (ListOf(of=inner), ListOf(of=outer)) | (MapOf(of=inner), MapOf(of=outer)):
            return assignable(inner, outer)
        case MapOf(), Record():
            return all(assignable(found.of, m.type) for m in wanted.fields.values())
    return found == INT and wanted == DOUBLE


def comparable(left: Type, right: Type) -> bool:
    """Whether `==` has a meaning for the two types."""
    if {left, right} & {ANY, NEVER} or left == right:
        return True
    if left in NUMBERS and right in NUMBERS:
        return True
    match left, right:
        case (ListOf(of=one), ListOf(of=other)) | (MapOf(of=one), MapOf(of=other)):
            return comparable(_inner(one), _inner(other))
        case (Record(), MapOf() | Record()) | (MapOf(), Record()):
            return True
    return False


def element(of: Type) -> Type:
    """The type of what is taken out of a list or map of `of`; nothing is in an empty one, so that it may be used as anything."""
    return ANY if of == NEVER else of


def _inner(found: Type) -> Type:
    return found.of if isinstance(found, Nullable) else found


def union(types: list[Type]) -> Type:
    """The type of a list's members: theirs if it is one, else `any`."""
    first = next((t for t in types if t != NEVER), NEVER)
    return first if all(t in (first, NEVER) for t in types) else ANY


class Inference(Calls):
    """One walk over one expression."""

    def __init__(self, book: Book, scope: Scope) -> None:
        self.book, self.scope = book, scope
        self.variables: dict[str, Type] = {}
        self.macros = 0
        self.nodes = 0
        self.names: set[str] = set()
        self.facts: set[str] = set()
        self.lets: set[int] = set()
        self.through = Uses()
        self.deepest = 0

    def finish(self, node: Expression, found: Type) -> Code:
        """The finished walk."""
        if self.nodes > NODES:
            self.book.find("too-large", node.at, f"the expression has {self.nodes} terms, at most {NODES} are allowed", "split it with let")
        if self.deepest > ROUNDS:
            self.book.find("bad-fact", node.at, f"{self.deepest} facts follow one another here, at most {ROUNDS} may")
        uses = Uses(names=frozenset(self.names), facts=frozenset(self.facts), direct=frozenset(self.lets), depth=self.deepest)
        code = Code(node=node, type=found, uses=uses.through(self.through), payload=self.scope.payload)
        self.book.codes.append(code)
        return code

    def wrong(self, node: Expression, message: str, hint: str = "") -> Type:
        """A type error; `any` keeps it from causing others."""
        self.book.find("wrong-type", node.at, message, hint)
        return ANY

    def use(self, node: Expression, known: Known) -> Type:
        """The type of a value that is going to be used, so that it must not be null."""
        found = self.type(node, known)
        if isinstance(found, Nullable):
            self.book.find("maybe-null", node.at, f"this may be null here (its type is {found})", "write … != null && … before it")
            return found.of
        return found

    def demand(self, node: Expression, known: Known) -> None:
        """Demands a condition."""
        found = self.use(node, known)
        if found not in (BOOL, ANY):
            self.wrong(node, f"expected a condition (bool), found {found}")

    def type(self, node: Expression, known: Known) -> Type:
        """The type of a node under what is known; remembered for the compiler."""
        self.nodes += 1
        infer_node: Callable[[Any, Known], Type] = getattr(self, f"_{type(node).__name__.lower()}")
        found = infer_node(node, known)
        if isinstance(found, Nullable) and ("null", path(node)) in known:
            found = found.of
        self.book.types[id(node)] = found
        return found

    def _literal(self, node: syntax.Literal, _: Known) -> Type:
        return {bool: BOOL, int: INT, float: DOUBLE, str: STRING}.get(type(node.value), NULL)

    def _paren(self, node: syntax.Paren, known: Known) -> Type:
        self.nodes -= 1
        return self.type(node.of, known)

    def _name(self, node: syntax.Name, _: Known) -> Type:
        if node.id in self.variables:
            return self.variables[node.id]
        if node.id in self.scope.lets:
            binding = self.scope.lets[node.id]
            self.through = self.through.through(binding.value.uses)
            self.lets.add(binding.slot)
            self.book.used_lets.add(binding.slot)
            self.deepest = max(self.deepest, binding.value.uses.depth)
            return binding.value.type if self._exists(node, binding.where) else ANY
        builtin = BUILTINS.get(node.id)
        if builtin is None or (node.id == "vars" and not self.scope.block):
            names = {*self.variables, *self.scope.lets, *(n for n, b in BUILTINS.items() if self.scope.where <= b.where)}
            self.book.find("unknown-name", node.at, f'there is no "{node.id}" here', meant(node.id, names))
            return ANY
        self.names.add(node.id)
        return self.scope.types.get(node.id, builtin.type) if self._exists(node, builtin.where) else ANY

    def _exists(self, node: syntax.Name, where: frozenset[str]) -> bool:
        missing = sorted(self.scope.where - where)
        if missing:
            self.book.find("unknown-name", node.at, f'"{node.id}" does not exist for {missing[0]}')
        return not missing

    def _member(self, node: syntax.Member, known: Known) -> Type:
        return self._field(self.use(node.of, known), node, node.name, known)

    def _field(self, of: Type, node: syntax.Member | syntax.Index, name: syntax.Word, known: Known) -> Type:
        match of:
            case Record() if name.text in of.fields:
                field = of.fields[name.text]
                if field.optional and ("has", path(node)) not in known:
                    self.book.find("missing-optional", name.at, f'"{name.text}" is optional', "guard it: has(…) && …")
                return field.type
            case Record():
                return self._unknown_member(of, name)
            case MapOf():
                return element(of.of)
            case Simple(name="any"):
                return ANY
        self.book.find("wrong-type", name.at, f'a {of} has no member "{name.text}"')
        return ANY

    def _unknown_member(self, of: Record, name: syntax.Word) -> Type:
        hint = meant(name.text, of.fields) or f"it has: {', '.join(of.fields) or 'nothing'}"
        self.book.find("unknown-name", name.at, f'there is no "{name.text}"', hint)
        return ANY

    def _index(self, node: syntax.Index, known: Known) -> Type:
        of, at = self.use(node.of, known), self.use(node.index, known)
        if isinstance(of, Record) and isinstance(node.index, syntax.Literal) and isinstance(node.index.value, str):
            return self._field(of, node, syntax.Word(at=node.index.at, text=node.index.value), known)
        match of:
            case ListOf() if at in (INT, ANY):
                return element(of.of)
            case MapOf() if at in (STRING, ANY):
                return element(of.of)
            case Simple(name="any") if at in (INT, STRING, ANY):
                return ANY
        return self.wrong(node.index, f"{of} cannot be indexed with {at}")

    def _has(self, node: syntax.Has, known: Known) -> Type:
        of = self.use(node.of, known)
        if isinstance(of, Record) and node.name.text not in of.fields:
            self._unknown_member(of, node.name)
        elif not (isinstance(of, Record | MapOf) or of == ANY):
            self.book.find("wrong-type", node.at, f"a {of} has no members")
        return BOOL

    def _unary(self, node: syntax.Unary, known: Known) -> Type:
        if node.op == "!":
            self.demand(node.of, known)
            return BOOL
        found = self.use(node.of, known)
        return found if found in (*NUMBERS, ANY) else self.wrong(node.of, f"cannot negate {found}")

    def _chain(self, node: syntax.Chain, known: Known) -> Type:
        for term in node.terms:
            self.demand(term, known)
            known |= learn(term, outcome=node.op == "&&")
        return BOOL

    def _conditional(self, node: syntax.Conditional, known: Known) -> Type:
        self.demand(node.test, known)
        then = self.type(node.then, known | learn(node.test, outcome=True))
        other = self.type(node.other, known | learn(node.test, outcome=False))
        if then == other:
            return then
        if ANY in (then, other):
            return ANY
        if NULL in (then, other) or nullable(then) == nullable(other):
            return nullable(other if then == NULL else then)
        return self.wrong(node.other, f"both branches must have one type: {then} and {other}")

    def _binary(self, node: syntax.Binary, known: Known) -> Type:
        if node.op in ("==", "!=") and (is_null(node.left) or is_null(node.right)):
            return self._null_check(node, known)
        left, right = self.use(node.left, known), self.use(node.right, known)
        if node.op in ("==", "!="):
            fine = comparable(left, right)
        elif node.op == "in":
            fine = self._fits_in(left, right)
        elif node.op in ("<", "<=", ">", ">="):
            fine = (ANY in (left, right) and not {left, right} - {ANY, STRING, *NUMBERS}) or (left in NUMBERS and right in NUMBERS)
            fine = fine or left == right == STRING
        else:
            return self._arithmetic(node, left, right)
        return BOOL if fine else self.wrong(node, f"cannot compare {left} {node.op} {right}")

    def _null_check(self, node: syntax.Binary, known: Known) -> Type:
        found = [self.type(side, known - {("null", path(side))}) for side in (node.left, node.right)]
        for each in found:
            if not (isinstance(each, Nullable) or each in (ANY, NULL)):
                self.wrong(node, f"a {each} is never null")
        return BOOL

    def _fits_in(self, left: Type, right: Type) -> bool:
        match right:
            case ListOf():
                return comparable(left, _inner(right.of))
            case MapOf() | Record():
                return left in (STRING, ANY)
        return right == ANY

    def _arithmetic(self, node: syntax.Binary, left: Type, right: Type) -> Type:
        if isinstance(left, ListOf) or isinstance(right, ListOf):
            self.book.find("unsupported", node.at, f"{node.op} on lists is not part of the language")
            return ANY
        allowed = {"+": (INT, DOUBLE, STRING), "%": (INT,)}.get(node.op, NUMBERS)
        for one, other in ((left, right), (right, left)):
            if one in allowed and other in (one, ANY):
                return one
        return ANY if left == right == ANY else self.wrong(node, f"no {left} {node.op} {right}")

    def _listof(self, node: syntax.ListOf, known: Known) -> Type:
        return ListOf(of=union([self.use(item, known) for item in node.items]))

    def _mapof(self, node: syntax.MapOf, known: Known) -> Type:
        seen: set[str] = set()
        for key, _ in node.entries:
            if key.value in seen:
                self.book.find("duplicate-name", key.at, f'the key "{key.value}" stands twice')
            seen.add(key.value)
        return MapOf(of=union([self.use(item, known) for _, item in node.entries]))
