"""Turns a configuration of Centrifugo 5 into one of version 6 that does the same, and finds the old name of a new key."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.review.doctor.document import Path, Tree
from proxy.review.doctor.vocabulary import EVENTS, PROXY_OPTIONS, SHARED_OPTIONS, SPACE_OPTIONS, Shape, lost, moved, shape, within

_SPACES: Final = frozenset({"namespaces", "rpc_namespaces", "proxies", "consumers", "broker", "granular_proxy_mode"})
_ASKED: Final = ("subscribe", "publish", "sub_refresh", "subscribe_stream")
_NAMES5: Final = {new: old for old, new in SPACE_OPTIONS.items()}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The configuration for version 6, its keys in Centrifugo's order, and the keys that have no place in it."""

    tree: Tree
    lost: tuple[str, ...]


def convert(old: Tree) -> Converted:
    """Convert a fitted configuration of version 5 (`fitting.fit`); what stands for the default is kept as it is written."""
    new: dict[str, Any] = {}
    for key, path in moved().items():
        if key in old and key not in _SPACES:
            _put(new, path, _certified(old[key]))
    if old.get("broker"):
        _put(new, ("broker",), {"enabled": True, "type": old["broker"], **new.get("broker", {})})
    granular = old.get("granular_proxy_mode") is True
    top = {name: value for name, value in old.items() if name in shape(5) and _is_space(name)}
    _put(new, ("channel", "without_namespace"), _space(top, granular=granular))
    _put(new, ("channel", "namespaces"), [_space(each, granular=granular) for each in _items(old, "namespaces")])
    _put(new, ("consumers",), [_consumer(each) for each in _items(old, "consumers")])
    for way, value in _granular(old) if granular else _shared(old):
        _put(new, way, value)
    gone = tuple(key for key in old if key in lost())
    return Converted(tree=_ordered(_pruned(new), shape(6)), lost=gone)


def spelled(path: Path, old: Tree) -> Path:
    """What a key of version 6 is called in version 5, in a configuration like this one."""
    granular = old.get("granular_proxy_mode") is True
    placed = _of_place(path, granular=granular)
    if placed is not None:
        return placed
    for event, way in EVENTS.items():
        if path[: len(way)] == way and path != way:
            return _of_event(event, path[len(way) :], old, granular=granular)
    near = [(len(way), key) for key, way in moved().items() if path[: len(way)] == way]
    length, key = max(near, default=(0, ""))
    return (key, *path[length:]) if near else path


def _of_place(path: Path, *, granular: bool) -> Path | None:
    match path:
        case ("channel", "without_namespace", *rest):
            return _option(rest, granular=granular)
        case ("channel", "namespaces", int() as place, *rest):
            return ("namespaces", place, *_option(rest, granular=granular))
        case ("rpc", "without_namespace", *_):
            return ("rpc_proxy_name" if granular else "proxy_rpc_endpoint",)
        case ("rpc", "namespaces", int() as place, *_):
            return ("rpc_namespaces", place, "rpc_proxy_name")
        case ("proxies", int() as place, *rest):
            return ("proxies", place, *_proxy_option(rest))
    return None


def _shared(old: Tree) -> Iterator[tuple[Path, object]]:
    common = _proxy({name: old[key] for key, name in zip(SHARED_OPTIONS, PROXY_OPTIONS, strict=True) if key in old})
    for event, way in EVENTS.items():
        endpoint, timeout = old.get(f"proxy_{event}_endpoint"), old.get(f"proxy_{event}_timeout")
        if not endpoint:
            continue
        enabled = {"enabled": True} if event in ("connect", "refresh") else {}
        yield way, {**enabled, "endpoint": endpoint, **({"timeout": timeout} if timeout else {}), **common}
    if old.get("proxy_rpc_endpoint"):
        yield ("rpc", "without_namespace", "proxy_enabled"), True
        yield ("rpc", "namespaces"), [{"name": each.get("name"), "proxy_enabled": True} for each in _items(old, "rpc_namespaces")]


def _granular(old: Tree) -> Iterator[tuple[Path, object]]:
    named = {each.get("name"): each for each in _items(old, "proxies")}
    for event in ("connect", "refresh"):
        chosen = named.get(old.get(f"{event}_proxy_name"))
        if chosen is not None:
            yield EVENTS[event], {"enabled": True, **{name: value for name, value in _proxy(chosen).items() if name != "name"}}
    if old.get("rpc_proxy_name"):
        yield ("rpc", "without_namespace"), {"proxy_enabled": True, "proxy_name": old["rpc_proxy_name"]}
    yield ("rpc", "namespaces"), [_methods(each) for each in _items(old, "rpc_namespaces")]
    yield ("proxies",), [_proxy(each) for each in named.values()]


def _methods(old: Mapping[str, Any]) -> dict[str, Any]:
    """A namespace of methods in the granular mode."""
    asked = {"proxy_enabled": True, "proxy_name": old["rpc_proxy_name"]} if old.get("rpc_proxy_name") else {}
    return {"name": old.get("name"), **asked}


def _proxy(old: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one proxy, in the places of version 6."""
    new: dict[str, Any] = {}
    for name, value in old.items():
        _put(new, PROXY_OPTIONS.get(name, (name,)), _certified(value))
    if "grpc_cert_file" in old:
        _put(new, ("grpc", "tls", "enabled"), True)  # noqa: FBT003 - a value
    return new


def _space(old: Mapping[str, Any], *, granular: bool) -> dict[str, Any]:
    """The options of a namespace. Names of proxies count in the granular mode, the switches in the other."""
    dropped = set(SPACE_OPTIONS) if granular else {f"{event}_proxy_name" for event in _ASKED}
    new = {SPACE_OPTIONS.get(name, name): value for name, value in old.items() if name not in dropped}
    for event in _ASKED if granular else ():
        if new.get(f"{event}_proxy_name"):
            new[f"{event}_proxy_enabled"] = True
    return new


def _consumer(old: Mapping[str, Any]) -> dict[str, Any]:
    new = {name: value for name, value in old.items() if name != "disabled"} | {"enabled": old.get("disabled") is not True}
    kafka = new.get("kafka")
    if isinstance(kafka, dict) and isinstance(kafka.get("tls"), bool):
        new["kafka"] = {**kafka, "tls": {"enabled": kafka["tls"]}}
    return new


def _certified(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Certificates have one key each in version 6, which takes text, files and base64 alike."""
    if not isinstance(value, Mapping):
        return value
    return {name.removesuffix("_file").removesuffix("_b64") if "_pem_" in name else name: each for name, each in value.items()}


def _option(rest: list[str | int], *, granular: bool) -> Path:
    if not rest:
        return ()
    name = str(rest[0])
    if granular and name.endswith("_proxy_enabled"):
        name = name.replace("_enabled", "_name")
    return (_NAMES5.get(name, name), *rest[1:])


def _proxy_option(rest: list[str | int]) -> Path:
    for name, way in PROXY_OPTIONS.items():
        if tuple(rest[: len(way)]) == way:
            return (name, *rest[len(way) :])
    return tuple(rest)


def _of_event(event: str, rest: Path, old: Tree, *, granular: bool) -> Path:
    if granular:
        chosen = old.get(f"{event}_proxy_name")
        places = [place for place, each in enumerate(_items(old, "proxies")) if each.get("name") == chosen]
        return ("proxies", places[0], *_proxy_option([*rest])) if places and rest != ("enabled",) else (f"{event}_proxy_name",)
    if rest[0] in ("enabled", "endpoint", "timeout"):
        return (f"proxy_{event}_{'timeout' if rest[0] == 'timeout' else 'endpoint'}",)
    for key, way in SHARED_OPTIONS.items():
        if rest[: len(way)] == way:
            return (key, *rest[len(way) :])
    return (f"proxy_{event}_endpoint",)


def _is_space(name: str) -> bool:
    return name in SPACE_OPTIONS or (name not in moved() and within(shape(6), ("channel", "without_namespace", name)) is not None)


def _items(old: Tree, key: str) -> list[Any]:
    found = old.get(key)
    return found if isinstance(found, list) else []


def _put(tree: dict[str, Any], path: Path, value: object) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(str(step), {})
    last = str(path[-1])
    tree[last] = {**tree[last], **value} if isinstance(value, dict) and isinstance(tree.get(last), dict) else value


def _pruned(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without objects in which nothing stands."""
    inner = {name: _pruned(value) if isinstance(value, dict) else value for name, value in tree.items()}
    return {name: value for name, value in inner.items() if value not in ({}, [])}


def _ordered(value: Any, form: Shape) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict) and isinstance(form, Mapping):
        return {name: _ordered(value[name], form[name]) for name in form if name in value}
    if isinstance(value, list) and isinstance(form, list):
        return [_ordered(each, form[0]) for each in value]
    return value
