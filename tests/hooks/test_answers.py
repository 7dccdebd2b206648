import pytest

from proxy.hooks.answers import COMMANDS, CONNECTIONS, Answers
from proxy.policy.decision import REASONS, Deny

from .scene import written

DENY = Deny(reason="suspended", rule="deny/suspended", at="base.policy:12", detail="why")


@pytest.mark.parametrize(
    ("reason", "code", "temporary"),
    [
        ("no_identity", 103, False),
        ("suspended", 103, False),
        ("error", 103, False),
        ("no_rule", 103, False),
        ("bad_channel", 107, False),
        ("no_channel", 102, False),
        ("no_method", 104, False),
        ("schema", 107, False),
        ("limit", 111, True),
        ("fact_error", 100, True),
        ("overload", 111, True),
    ],
)
def test_commands_are_refused_by_the_table(reason: str, code: int, temporary: bool) -> None:  # noqa: FBT001
    answer = Answers().command(Deny(reason=reason))
    assert (answer.code, answer.temporary) == (code, temporary)
    assert reason not in answer.message


@pytest.mark.parametrize("reason", ["suspended", "error", "no_rule", "schema", "bad_channel", "no_channel", "nonsense"])
def test_a_refused_connection_is_forbidden(reason: str) -> None:
    assert written(Answers().connection(Deny(reason=reason))) == {"disconnect": {"code": 4503, "reason": "forbidden"}}


def test_a_stranger_is_unauthorized() -> None:
    assert written(Answers().connection(Deny(reason="no_identity"))) == {"disconnect": {"code": 4501, "reason": "unauthorized"}}


@pytest.mark.parametrize(("reason", "code"), [("limit", 111), ("fact_error", 100), ("overload", 111)])
def test_a_connection_that_may_succeed_later_is_told_so(reason: str, code: int) -> None:
    answer = written(Answers().connection(Deny(reason=reason)))
    assert (answer["error"]["code"], answer["error"]["temporary"]) == (code, True)


def test_every_reason_has_an_answer() -> None:
    assert set(REASONS) - {"allowed"} <= set(COMMANDS)
    assert set(CONNECTIONS) <= set(COMMANDS)


def test_an_explanation_names_reason_rule_and_place() -> None:
    answers = Answers(explain=True)
    why = "suspended by deny/suspended at base.policy:12 (why)"
    assert answers.command(DENY).message == f"permission denied: {why}"
    assert written(answers.connection(DENY)) == {"disconnect": {"code": 4503, "reason": f"forbidden: {why}"}}
    assert written(answers.connection(Deny(reason="limit")))["error"]["message"] == "too many requests: limit"


def test_an_explanation_fits_a_close_frame() -> None:
    reason = written(Answers(explain=True).connection(Deny(reason="x" * 113 + "é")))["disconnect"]["reason"]
    assert len(reason.encode()) <= 123
    assert reason.startswith("forbidden: xxx")
