from proxy.demo import data
from proxy.policy.decision import Allow, Deny, FactKey, Known, Request
from tests.demo.policies import demo, loaded


class Database:
    """Answers facts as the demo's database would."""

    def get(self, key: FactKey, /) -> Known:
        match key:
            case "account", str(user):
                person = data.PEOPLE.get(user)
                return Known(value=person and {"suspended": person.suspended})
            case "doc_member", doc, user:
                return Known(value=next(({"role": role} for each, who, role in data.ROLES if (each, who) == (doc, user)), None))
        raise AssertionError(key)


def may(user: str, op: str, channel: str) -> bool:
    data_ = {"type": "message", "text": "hi"} if op == "publish" else None
    decision = demo().decide(Request(op=op, user=user, channel=channel, data=data_, timestamp_ms=0), Database())
    assert isinstance(decision, Allow | Deny)
    return isinstance(decision, Allow)


def test_the_demo_policy_has_no_findings() -> None:
    assert loaded().findings == ()


def test_the_people_may_what_is_said_of_them() -> None:
    writers = {user for user in data.PEOPLE if may(user, "publish", "chat:doc-7")}
    readers = {user for user in data.PEOPLE if may(user, "subscribe", "chat:doc-7")}
    assert writers == {data.ANN.id, data.BEN.id}
    assert readers == {data.ANN.id, data.BEN.id, data.DEE.id}


def test_nobody_hears_the_notifications_of_another() -> None:
    assert not any(may(user, "subscribe", f"notifications#{other}") for user in data.PEOPLE for other in data.PEOPLE if user != other)
