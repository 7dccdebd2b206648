"""The keys that Centrifugo knows, with the kinds of their values: of 6.9.1, and of 5.4.9 with their names in 6.

`keys6.json` says what `centrifugo configdoc` prints; in `keys5.json` stands where each key of version 5 has moved to.
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any, Final, Literal, cast

Version = Literal[5, 6]
FIFTH: Final = 5
SIXTH: Final = 6
Kind = Literal["text", "bool", "int", "duration", "list", "map", "any"]
Shape = Kind | Mapping[str, Any] | list[Any]
"""The kind of a value, the shapes of an object's members, or a list with the shape of each of its items."""

PROXY_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "http_headers": ("http_headers",),
    "grpc_metadata": ("grpc_metadata",),
    "binary_encoding": ("binary_encoding",),
    "include_connection_meta": ("include_connection_meta",),
    "static_http_headers": ("http", "static_headers"),
    "http_status_to_code_transforms": ("http", "status_to_code_transforms"),
    "grpc_credentials_key": ("grpc", "credentials_key"),
    "grpc_credentials_value": ("grpc", "credentials_value"),
    "grpc_compression": ("grpc", "compression"),
    "grpc_tls": ("grpc", "tls"),
    "grpc_cert_file": ("grpc", "tls", "server_ca_pem"),
}
"""Options of a proxy in version 5 and where they stand in one of version 6."""

SHARED_OPTIONS: Final = {
    "proxy_" + {"http_status_to_code_transforms": "http_status_code_transforms"}.get(name, name): path
    for name, path in PROXY_OPTIONS.items()
}
"""The same as keys of version 5 that hold for every proxy."""

EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "connect": ("client", "proxy", "connect"),
    "refresh": ("client", "proxy", "refresh"),
    "subscribe": ("channel", "proxy", "subscribe"),
    "publish": ("channel", "proxy", "publish"),
    "sub_refresh": ("channel", "proxy", "sub_refresh"),
    "subscribe_stream": ("channel", "proxy", "subscribe_stream"),
    "map_publish": ("channel", "proxy", "map_publish"),
    "map_remove": ("channel", "proxy", "map_remove"),
    "shared_poll_refresh": ("channel", "proxy", "shared_poll_refresh"),
    "rpc": ("rpc", "proxy"),
}
"""The events that are asked over a proxy, and where version 6 has its settings."""

SPACE_OPTIONS: Final = {
    "proxy_subscribe": "subscribe_proxy_enabled",
    "proxy_publish": "publish_proxy_enabled",
    "proxy_sub_refresh": "sub_refresh_proxy_enabled",
    "proxy_subscribe_stream": "subscribe_stream_proxy_enabled",
    "proxy_subscribe_stream_bidirectional": "subscribe_stream_proxy_bidirectional",
}
"""Options of a namespace that version 6 calls otherwise."""

_NANOSECOND: Final = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def milliseconds(text: str) -> float | None:
    """Read a duration as Go writes it (`1m30s`), None for what is none."""
    parts = _DURATION.findall(text)
    if text == "0":
        return 0.0
    return sum(float(number) * _NANOSECOND[unit] for number, unit in parts) if parts and _DURATION.sub("", text) == "" else None


@functools.cache
def shape(version: Version) -> Mapping[str, Shape]:
    """The keys of a version and the shapes of their values."""
    packed = json.loads(File(__file__).with_name("keys6.json").read_text())
    tree = cast("Mapping[str, Shape]", _unpacked(packed["keys"], packed["shapes"]))
    return tree if version == SIXTH else _fifth(tree)


@functools.cache
def moved() -> Mapping[str, tuple[str, ...]]:
    """Where the keys of version 5 stand in version 6; those of proxies and of namespaces move by rules of their own."""
    named = json.loads(File(__file__).with_name("keys5.json").read_text())["moved"]
    return {key: tuple(path.split(".")) for key, path in named.items()}


@functools.cache
def lost() -> frozenset[str]:
    """The keys of version 5 that version 6 has no place for."""
    return frozenset(json.loads(File(__file__).with_name("keys5.json").read_text())["lost"].split())


def within(tree: Shape, path: tuple[str | int, ...]) -> Shape | None:
    """The shape of what stands there; None for what is not known."""
    for step in path:
        if isinstance(tree, list) and isinstance(step, int):
            tree = tree[0]
        elif isinstance(tree, Mapping) and step in tree:
            tree = tree[str(step)]
        else:
            return None
    return tree


def _unpacked(packed: Any, shapes: Mapping[str, Any]) -> Shape:  # noqa: ANN401 - JSON of our own
    if isinstance(packed, str):
        return _unpacked(shapes[packed[1:]], shapes) if packed.startswith("=") else cast("Kind", packed)
    if isinstance(packed, list):
        return [_unpacked(packed[0], shapes)]
    leaves = {name: kind for kind, names in packed.items() if kind != "in" for name in names.split()}
    return {**leaves, **{name: _unpacked(inner, shapes) for name, inner in packed.get("in", {}).items()}}


def _fifth(sixth: Mapping[str, Shape]) -> Mapping[str, Shape]:
    # What has another kind in version 5 than where it stands in version 6.
    options = {name: _of(sixth, ("channel", "proxy", "subscribe", *path)) for name, path in PROXY_OPTIONS.items()}
    files = {f"{name}_{form}": "text" for name in ("cert_pem", "key_pem", "server_ca_pem", "client_ca_pem") for form in ("file", "b64")}
    options["grpc_tls"] = {**options["grpc_tls"], **files}
    proxy = {"endpoint": "text", "timeout": "duration", **options, "grpc_cert_file": "text"}
    space = {**_newer(_of(sixth, ("channel", "without_namespace"))), **dict.fromkeys(SPACE_OPTIONS, "bool")}
    events = ("connect", "refresh", "subscribe", "publish", "sub_refresh", "rpc", "subscribe_stream")
    return {
        **{key: _of(sixth, path) for key, path in moved().items()},
        "nats_tls": options["grpc_tls"],
        **dict.fromkeys(lost(), "any"),
        **{key: options[name] for key, name in zip(SHARED_OPTIONS, PROXY_OPTIONS, strict=True)},
        **{f"proxy_{event}_endpoint": "text" for event in events},
        **{f"proxy_{event}_timeout": "duration" for event in events},
        **dict.fromkeys(("connect_proxy_name", "refresh_proxy_name", "rpc_proxy_name"), "text"),
        "granular_proxy_mode": "bool",
        "proxies": [{"name": "text", **proxy}],
        **space,
        "namespaces": [{"name": "text", **space}],
        "rpc_namespaces": [{"name": "text", "rpc_proxy_name": "text"}],
        "consumers": [{"name": "text", "type": "text", "disabled": "bool", "postgresql": "any", "kafka": "any"}],
        "broker": "text",
    }


def _of(tree: Mapping[str, Shape], path: tuple[str, ...]) -> Any:  # noqa: ANN401 - a shape; the tables fit each other, which a test shows
    return within(tree, path)


def _newer(space: Mapping[str, Shape]) -> Mapping[str, Shape]:
    """The options of a namespace without those that came with version 6."""
    new = {"auto_cache_recover", "allow_tags_filter", "publication_data_format", "subscription_type", "map", "shared_poll"}
    prefixes = ("map_", "subscribe_stream_proxy_b")
    return {name: kind for name, kind in space.items() if name not in {*new, *SPACE_OPTIONS.values()} and not name.startswith(prefixes)}
