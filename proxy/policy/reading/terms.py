"""Builds expressions and types from what the parser reduces: the first half of the tree builder."""

from typing import Literal as OneOf
from typing import cast

from lark import Transformer, v_args

from proxy.policy.findings import Finding, Objection, Position
from proxy.policy.reading.lexeme import Lexeme
from proxy.policy.reading.syntax import (
    Binary,
    Call,
    Chain,
    Conditional,
    Expression,
    Field,
    Has,
    Index,
    ListOf,
    ListType,
    Literal,
    Macro,
    MapOf,
    MapType,
    Member,
    Method,
    Name,
    NamedType,
    NullableType,
    Paren,
    RecordType,
    Text,
    TypeSyntax,
    Unary,
    Word,
)  # fmt: skip
from proxy.policy.reading.walk import bound

_ROWS = ("||", "&&", "== != < <= > >= in", "+ -", "* / %")
_BINDING = {sign: row for row, signs in enumerate(_ROWS) for sign in signs.split()}
_SIGNS = {"or": "||", "and": "&&", "not": "!"}
_MACROS = ("all", "exists", "exists_one")

_CHAINS = ("||", "&&")

_Chain = OneOf["||", "&&"]
_Sign = OneOf["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"]


def object_to(at: Position, message: str, hint: str = "") -> Objection:
    """Give the objection that a text is no policy."""
    return Objection(Finding(id="syntax", at=at, message=message, hint=hint))


@v_args(inline=True)
class Terms(Transformer[Lexeme, object]):
    """One method for each rule of the grammar about words, types and expressions."""

    def word(self, lexeme: Lexeme) -> Word:
        """Any word, in a place where its case does not matter."""
        return Word(at=lexeme.at, text=lexeme.text)

    def name(self, lexeme: Lexeme) -> Word:
        """A declared name."""
        return _declared(lexeme.at, lexeme.text)

    def words(self, *words: Word) -> tuple[Word, ...]:
        """Words between commas."""
        return words

    def text(self, lexeme: Lexeme) -> Text:
        """A string that is no expression."""
        return Text(at=lexeme.at, value=lexeme.value)

    def texts(self, *texts: Text) -> tuple[Text, ...]:
        """Strings between commas."""
        return texts

    def named(self, lexeme: Lexeme) -> NamedType:
        """`string`."""
        return NamedType(at=lexeme.at, name=lexeme.text)

    def nullable(self, of: TypeSyntax) -> NullableType:
        """`T?`."""
        return NullableType(at=of.at, of=of)

    def list_type(self, at: Lexeme, of: TypeSyntax) -> ListType:
        """`list<T>`."""
        return ListType(at=at.at, of=of)

    def map_type(self, at: Lexeme, key: TypeSyntax, of: TypeSyntax) -> MapType:
        """`map<string, T>`."""
        return MapType(at=at.at, key=key, of=of)

    def record(self, at: Lexeme, fields: tuple[Field, ...]) -> RecordType:
        """`{field: T, …}`."""
        return RecordType(at=at.at, fields=fields)

    def fields(self, *fields: Field | None) -> tuple[Field, ...]:
        """The fields of a record."""
        return tuple(field for field in fields if field)

    def field(self, name: Word, optional: Lexeme | None, of: TypeSyntax) -> Field:
        """`name?: T`."""
        return Field(name=name, optional=optional is not None, type=of)

    def whole(self, expression: Expression) -> Expression:
        """A complete expression, within the limits."""
        bound(expression)
        return expression

    def literal(self, lexeme: Lexeme) -> Literal:
        """A number, string, `true`, `false` or `null`."""
        return Literal(at=lexeme.at, value=_value(lexeme))

    def variable(self, lexeme: Lexeme) -> Name:
        """A name that is used."""
        return Name(at=lexeme.at, id=lexeme.text)

    def member(self, of: Expression, name: Word) -> Member:
        """`of.name`."""
        return Member(at=of.at, of=of, name=name)

    def index(self, of: Expression, index: Expression) -> Index:
        """`of[index]`."""
        return Index(at=of.at, of=of, index=index)

    def arguments(self, *arguments: Expression) -> tuple[Expression, ...]:
        """Expressions between commas."""
        return arguments

    def call(self, name: Lexeme, arguments: tuple[Expression, ...] | None) -> Call | Has:
        """`name(…)`; `has` takes a field."""
        if name.text != "has":
            return Call(at=name.at, name=name.text, arguments=arguments or ())
        if not arguments or len(arguments) > 1 or not isinstance(arguments[0], Member):
            raise object_to(name.at, "has takes one field", "write has(data.text)")
        return Has(at=name.at, of=arguments[0].of, name=arguments[0].name)

    def method(self, of: Expression, name: Word, arguments: tuple[Expression, ...] | None) -> Method | Macro:
        """`of.name(…)`; macros take a variable and what shall hold for it."""
        if name.text not in _MACROS:
            return Method(at=of.at, of=of, name=name, arguments=arguments or ())
        match arguments:
            case (Name() as variable, body):
                return Macro(at=of.at, of=of, name=name, variable=_declared(variable.at, variable.id), body=body)
        raise object_to(name.at, f"{name.text} takes a variable and a condition", f"write .{name.text}(item, item != null)")

    def list_of(self, at: Lexeme, *items: Expression | None) -> ListOf:
        """`[…]`."""
        return ListOf(at=at.at, items=tuple(item for item in items if item))

    def map_of(self, at: Lexeme, *entries: tuple[Text, Expression] | None) -> MapOf:
        """`{…}`."""
        return MapOf(at=at.at, entries=tuple(entry for entry in entries if entry))

    def entry(self, key: Text, value: Expression) -> tuple[Text, Expression]:
        """`"key": value`."""
        return key, value

    def paren(self, at: Lexeme, of: Expression) -> Paren:
        """`(of)`."""
        return Paren(at=at.at, of=of)

    def conditional(self, test: Expression, then: Expression, other: Expression) -> Conditional:
        """`test ? then : other`."""
        return Conditional(at=test.at, test=test, then=then, other=other)

    def unary(self, sign: Lexeme, of: Expression) -> Unary | Literal:
        """`!of` and `-of`; a minus before a number belongs to the number."""
        if sign.type != "MINUS":
            return Unary(at=sign.at, op="!", of=of)
        if isinstance(of, Literal) and not isinstance(of.value, bool | str | None) and of.value >= 0:
            return Literal(at=sign.at, value=-of.value)
        return Unary(at=sign.at, op="-", of=of)

    def operation(self, first: Expression, *rest: Expression | Lexeme) -> Expression:
        """Operands with operators between them: the row of `_ROWS` decides, then left goes before right."""
        operands, operators = [first], list[str]()
        for operator, operand in zip(rest[::2], rest[1::2], strict=True):
            sign = cast("Lexeme", operator).text
            sign = _SIGNS.get(sign, sign)
            while operators and _binds(operators[-1], sign):
                _join(operands, operators)
            operators.append(sign)
            operands.append(cast("Expression", operand))
        while operators:
            _join(operands, operators)
        return operands[0]


def _declared(at: Position, name: str) -> Word:
    if name != name.lower():
        raise object_to(at, f"the name {name} has capital letters", f"write {name.lower()}")
    return Word(at=at, text=name)


def _value(lexeme: Lexeme) -> bool | int | float | str | None:
    match lexeme.type:
        case "STRING":
            return lexeme.value
        case "INT":
            return int(lexeme.text)
        case "DOUBLE":
            return float(lexeme.text)
        case "NULL":
            return None
    return lexeme.type == "TRUE"


def _binds(left: str, right: str) -> bool:
    """Whether the left operator takes the operand between them; equal terms of a chain wait for each other."""
    return _BINDING[left] > _BINDING[right] or (_BINDING[left] == _BINDING[right] and left not in _CHAINS)


def _join(operands: list[Expression], operators: list[str]) -> None:
    sign = operators.pop()
    if sign not in _CHAINS:
        right, left = operands.pop(), operands.pop()
        operands.append(Binary(at=left.at, op=cast("_Sign", sign), left=left, right=right))
        return
    count = 2
    while operators and operators[-1] == sign:
        operators.pop()
        count += 1
    terms = tuple(operands[-count:])
    del operands[-count:]
    operands.append(Chain(at=terms[0].at, op=cast("_Chain", sign), terms=terms))
