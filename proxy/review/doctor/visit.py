"""Visits a running pair: as its owner, and as a client who tries what the policy does not know.

Everything is done as the user `centrigate-doctor`, on channels of that name with a space in it. No policy allows anything on a channel
with a space, so nobody is disturbed, and whatever is allowed is allowed past the policy.
"""

import dataclasses
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from proxy.errors import DeliveryFault
from proxy.policy.policy import Policy
from proxy.review.doctor import probes
from proxy.review.doctor.chart import Chart, Space, switch
from proxy.review.doctor.findings import Finding
from proxy.review.doctor.line import Line, line
from proxy.review.doctor.needs import Needs, needs
from proxy.review.doctor.pair import NAME, Measured, Pair, finding
from proxy.review.doctor.probes import OK, call, channel
from proxy.review.doctor.vocabulary import EVENTS
from proxy.tokens.keys import Key
from proxy.tokens.mint import Pen, unasked

TIMEOUT_S: Final = 10.0
"""Seconds that a call may take."""
TRIED: Final = NAME.replace("-", " ")
"""The name of the channels on which nothing is allowed."""
TOKEN_S: Final = 60
"""Seconds for which the tokens of a visit are valid."""

_FAILED, _DENIED = 100, 103


async def visit(pair: Pair, chart: Chart, policy: Policy) -> Measured:
    """Probe the service, the server API and the connections of clients; each of them that does not answer is a finding."""
    times_ms: dict[str, float] = {}
    wanted = needs(policy, str(chart.at("channel", "namespace_boundary") or ":"))
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        found = await probes.service(pair, chart, http, times_ms)
        try:
            found += await probes.server(pair, chart, wanted, http)
            found += await _strangers(pair, chart, policy)
            found += await _client(pair, chart, wanted, http, times_ms)
        except DeliveryFault as fault:
            advice = "start it, or correct the address"
            found.append(finding("centrifugo-away", "CENTRIFUGO_URL", found=str(fault), expected="an answer", advice=advice))
    return Measured(findings=tuple(dict.fromkeys(found)), times_ms=times_ms)


async def _strangers(pair: Pair, chart: Chart, policy: Policy) -> list[Finding]:
    """Without a token, and with one that somebody else signed."""
    found = []
    async with line(pair.socket) as talk:
        reply = await talk.ask("connect")
    if "connect" in reply and not policy.guests:
        path = (*EVENTS["connect"], "enabled")
        advice = "see that the hook is enabled, and that allow_anonymous_connect_without_token is not"
        found.append(chart.finding("anonymous-connect", path, found="a connection of nobody", expected="a refusal", advice=advice))
    elif _code(reply) == _FAILED:
        found.append(_failing(chart, EVENTS["connect"]))
    foreign = dataclasses.replace(pair.key, sign=lambda _: secrets.token_bytes(64))
    async with line(pair.socket) as talk:
        reply = await talk.ask("connect", token=_token(foreign))
    if "connect" in reply:
        switch = ("client", "insecure_skip_token_signature_verify")
        found.append(chart.finding("foreign-token", switch, found="a forged token accepted", expected="a refusal", advice="remove it"))
    return found


async def _client(pair: Pair, chart: Chart, needs: Needs, http: httpx.AsyncClient, times_ms: dict[str, float]) -> list[Finding]:
    """With a token of ours."""
    found = []
    async with line(pair.socket) as talk:
        reply = await talk.ask("connect", token=_token(pair.key))
        if "connect" not in reply:
            return [_refused(chart, "token", reply, "a connection")]
        if needs.lease and reply["connect"].get("expires"):
            path = (*EVENTS["refresh"], "enabled")
            told = "a client that must renew itself"
            found.append(chart.finding("refresh-hook-missing", path, found=told, expected="true", advice="enable it"))
        for space in chart.spaces:
            if space.kind == "stream":
                found += await _space(talk, chart, space)
        return found + await _round(talk, pair, chart, http, times_ms)


async def _space(talk: Line, chart: Chart, space: Space) -> list[Finding]:
    """The hook answers 107 (a bad channel) to what is tried here; Centrifugo's own refusal, 103, tells that it was not asked."""
    name, data, granted, found = channel(space.name, TRIED), {"from": NAME}, False, list[Finding]()

    def tell(id_: str, key: str, what: str, expected: str = "a refusal", advice: str = "remove it") -> None:
        found.append(chart.finding(id_, (*space.path, *key.split(".")), found=f"{what} on {name}", expected=expected, advice=advice))

    for operation in ("presence", "history"):
        if operation in await talk.ask(operation, channel=name):
            tell(f"{operation}-for-everybody", f"allow_{operation}_for_client", operation)
    for event, more in (("publish", {"data": data}), ("subscribe", {})):
        reply = await talk.ask(event, channel=name, **more)
        granted = event in reply
        if granted:
            tell("flag-grants", f"allow_{event}_for_client", f"{event} allowed")
        elif _code(reply) == _DENIED:
            tell("hook-missing", ".".join(switch(event)), f"{event} not asked about", "true", "enable it")
        elif _code(reply) == _FAILED:
            found.append(_failing(chart, EVENTS[event]))
    if not granted and "subscribe" in await talk.ask("subscribe", channel=f"{name}#{NAME}"):
        tell("user-limited-channels", "allow_user_limited_channels", f"#{NAME}")
    return found


async def _round(talk: Line, pair: Pair, chart: Chart, http: httpx.AsyncClient, times_ms: dict[str, float]) -> list[Finding]:
    """A subscription by token, and a publication from the server API to it."""
    own = f"{NAME}-{secrets.token_hex(8)}"
    reply = await talk.ask("subscribe", channel=own, token=_token(pair.key, channel=own))
    if "subscribe" not in reply:
        return [_refused(chart, "subscription_token", reply, "a subscription")]
    begun = time.perf_counter()
    answer = await call(pair, http, "publish", {"channel": own, "data": {"from": NAME}, "skip_history": True})
    # That the key of the API is another one was found before.
    if answer.status_code == OK:
        await talk.pushed(own, "pub")
        times_ms["publication"] = (time.perf_counter() - begun) * 1000
    return []


def _token(key: Key, **claims: object) -> str:
    return Pen(key).write({**unasked(NAME, int(time.time()), TOKEN_S), **claims})


def _refused(chart: Chart, section: str, reply: Mapping[str, Any], expected: str) -> Finding:
    told = f"disconnect {reply['closed']}" if "closed" in reply else f"error {_code(reply)}"
    advice = "give Centrifugo the key that tokens are signed with"
    return chart.finding("token-refused", ("client", section, "hmac_secret_key"), found=told, expected=expected, advice=advice)


def _failing(chart: Chart, path: tuple[str, ...]) -> Finding:
    advice = "see that Centrifugo reaches the service there, and has its CENTRIGATE_HOOK_SECRET"
    return chart.finding("hook-fails", (*path, "endpoint"), found="error 100", expected="an answer of the policy", advice=advice)


def _code(reply: Mapping[str, Any]) -> int:
    return int(reply.get("error", {}).get("code", 0))
