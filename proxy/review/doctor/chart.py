"""A configuration as it is examined: fitted, in the words of version 6, with the way back to what stands in the file."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.review.doctor.conversion import spelled
from proxy.review.doctor.document import Document, Path, Tree
from proxy.review.doctor.findings import Finding, written
from proxy.review.doctor.vocabulary import EVENTS, FIFTH, Version, milliseconds

TOP: Final[Path] = ("channel", "without_namespace")
"""Where the options of channels without a namespace stand."""

_MAPS: Final = {"map_publish": ("map", "publish_proxy"), "map_remove": ("map", "remove_proxy")}
_SHOWN: Final = 60


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The options of a namespace; `name` is "" for channels without one."""

    name: str
    path: Path
    options: Mapping[str, Any]

    def on(self, *names: str) -> bool:
        """Whether a switch is on."""
        found: Any = self.options
        for name in names:
            found = found.get(name, {})
        return found is True

    @property
    def kind(self) -> str:
        """The type of its subscriptions."""
        return str(self.options.get("subscription_type") or "stream")

    def asks(self, event: str) -> bool:
        """Whether the hook of an event is asked for its channels."""
        return self.on(*switch(event)) or (event == "shared_poll_refresh" and self.kind == "shared_poll")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The settings by which an event is asked, and what is turned on because of which."""

    event: str
    path: Path
    options: Mapping[str, Any]
    user: Path

    @property
    def timeout_ms(self) -> float:
        """Milliseconds after which Centrifugo gives up."""
        return milliseconds(self.options.get("timeout") or "1s") or 0.0

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that are always sent, by their names in lower case."""
        return {name.lower(): value for name, value in self.options.get("http", {}).get("static_headers", {}).items()}

    def listed(self, option: str) -> tuple[str, ...]:
        """The names that an option lists, in lower case."""
        return tuple(name.lower() for name in self.options.get(option, ()))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The tree of version 6 that is examined; `old` is the one of version 5 that it was made from, `variables` the environment's."""

    version: Version
    tree: Tree
    document: Document
    old: Tree = dataclasses.field(default_factory=dict)
    placed: Mapping[Path, str] = dataclasses.field(default_factory=dict)

    def at(self, *path: str) -> Any:  # noqa: ANN401 - its kind is that of the key
        """The value of a key, None where there is none."""
        found: Any = self.tree
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    @property
    def spaces(self) -> Iterator[Space]:
        """The namespaces, the one without a name first."""
        yield Space(name="", path=TOP, options=self.at(*map(str, TOP)) or {})
        for place, options in enumerate(self.at("channel", "namespaces") or ()):
            yield Space(name=options.get("name", ""), path=("channel", "namespaces", place), options=options)

    @property
    def proxies(self) -> Iterator[Proxy]:
        """Every proxy that is in use, once for each event."""
        known = set[tuple[str, Path]]()
        for event, path, user in (*self._clients(), *self._channels(), *self._rpcs()):
            if (event, path) not in known:
                known.add((event, path))
                yield Proxy(event=event, path=path, options=self._options(path), user=user)

    def finding(self, id_: str, path: Path, *, found: object, expected: str, advice: str) -> Finding:
        """Make a finding about a key, named as it is in the file, or about the variable that sets it."""
        own = spelled(path, self.old) if self.version == FIFTH else path
        variable = next((self.placed[own[:length]] for length in range(len(own), 0, -1) if own[:length] in self.placed), None)
        return Finding(
            id=id_,
            key=f"{written(own)} ({variable})" if variable else written(own),
            line=None if variable else self.document.line(own),
            found=shown(found),
            expected=expected,
            advice=advice,
        )

    def _clients(self) -> Iterator[tuple[str, Path, Path]]:
        for event in ("connect", "refresh"):
            if self.at(*EVENTS[event], "enabled"):
                yield event, EVENTS[event], (*EVENTS[event], "enabled")

    def _channels(self) -> Iterator[tuple[str, Path, Path]]:
        for space in self.spaces:
            for event in ("subscribe", "publish", "sub_refresh", "subscribe_stream", "map_publish", "map_remove", "shared_poll_refresh"):
                if space.asks(event):
                    *group, flag = switch(event)
                    options = space.options.get(group[0], {}) if group else space.options
                    name = options.get(flag.removesuffix("enabled") + "name") or "default"
                    yield event, self._named(event, name), (*space.path, *switch(event))

    def _rpcs(self) -> Iterator[tuple[str, Path, Path]]:
        for path, options in self.rpcs:
            if options.get("proxy_enabled"):
                yield "rpc", self._named("rpc", options.get("proxy_name") or "default"), (*path, "proxy_enabled")

    @property
    def rpcs(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """The namespaces of methods, the one without a name first."""
        yield ("rpc", "without_namespace"), self.at("rpc", "without_namespace") or {}
        for place, options in enumerate(self.at("rpc", "namespaces") or ()):
            yield ("rpc", "namespaces", place), options

    def _named(self, event: str, name: str) -> Path:
        if name == "default":
            return EVENTS[event]
        for place, each in enumerate(self.at("proxies") or ()):
            if each.get("name") == name:
                return ("proxies", place)
        return ("proxies", name)

    def _options(self, path: Path) -> Mapping[str, Any]:
        if path[0] == "proxies":
            place = path[1]
            return self.at("proxies")[place] if isinstance(place, int) else {}
        return self.at(*map(str, path)) or {}


def switch(event: str) -> tuple[str, ...]:
    """Where a namespace says that the hook of an event is asked."""
    if event in _MAPS:
        group, stem = _MAPS[event]
        return (group, f"{stem}_enabled")
    return ("shared_poll", "proxy_enabled") if event == "shared_poll_refresh" else (f"{event}_proxy_enabled",)


def shown(value: object) -> str:
    """A value as people read it, short; None is nothing."""
    if value is None:
        return "nothing"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
