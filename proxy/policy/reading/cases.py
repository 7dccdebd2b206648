"""Builds the tree of test files from what the parser reduces: the last part of the tree builder."""

from typing import cast

from lark import v_args

from proxy.policy.reading.build import Statements, kept
from proxy.policy.reading.lexeme import Lexeme
from proxy.policy.reading.syntax import Expression, MapOf, Text, Word
from proxy.policy.reading.terms import object_to
from proxy.policy.reading.trials import As, Because, By, Case, Expect, Fail, Fixture, Given, Matrix, ServiceCase, Stamps, Test, Trial
from proxy.policy.reading.walk import bound


@v_args(inline=True)
class Cases(Statements):
    """One method for each rule of the grammar about tests."""

    def trials(self, *parts: Trial | Lexeme | None) -> tuple[Trial, ...]:
        """Everything in a test file."""
        return tuple(part for part in parts if part and not isinstance(part, Lexeme))

    def fixture(self, at: Lexeme, name: Word, arguments: tuple[Expression, ...] | None, value: Expression) -> Fixture:
        """`fixture fact(…) = …;`."""
        for argument in arguments or ():
            bound(argument)
        return Fixture(at=at.at, name=name, arguments=arguments or (), value=value)

    def test(self, at: Lexeme, title: Text, *cases: Case | Lexeme) -> Test:
        """`test "TITLE" { … }`."""
        return Test(at=at.at, title=title, cases=kept(cases))

    def as_user(self, at: Lexeme, user: Text, *expectations: Expect | Lexeme) -> As:
        """`as "USER" { … }`."""
        return As(at=at.at, user=user, expectations=kept(expectations))

    def fail(self, at: Lexeme, fact: Word, *cases: As | ServiceCase | Lexeme) -> Fail:
        """`fail FACT { … }`."""
        return Fail(at=at.at, fact=fact, cases=kept(cases))

    def as_service(self, at: Lexeme, service: Word, *expectations: Expect | Lexeme) -> ServiceCase:
        """`service NAME { … }`."""
        return ServiceCase(at=at.at, service=service, expectations=kept(expectations))

    def expect(self, effect: Lexeme, operation: Word, target: Text | None, *clauses: Given | By | Stamps | Because) -> Expect:
        """`allow publish "chat:doc-7" data {…} by "…";`."""
        for clause in clauses:
            if isinstance(clause, Because if effect.type == "ALLOW" else Stamps):
                message = f"{effect.text} has no {'because' if effect.type == 'ALLOW' else 'stamps'}"
                raise object_to(clause.at, message, "because belongs to deny, stamps to allow")
        return Expect(
            at=effect.at, effect="allow" if effect.type == "ALLOW" else "deny", operation=operation, target=target, clauses=clauses
        )

    def given(self, name: Lexeme, value: Expression) -> Given:
        """`data …`."""
        return Given(at=name.at, name=Word(at=name.at, text=name.text), value=value)

    def by(self, at: Lexeme, rule: Text) -> By:
        """`by "RULE"`."""
        return By(at=at.at, rule=rule)

    def stamps(self, at: Lexeme, value: MapOf) -> Stamps:
        """`stamps {…}`."""
        bound(value)
        return Stamps(at=at.at, value=value)

    def because(self, at: Lexeme, reason: Word) -> Because:
        """`because REASON`."""
        return Because(at=at.at, reason=reason)

    def matrix(self, at: Lexeme, users: object, channels: object, operations: tuple[Word, ...], expect: Text) -> Matrix:
        """`matrix users […] channels […] operations […] expect …;`."""
        texts = cast("tuple[tuple[Text, ...], tuple[Text, ...]]", (users, channels))
        return Matrix(at=at.at, users=texts[0], channels=texts[1], operations=operations, expect=expect)
