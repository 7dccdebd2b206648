"""Writes the configuration of Centrifugo that a policy needs: every hook, every namespace, and no flag wider than the policy."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as File
from typing import Any, Final

from proxy.policy.policy import Policy
from proxy.review.doctor.conversion import spelled
from proxy.review.doctor.needs import Needs, Space, needs
from proxy.review.doctor.vocabulary import EVENTS, SIXTH, Version, shape

WIDTH: Final = 120
"""Columns that the text is fitted into, where it can be."""

_SLOW: Final = frozenset({"connect", "subscribe"})
_HEADED: Final = frozenset({"connect", "refresh"})
_HARMLESS: Final = frozenset({"connect", "refresh", "subscribe", "sub_refresh", "shared_poll_refresh"})
_UNTOLD: Final = frozenset({"refresh", "sub_refresh", "shared_poll_refresh"})
_WITHOUT_META: Final = frozenset({"connect", "shared_poll_refresh"})
_MAPPED: Final = frozenset({"map_publish", "map_remove"})
_STREAMED: Final = frozenset({"publish", "presence", "history"})
_TRANSFORMS: Final = "status_to_code_transforms"
_SECTION: Final = 2


def generate(policy: Policy, service: str, origins: Sequence[str], version: Version = 6) -> Mapping[str, Any]:
    """Make the configuration; `service` is the address at which Centrifugo reaches the service, `origins` are those of the pages.

    Secrets come from Centrifugo's environment. Patterns whose channels may lie in any namespace (`Needs.floating`) get none.
    """
    parts = json.loads(File(__file__).with_name("template.json").read_text())
    wanted = needs(policy)
    tree: dict[str, Any] = parts["config"]
    tree["client"]["allowed_origins"] = [*origins]
    for event, way in EVENTS.items():
        if event != "subscribe_stream":
            node = tree
            for step in way[:-1]:
                node = node[step]
            node[way[-1]] = {**node.get(way[-1], {}), **_proxy(event, wanted, service, parts)}
    tree["channel"]["without_namespace"] = _options(wanted.space(""), parts["namespace"])
    tree["channel"]["namespaces"] = [
        {"name": name, **_options(wanted.space(name), parts["namespace"])} for name in sorted(wanted.spaces) if name
    ]
    methods = dict.fromkeys(method.partition(":")[0] for method in wanted.rpcs if ":" in method)
    if methods:
        tree["rpc"]["namespaces"] = [{"name": name, "proxy_enabled": True} for name in methods]
    return tree if version == SIXTH else _fifth(tree, parts)


def text(tree: object, indent: int = 0, before: int = 0) -> str:
    """Write JSON with everything in one line that fits there; `before` columns of the first line are taken."""
    flat = json.dumps(tree, ensure_ascii=False)
    if not isinstance(tree, Mapping | list) or (indent and indent + before + len(flat) <= WIDTH):
        return flat
    pad = " " * (indent + 2)
    if isinstance(tree, list):
        return "[\n" + ",\n".join(pad + text(each, indent + 2) for each in tree) + f"\n{pad[2:]}]"
    lines = [f"{pad}{json.dumps(name)}: {text(each, indent + 2, len(name) + 4)}" for name, each in tree.items()]
    return "{\n" + ",\n".join(lines) + f"\n{pad[2:]}}}"


def _proxy(event: str, wanted: Needs, service: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(parts["proxy"])
    made["endpoint"] = f"{service}/centrifugo/{event}"
    if event in _SLOW:
        made["timeout"] = parts["slow"]
    if event in _WITHOUT_META:
        del made["include_connection_meta"]
    if event in _HEADED:
        known = {name.lower() for name in parts["headers"]}
        made["http_headers"] = [*parts["headers"], *(name for name in wanted.headers if name not in known)]
    again = parts["again"] if event in _HARMLESS else {}
    made["http"] = {"static_headers": {**parts["secret"], **again}}
    if event not in _UNTOLD:
        made["http"][_TRANSFORMS] = parts["unavailable"]
    return made


def _options(space: Space, parts: Mapping[str, Any]) -> dict[str, Any]:
    operations = space.operations
    if operations & _MAPPED and not operations & _STREAMED:
        return dict(parts["map"])
    read = [parts[each] for each in ("history", "presence") if each in operations and not space.wider(each)]
    return {name: value for part in (*read, parts["asked"]) for name, value in part.items()}


def _fifth(tree: Mapping[str, Any], parts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same in the words of version 5, where all hooks share their headers: so none is repeated, and no status is made an error."""
    known, out = shape(5), dict[str, Any]()
    for path, value in _leaves(tree, ()):
        old = spelled(path, {})
        # Hooks are on where they have an address; version 5 has no map channels.
        if len(old) == 1 and old[0] in known and path[-1] not in ("enabled", "proxy_enabled", _TRANSFORMS):
            out[str(old[0])] = value
        elif len(path) == _SECTION and path[-1] == "enabled":
            out[path[0]] = value
    out["proxy_static_http_headers"] = parts["secret5"]
    out["namespaces"] = [dict(_older(each)) for each in tree["channel"]["namespaces"] if "map" not in each]
    return out


def _older(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        yield str(spelled(("channel", "namespaces", 0, name), {})[-1]), value


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and name != "static_headers":
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value
