"""Probes of the two servers from the side of their owners: the hooks of the service, the server API of Centrifugo."""

import secrets
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from proxy.errors import DeliveryFault
from proxy.review.doctor.chart import Chart
from proxy.review.doctor.findings import Finding
from proxy.review.doctor.needs import Needs, Space
from proxy.review.doctor.pair import NAME, Pair, finding

SKEW_S: Final = 5.0
"""Seconds that the clocks may differ; a subscription token is valid for 60 s."""
TIMES: Final = 5
"""How often a hook is asked to see how long it takes."""

OK: Final = 200
"""Status of an answer."""

_UNAUTHORIZED, _UNAVAILABLE = 401, 108
_SECRET: Final = "X-Centrigate-Hook-Secret"  # noqa: S105 - the name of the header
_KEY: Final = "X-API-Key"


async def service(pair: Pair, chart: Chart, http: httpx.AsyncClient, times_ms: dict[str, float]) -> list[Finding]:
    """Call the hook of a method that no policy has, with the secret and with a wrong one."""
    begun = time.perf_counter()
    answers = [await _hook(pair, http, pair.hook_secret) for _ in range(TIMES)]
    took = (time.perf_counter() - begun) * 1000 / TIMES
    if answers[-1] == "status 401":
        advice = "restart it with this secret"
        return [finding("hook-secret-refused", "HOOK_SECRET", found="status 401", expected="status 200", advice=advice)]
    if answers[-1] != "status 200":
        advice = "start it, or give the doctor the settings that it has"
        return [finding("service-away", "PORT", found=f"{answers[-1]} at {pair.service}", expected="status 200", advice=advice)]
    times_ms["hook"] = took
    found = []
    if await _hook(pair, http, secrets.token_hex(32)) == "status 200":
        advice = "see what answers in its place"
        found.append(finding("hook-open", "HOOK_SECRET", found="a wrong secret accepted", expected="status 401", advice=advice))
    for proxy in chart.proxies:
        if took * 2 > proxy.timeout_ms:
            told, expected, advice = (
                f"{took:.1f}ms for a hook that asks nothing",
                "half the timeout at most",
                "see what the service waits for",
            )
            found.append(chart.finding("slow-hooks", (*proxy.path, "timeout"), found=told, expected=expected, advice=advice))
    return found


async def _hook(pair: Pair, http: httpx.AsyncClient, secret: str) -> str:
    """Call it and say what came back."""
    body = {"client": NAME, "transport": "websocket", "protocol": "json", "encoding": "json", "user": NAME, "method": NAME}
    try:
        answer = await http.post(f"{pair.service}/centrifugo/rpc", json=body, headers={_SECRET: secret})
    except httpx.HTTPError as error:
        return type(error).__name__
    return f"status {answer.status_code}"


async def server(pair: Pair, chart: Chart, needs: Needs, http: httpx.AsyncClient) -> list[Finding]:
    """Ask Centrifugo's server API who it is, with the key and with a wrong one, and what namespaces keep."""
    answer = await call(pair, http, "info", {})
    key, own = ("http_api", "key"), "CENTRIGATE_CENTRIFUGO_API_KEY"
    if answer.status_code == _UNAUTHORIZED:
        return [chart.finding("api-key-refused", key, found="another key", expected=own, advice="give both the same key")]
    found = []
    skew = time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    if abs(skew) > SKEW_S:
        told = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead'}"
        found.append(finding("clock-skew", "CENTRIFUGO_URL", found=told, expected="the same time", advice="let both follow a time server"))
    if (await call(pair, http, "info", {}, key=secrets.token_hex(32))).status_code == OK:
        path, advice = ("http_api", "insecure"), "remove it and set http_api.key"
        found.append(chart.finding("open-api", path, found="a wrong key accepted", expected="status 401", advice=advice))
    for version in sorted({str(node.get("version", "")) for node in _result(answer).get("nodes", ())}):
        if version.partition(".")[0] != str(chart.version):
            advice = "give --centrifugo-version, or the file that Centrifugo was started with"
            found.append(finding("other-version", "CENTRIFUGO_URL", found=version, expected=f"version {chart.version}", advice=advice))
    return found + [each for name in needs.spaces for each in await _kept(pair, chart, needs.spaces[name], http)]


async def _kept(pair: Pair, chart: Chart, said: Space, http: httpx.AsyncClient) -> list[Finding]:
    """What a namespace does not keep though the policy lets clients read it."""
    found = []
    for operation, method in (("presence", "presence_stats"), ("history", "history")):
        if operation in said.operations and not said.wider(operation):
            answer = (await call(pair, http, method, {"channel": channel(said.name)})).json()
            if answer.get("error", {}).get("code") == _UNAVAILABLE:
                path = next((space.path for space in chart.spaces if space.name == said.name), ("channel", "namespaces"))
                advice = f"the policy has rules for {operation}"
                found.append(chart.finding(f"{operation}-missing", path, found="error 108", expected=operation, advice=advice))
    return found


def channel(space: str, name: str = NAME) -> str:
    """A channel of a namespace."""
    return f"{space}:{name}" if space else name


async def call(pair: Pair, http: httpx.AsyncClient, method: str, command: Mapping[str, object], key: str | None = None) -> httpx.Response:
    """Call Centrifugo's server API; raises `DeliveryFault` for what is no answer of it."""
    try:
        answer = await http.post(f"{pair.api}/api/{method}", json=command, headers={_KEY: key or pair.api_key})
    except httpx.HTTPError as error:
        raise DeliveryFault(f"Centrifugo's server API at {pair.api} does not answer: {type(error).__name__}") from None
    if answer.status_code not in (OK, _UNAUTHORIZED) or "date" not in answer.headers:
        raise DeliveryFault(f"{pair.api} answered with status {answer.status_code}, so it is not Centrifugo's server API")
    return answer


def _result(answer: httpx.Response) -> Mapping[str, Any]:
    found = answer.json()
    return found.get("result") or {} if isinstance(found, dict) else {}
