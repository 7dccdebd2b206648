"""One condition, decided by the policy and by other engines, each used as its documentation says: what can be is parsed once.

Everybody starts from a hook's decoded body and gives a bool. The policy finds its rule by the channel and the operation, and gives a
complete decision; the others hold this one condition and are handed the parts of the channel. Cedar and Casbin cannot measure a text,
so that they are handed its length, too.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final

from bench import calls
from bench.calls import Candidate
from bench.ratios import Findings
from proxy.policy.decision import Allow, Request
from proxy.policy.load import load

INPUTS: Final = 64
_LONGEST: Final = 2000

Body = Mapping[str, Any]
Judge = Callable[[Body], bool]

CONDITION: Final = (
    "!meta.suspended && meta.tenant == vars.tenant && ('role7' in meta.roles || 'admin' in meta.roles) "
    "&& data.type in ['message', 'typing'] && size(data.text) <= 2000 && meta.subscribed"
)
POLICY: Final = f"""language 1;
meta {{ suspended: bool, tenant: string, roles: list<string>, subscribed: bool }}
channel "chat:{{tenant}}:{{room}}" {{ allow publish when {CONDITION}; }}
"""
CEDAR: Final = """permit (principal, action == Action::"publish", resource) when {
  !principal.suspended && principal.tenant == resource.tenant &&
  (principal.roles.contains("role7") || principal.roles.contains("admin")) &&
  ["message", "typing"].contains(context.type) && context.size <= 2000 && principal.subscribed
};"""
CASBIN: Final = """[request_definition]
r = sub, obj, act
[policy_definition]
p = sub_rule, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = eval(p.sub_rule) && r.act == p.act
"""
CASBIN_RULE: Final = (
    "!r.sub.suspended && r.sub.tenant == r.obj.tenant && ('role7' in r.sub.roles || 'admin' in r.sub.roles) "
    "&& r.obj.type in ['message', 'typing'] && r.obj.size <= 2000 && r.sub.subscribed"
)


def findings() -> Findings:
    """Compare everybody with the policy; who is not installed is left out and named."""
    asked = bodies()
    expected = [_plain(body) for body in asked]
    assert sum(expected) == INPUTS // 2
    everybody = {"Python function": lambda: _plain, "cel-expr-python": _cel, "cedarpy": _cedar, "pycasbin": _casbin}
    candidates: list[Candidate] = []
    notes = ["the policy also finds the rule by its channel, checks the type of meta and gives a decision; the others give a bool"]
    for name, prepare in everybody.items():
        try:
            judge = prepare()
        except ImportError as error:
            notes.append(f"{name} is not installed: {error}")
        else:
            candidates.append(_candidate(name, judge, asked, expected))
    return Findings(
        yardstick="the policy's decision",
        intervals=calls.run(_candidate("policy", _policy(), asked, expected), candidates, {}),
        notes=notes,
    )


def bodies() -> Sequence[Body]:
    """Give the inputs, each another; every second one fails a different part of the condition."""
    return [_body(number, (number // 2) % 6 if number % 2 else -1) for number in range(INPUTS)]


def _body(number: int, wrong: int) -> Body:
    meta = {
        "suspended": wrong == 0,
        "tenant": "other" if wrong == 1 else f"tenant{number % 5}",
        "roles": ["member", "guest" if wrong == 2 else ("role7", "admin")[number % 4 // 2]],
        "subscribed": wrong != 5,
        "name": f"User {number}",
        "plan": "free",
        "locale": "en",
    }
    return {
        "client": f"2bc9c74b-22b0-4d63-90cd-{number:012d}",
        "transport": "websocket",
        "user": f"user{number}",
        "channel": f"chat:tenant{number % 5}:{number}",
        "vars": {"tenant": f"tenant{number % 5}", "room": str(number)},
        "meta": meta,
        "data": {"type": "image" if wrong == 3 else "message", "text": "x" * (_LONGEST + 1 if wrong == 4 else 20 + number)},
    }


def _candidate(name: str, judge: Judge, asked: Sequence[Body], expected: Sequence[bool]) -> Candidate:
    return Candidate(name=name, call=judge, inputs=[(body,) for body in asked], expected=expected)


def _plain(body: Body) -> bool:
    meta, data = body["meta"], body["data"]
    return bool(
        not meta["suspended"]
        and meta["tenant"] == body["vars"]["tenant"]
        and ("role7" in meta["roles"] or "admin" in meta["roles"])
        and data["type"] in {"message", "typing"}
        and len(data["text"]) <= _LONGEST
        and meta["subscribed"]
    )


def _policy() -> Judge:
    policy = load({"engines.policy": POLICY.encode()}).policy
    assert policy is not None

    def judge(body: Body) -> bool:
        request = Request(
            op="publish",
            user=body["user"],
            channel=body["channel"],
            client=body["client"],
            transport=body["transport"],
            meta=body["meta"],
            data=body["data"],
        )
        return isinstance(policy.decide(request, {}), Allow)

    return judge


def _cel() -> Judge:
    cel = import_module("cel_expr_python.cel")
    any_map = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    environment = cel.NewEnv(variables={"meta": any_map, "vars": cel.Type.Map(cel.Type.STRING, cel.Type.STRING), "data": any_map})
    expression = environment.compile(CONDITION)

    def judge(body: Body) -> bool:
        found = expression.eval(data={"meta": body["meta"], "vars": body["vars"], "data": body["data"]})
        return found.value() is True

    return judge


def _cedar() -> Judge:
    cedar = import_module("cedarpy")
    policies = cedar.PolicySet.from_str(CEDAR)

    def judge(body: Body) -> bool:
        user, channel, data = {"type": "User", "id": body["user"]}, {"type": "Channel", "id": body["channel"]}, body["data"]
        request = {
            "principal": user,
            "action": {"type": "Action", "id": "publish"},
            "resource": channel,
            "context": {"type": data["type"], "size": len(data["text"])},
        }
        entities = [{"uid": user, "attrs": body["meta"], "parents": []}, {"uid": channel, "attrs": body["vars"], "parents": []}]
        return bool(cedar.is_authorized(request, policies, entities).allowed)

    return judge


def _casbin() -> Judge:
    casbin = import_module("casbin")
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=CASBIN))
    enforcer.add_policy(CASBIN_RULE, "publish")

    def judge(body: Body) -> bool:
        data = body["data"]
        channel = SimpleNamespace(**body["vars"], type=data["type"], size=len(data["text"]))
        return bool(enforcer.enforce(SimpleNamespace(**body["meta"]), channel, "publish"))

    return judge
