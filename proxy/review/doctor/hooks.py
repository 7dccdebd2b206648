"""Examines the hooks: whether the policy is asked, by whom, in time, and with what it needs to know."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from proxy.review.doctor.chart import Chart, Proxy
from proxy.review.doctor.findings import Finding
from proxy.review.doctor.needs import Needs
from proxy.review.doctor.vocabulary import EVENTS, FIFTH
from proxy.settings import SHORTEST

SECRET: Final = "x-centrigate-hook-secret"  # noqa: S105 - the name of the header, not what it holds
"""The header by which Centrifugo proves itself, in lower case."""
REPEAT: Final = frozenset({"x-idempotency-key", "idempotency-key"})
"""Headers that let Centrifugo's HTTP client send a message again."""
PATIENCE_MS: Final = 5000
"""Milliseconds after which the JavaScript client asks again."""

_EFFECTS: Final = frozenset({"publish", "rpc", "map_publish", "map_remove"})
_WAITED: Final = frozenset({"connect", "subscribe", "publish", "rpc", "map_publish", "map_remove"})
_RENEWALS: Final = frozenset({"refresh", "sub_refresh"})
_LISTS: Final = ("http_headers", "emulated_headers", "grpc_metadata")


def hooks(chart: Chart, needs: Needs) -> Iterator[Finding]:
    """Every proxy that is in use, and those that are missing."""
    asked = set()
    for proxy in chart.proxies:
        asked.add(proxy.event)
        if proxy.event == "subscribe_stream":
            advice = "switch it off and enable the subscribe hook"
            yield chart.finding("stream-hook", proxy.user, found=True, expected="nothing", advice=advice)
        else:
            yield from _proxy(chart, needs, proxy)
    if "connect" not in asked:
        path = (*EVENTS["connect"], "enabled")
        yield chart.finding("connect-hook-missing", path, found=None, expected="true", advice="enable the hook")
    if needs.lease and "refresh" not in asked:
        path = (*EVENTS["refresh"], "enabled")
        advice = "enable the hook: an `expire` of the policy gives connections an end"
        yield chart.finding("refresh-hook-missing", path, found=None, expected="true", advice=advice)
    yield from _methods(chart, needs)


def _methods(chart: Chart, needs: Needs) -> Iterator[Finding]:
    boundary = chart.at("rpc", "namespace_boundary") or ":"
    spaces = {str(options.get("name", "")): (path, options) for path, options in chart.rpcs}
    for method in needs.rpcs:
        head, found, _ = method.partition(boundary)
        name = head if found else ""
        if name not in spaces:
            advice = f"the policy has the method {method}: add the namespace {name}"
            yield chart.finding("namespace-missing", ("rpc", "namespaces"), found=None, expected=name, advice=advice)
        elif not spaces[name][1].get("proxy_enabled"):
            path = (*spaces[name][0], "proxy_enabled")
            yield chart.finding("hook-missing", path, found=None, expected="true", advice=f"the policy has the method {method}: enable it")


def _proxy(chart: Chart, needs: Needs, proxy: Proxy) -> Iterator[Finding]:
    endpoint = proxy.options.get("endpoint")
    if not endpoint:
        advice = f"write the address of the service and /centrifugo/{proxy.event}"
        yield chart.finding("endpoint-missing", (*proxy.path, "endpoint"), found=None, expected="an address", advice=advice)
        return
    if not _ours(endpoint, proxy.event):
        expected = f"http://HOST:PORT/centrifugo/{proxy.event}"
        advice = "let the policy be asked"
        yield chart.finding("foreign-hook", (*proxy.path, "endpoint"), found=_place(endpoint), expected=expected, advice=advice)
        return
    yield from _secret(chart, proxy)
    yield from _time(chart, needs, proxy)
    yield from _knowledge(chart, needs, proxy)
    yield from _repetition(chart, proxy)


def _secret(chart: Chart, proxy: Proxy) -> Iterator[Finding]:
    path = (*proxy.path, "http", "static_headers")
    secret = proxy.headers.get(SECRET)
    if not secret:
        advice = 'write "X-Centrigate-Hook-Secret": "${CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET}", and set that variable for Centrifugo'
        yield chart.finding("secret-missing", path, found=None, expected="the header X-Centrigate-Hook-Secret", advice=advice)
    elif "${" in secret:
        if chart.version == FIFTH:
            advice = (
                """version 5 puts no variables into headers: set CENTRIFUGO_PROXY_STATIC_HTTP_HEADERS='{"X-Centrigate-Hook-Secret": "…"}'"""
            )
            yield chart.finding("variable-missing", path, found=secret, expected="the secret itself", advice=advice)
    elif len(secret.encode()) < SHORTEST:
        found = f"{len(secret.encode())} bytes"
        advice = "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        yield chart.finding("weak-secret", path, found=found, expected=f"at least {SHORTEST} bytes", advice=advice)
    for option in _LISTS:
        if SECRET in proxy.listed(option):
            here = (*proxy.path, option)
            yield chart.finding("forwardable-secret", here, found=SECRET, expected="a list without it", advice="take it out of the list")
    tls = proxy.options.get("http", {}).get("tls", {})
    if tls.get("insecure_skip_verify"):
        here = (*proxy.path, "http", "tls", "insecure_skip_verify")
        advice = "remove it; server_ca_pem takes a certificate of your own"
        yield chart.finding("unchecked-certificate", here, found=True, expected="nothing", advice=advice)


def _time(chart: Chart, needs: Needs, proxy: Proxy) -> Iterator[Finding]:
    path, limit, found = (*proxy.path, "timeout"), proxy.timeout_ms, proxy.options.get("timeout", "nothing, which is 1s")
    slowest = needs.slowest_ms.get(proxy.event, 0)
    if limit <= slowest:
        expected = f"more than {slowest}ms"
        advice = f"the facts for {proxy.event} may take {slowest}ms"
        yield chart.finding("timeout-too-short", path, found=found, expected=expected, advice=advice)
    elif limit >= PATIENCE_MS and proxy.event in _WAITED:
        yield chart.finding("timeout-too-long", path, found=found, expected="less than 5s", advice='write "4s"')


def _knowledge(chart: Chart, needs: Needs, proxy: Proxy) -> Iterator[Finding]:
    if proxy.event in needs.meta - {"connect"} and not proxy.options.get("include_connection_meta"):
        path = (*proxy.path, "include_connection_meta")
        yield chart.finding("meta-not-sent", path, found=None, expected="true", advice=f"rules for {proxy.event} read meta: send it")
    sent = {*proxy.listed("http_headers"), *proxy.listed("emulated_headers")}
    if proxy.event == "connect" and needs.headers and not sent & set(needs.headers):
        path = (*proxy.path, "http_headers")
        expected = " or ".join(needs.headers)
        advice = "identities of the policy read it: add it to the list"
        yield chart.finding("header-not-sent", path, found=", ".join(sorted(sent)) or None, expected=expected, advice=advice)


def _repetition(chart: Chart, proxy: Proxy) -> Iterator[Finding]:
    repeated = REPEAT & set(proxy.headers)
    if repeated and proxy.event in _EFFECTS:
        path = (*proxy.path, "http", "static_headers")
        found = min(repeated)
        advice = f"a {proxy.event} that is sent again happens again: take the header away"
        yield chart.finding("repeated-effect", path, found=found, expected="no such header", advice=advice)
    transforms = proxy.options.get("http", {}).get("status_to_code_transforms")
    # Version 5 ignores them on refresh.
    if transforms and proxy.event in _RENEWALS and (chart.version, proxy.event) != (FIFTH, "refresh"):
        path = (*proxy.path, "http", "status_to_code_transforms")
        advice = "remove them: without them Centrifugo prolongs by 60 s and asks again"
        yield chart.finding("ends-in-outage", path, found=f"{len(transforms)} of them", expected="nothing", advice=advice)


def _ours(endpoint: str, event: str) -> bool:
    parts = urlsplit(endpoint)
    return parts.scheme in ("http", "https") and parts.path.endswith(f"/centrifugo/{event}") and not parts.query


def _place(endpoint: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
