"""Examines what holds for the whole of Centrifugo: switches, secrets, origins, keys that are ignored."""

import difflib
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from proxy.review.doctor.chart import Chart, shown
from proxy.review.doctor.document import Path
from proxy.review.doctor.environment import OWN
from proxy.review.doctor.findings import Finding
from proxy.review.doctor.fitting import Trouble
from proxy.review.doctor.vocabulary import EVENTS, SIXTH, Version, moved, shape, within
from proxy.settings import SHORTEST

_SWITCHES: Final = {
    ("client", "insecure"): "clients read presence and history everywhere, and do what no hook is asked about",
    ("client", "insecure_skip_token_signature_verify"): "a token signed by anybody connects and subscribes",
    ("client", "token", "insecure_skip_jwks_endpoint_safety_check"): "a token may name the place of its own key",
    ("client", "subscription_token", "insecure_skip_jwks_endpoint_safety_check"): "a token may name the place of its own key",
    ("admin", "insecure"): "everybody may use the admin page, which publishes and disconnects",
}
_SECRETS: Final = (
    ("client", "token", "hmac_secret_key"),
    ("client", "token", "hmac_previous_secret_key"),
    ("client", "subscription_token", "hmac_secret_key"),
    ("client", "subscription_token", "hmac_previous_secret_key"),
    ("http_api", "key"),
    ("grpc_api", "key"),
    ("admin", "secret"),
    ("shared_poll", "hmac_secret_key"),
)
_KEY_SET: Final = "/.well-known/jwks.json"

_STRANGERS: Final = ("https://stranger.example", "http://stranger.example")


def switches(chart: Chart) -> Iterator[Finding]:
    """What opens Centrifugo as a whole."""
    for path, why in _SWITCHES.items():
        if chart.at(*path):
            yield chart.finding("insecure-switch", path, found=True, expected="nothing", advice=f"remove it: {why}")
    header = chart.at("client", "user_id_http_header")
    if header and not chart.at(*EVENTS["connect"], "enabled"):
        path = ("client", "user_id_http_header")
        advice = "remove it: an identity of the policy may read the header"
        yield chart.finding("user-from-header", path, found=header, expected="nothing", advice=advice)
    yield from _anonymous(chart)
    yield from _apis(chart)
    yield from _secrets(chart)
    yield from _keys(chart)
    yield from _origins(chart)


def _anonymous(chart: Chart) -> Iterator[Finding]:
    path = ("client", "allow_anonymous_connect_without_token")
    if chart.at(*path) and not chart.at(*EVENTS["connect"], "enabled"):
        yield chart.finding("anonymous-connect", path, found=True, expected="nothing", advice="remove it and enable the connect hook")


def _apis(chart: Chart) -> Iterator[Finding]:
    if chart.at("http_api", "insecure"):
        yield chart.finding("open-api", ("http_api", "insecure"), found=True, expected="nothing", advice="remove it and set http_api.key")
    if chart.at("grpc_api", "enabled") and not chart.at("grpc_api", "key"):
        advice = "set a key of its own, or switch the gRPC API off: the key of the HTTP API does not guard it"
        yield chart.finding("open-api", ("grpc_api", "key"), found=None, expected="a key", advice=advice)


def _secrets(chart: Chart) -> Iterator[Finding]:
    for path in _SECRETS:
        secret = chart.at(*path)
        if secret and len(str(secret).encode()) < SHORTEST:
            found = f"{len(str(secret).encode())} bytes"
            advice = "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
            yield chart.finding("weak-secret", path, found=found, expected=f"at least {SHORTEST} bytes", advice=advice)


def _keys(chart: Chart) -> Iterator[Finding]:
    """Keys that Centrifugo fetches: ours are where the hooks are."""
    own = {urlsplit(str(proxy.options.get("endpoint"))).netloc for proxy in chart.proxies}
    for section in ("token", "subscription_token"):
        path = ("client", section, "jwks_public_endpoint")
        url = chart.at(*path)
        if url and (urlsplit(url).netloc not in own or not urlsplit(url).path.endswith(_KEY_SET)):
            advice = "let an identity of the policy read those tokens, and give Centrifugo the keys of the service only"
            yield chart.finding("foreign-keys", path, found=url, expected=f"that of the service, {_KEY_SET}", advice=advice)


def _origins(chart: Chart) -> Iterator[Finding]:
    path = ("client", "allowed_origins")
    origins = chart.at(*path) or []
    wide = [origin for origin in origins if any(fnmatchcase(stranger, origin) for stranger in _STRANGERS)]
    cookies = any("cookie" in proxy.listed("http_headers") for proxy in chart.proxies)
    if wide and cookies:
        yield chart.finding("any-origin", path, found=wide[0], expected="the origins of your pages", advice="name each origin")
    if not origins:
        yield chart.finding("origins-missing", path, found=None, expected="the origins of your pages", advice="name each origin")


def ignored(chart: Chart, troubles: list[Trouble]) -> Iterator[Finding]:
    """What Centrifugo does not take as it is written; the paths of the troubles are those of the file."""
    for trouble in troubles:
        match trouble.id:
            case "unknown-key":
                advice = _meant(trouble.path, chart.version)
                yield _told(chart, trouble.id, trouble.path, found=_kind(trouble.found), expected="a key that it knows", advice=advice)
            case "bare-duration":
                yield _told(chart, trouble.id, trouble.path, found=trouble.found, expected=trouble.expected, advice="write the unit")
            case _:
                yield _told(
                    chart, trouble.id, trouble.path, found=_kind(trouble.found), expected=trouble.expected, advice="write it as expected"
                )
    for path in chart.document.repeated:
        yield _told(chart, "repeated-key", path, found="it twice", expected="it once", advice="remove one of them")


def variables(chart: Chart, given: Mapping[str, str] | None, unknown: tuple[str, ...]) -> Iterator[Finding]:
    """Variables that Centrifugo does not know, and (where the environment is given) those that it needs and has not."""
    for name in unknown:
        yield Finding(id="unknown-key", key=name, found="the variable", expected="one that it knows", advice="correct or remove it")
    if given is None:
        return
    for proxy in chart.proxies:
        for value in proxy.headers.values():
            for name in re.findall(r"\$\{(" + OWN + r"\w+)\}", value):
                if not given.get(name):
                    path = (*proxy.path, "http", "static_headers")
                    yield chart.finding("variable-missing", path, found=f"{name} unset", expected="a value", advice="set the variable")


def _told(chart: Chart, id_: str, path: Path, *, found: object, expected: str, advice: str) -> Finding:
    """A finding about a key as it stands in the file."""
    return Chart(version=6, tree={}, document=chart.document, placed=chart.placed).finding(
        id_, path, found=found, expected=expected, advice=advice
    )


def _kind(value: object) -> str:
    """What a value is, without showing it: it may be a secret."""
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    return shown(value) if isinstance(value, bool | int | float) else "a text"


def _meant(path: Path, version: Version) -> str:
    name = str(path[-1])
    if version == SIXTH and len(path) == 1 and name in shape(5):
        way = moved().get(name)
        here = f"it is {'.'.join(way)} now" if way else "it belongs to version 5"
        return f"{here}; `centrigate config convert` writes the configuration for version 6"
    around = within(shape(version), path[:-1])
    near = difflib.get_close_matches(name, [*around] if isinstance(around, Mapping) else [], n=1)
    if name == "subscribe_for_client":
        return "remove it: with the name allow_subscribe_for_client it would let everybody in past the policy"
    return f"did you mean {near[0]}?" if near else "remove it"
