"""`POST /api/explain`: what the running service would decide, and why; for services that the policy lets `explain`."""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias

from starlette.requests import Request as Call
from starlette.responses import Response
from starlette.routing import Route

from proxy.edge.gateway import owner
from proxy.edge.intake import Intake
from proxy.errors import FactFault, Overload
from proxy.gateway.api import Keys
from proxy.policy.decision import Allow, Deny, Request
from proxy.wire.api import ApiError, encode_outcome
from proxy.wire.codes import ErrorCode
from proxy.wire.read import ambiguous, document, refuse

METHOD: Final = "explain"
"""The method that a service is allowed; its channel is the one that is asked about, its data says who asks for what."""

Explain: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, object]]]
"""Explains the decision on a request written as the command `decide` reads it; raises `Malformed`."""

_SHOWN: Final = ("op", "user", "service", "method", "channel")


class Decider(Protocol):
    """Where decisions come from."""

    async def decide(self, request: Request) -> Allow | Deny:
        """Decide one request."""


def route(decider: Decider, keys: Keys, explain: Explain, intake: Intake, clock: Callable[[], int]) -> Route:
    """Route the endpoint; 401 for an unknown key, 403 for a service that may not, an explanation else."""

    async def endpoint(call: Call) -> Response:
        service = owner(keys, call)
        body = await intake.body(call)
        asked = document(body)
        if ambiguous(body):
            refuse("the body", "JSON that has one meaning: each member once, integers of 64 bits")
        decision = await decider.decide(_own(service.name, asked, clock()))
        if isinstance(decision, Deny):
            return _refusal(decision)
        told = await explain(asked)
        return Response(json.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})

    return intake.post(f"/api/{METHOD}", endpoint)


def _own(service: str, asked: Mapping[str, Any], now_ms: int) -> Request:
    """The request to explain something, without headers and payloads: it is decided and logged as any other, and masks know their place."""
    shown = {name: value for name in _SHOWN if isinstance(value := asked.get(name), str)}
    return Request(op=METHOD, service=service, method=METHOD, channel=shown.get("channel"), data=shown, timestamp_ms=now_ms)


def _refusal(decision: Deny) -> Response:
    """Say no, but not why; raises `Overload` and `FactFault` for what may be otherwise soon."""
    if decision.reason == "limit":
        raise Overload("explanations are asked for too often")
    if decision.reason == "fact_error":
        raise FactFault("whether this may be explained cannot be said now")
    no = encode_outcome(ApiError(code=ErrorCode.PERMISSION_DENIED, message="permission denied"))
    return Response(no, HTTPStatus.FORBIDDEN, media_type="application/json")
