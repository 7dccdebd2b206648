"""Examines the namespaces: what their flags allow without the policy, and what the policy allows and they do not."""

from collections.abc import Iterator
from typing import Final

from proxy.review.doctor.chart import Chart, Space, switch
from proxy.review.doctor.document import Path
from proxy.review.doctor.findings import Finding
from proxy.review.doctor.needs import Needs
from proxy.review.doctor.needs import Space as Said
from proxy.review.doctor.vocabulary import FIFTH

_FLAGS: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("subscribe", (), ("allow_subscribe_for_client",)),
    ("publish", (), ("allow_publish_for_client", "allow_publish_for_subscriber")),
    ("map_publish", ("map",), ("allow_publish_for_client", "allow_publish_for_subscriber")),
    ("map_remove", ("map",), ("allow_remove_for_client", "allow_remove_for_subscriber")),
)
_MAPS: Final = frozenset({"map", "map_clients", "map_users"})
_READ: Final = ("presence", "history")
_ASKED: Final = {False: frozenset({"subscribe", "publish"}), True: frozenset({"map_publish", "map_remove"})}
"""What the hooks of a namespace are asked about: of streams, and of maps, to which clients subscribe with a token."""
_OTHERS: Final = {False: _ASKED[True], True: frozenset({"publish", *_READ})}
"""What nobody can do there, whatever the policy says."""


def spaces(chart: Chart, needs: Needs) -> Iterator[Finding]:
    """Every namespace of the configuration, and those that the policy speaks of and the configuration does not have."""
    found = {space.name: space for space in chart.spaces}
    for name, said in needs.spaces.items():
        if name not in found:
            advice = f"the policy has {said.patterns[0][0]}: add the namespace (`centrigate config generate` writes it)"
            yield chart.finding("namespace-missing", ("channel", "namespaces"), found=None, expected=name, advice=advice)
    for space in found.values():
        said = needs.space(space.name)
        yield from _granted(chart, space)
        yield from _past(chart, space)
        yield from _missing(chart, space, needs.spaces.get(space.name))
        for operation in _READ:
            yield from _read(chart, space, said, operation)
        yield from _shown(chart, space, said)
    path = ("client", "subscribe_to_user_personal_channel", "enabled")
    if chart.at(*path):
        advice = "remove it: `subscribe` in the connect block of the policy does the same"
        yield chart.finding("personal-channel", path, found=True, expected="nothing", advice=advice)


def _granted(chart: Chart, space: Space) -> Iterator[Finding]:
    for event, group, flags in _FLAGS:
        if space.asks(event):
            continue
        for flag in flags:
            if space.on(*group, flag):
                advice = f"remove it and set {'.'.join(switch(event))}"
                yield chart.finding("flag-grants", (*space.path, *group, flag), found=True, expected="nothing", advice=advice)


def _past(chart: Chart, space: Space) -> Iterator[Finding]:
    if space.on("allow_user_limited_channels"):
        path = (*space.path, "allow_user_limited_channels")
        advice = "remove it: a pattern with #{uid} and `when vars.uid == user` says the same, and can be read"
        yield chart.finding("user-limited-channels", path, found=True, expected="nothing", advice=advice)


def _missing(chart: Chart, space: Space, said: Said | None) -> Iterator[Finding]:
    operations = said.operations if said else frozenset[str]()
    mapped = space.kind in _MAPS
    if mapped and space.asks("subscribe"):
        advice = "switch it off: clients subscribe to map channels with a token, which the policy is asked about"
        yield chart.finding("map-behind-hook", (*space.path, *switch("subscribe")), found=True, expected="nothing", advice=advice)
    for event in sorted(operations & _ASKED[mapped]):
        if not space.asks(event):
            path = (*space.path, *switch(event))
            yield chart.finding("hook-missing", path, found=None, expected="true", advice=f"the policy has rules for {event}: ask it")
    others = sorted(operations & _OTHERS[mapped])
    if others and chart.version != FIFTH:
        path, expected = (*space.path, "subscription_type"), "stream" if mapped else "map"
        advice = f"the policy has rules for {', '.join(others)}: give them a namespace of their own"
        yield chart.finding("other-kind", path, found=space.kind, expected=expected, advice=advice)
    if "subscribe" in operations and not space.asks("sub_refresh"):
        path = (*space.path, *switch("sub_refresh"))
        yield chart.finding("sub-refresh-hook-missing", path, found=None, expected="true", advice="enable the hook")


def _read(chart: Chart, space: Space, said: Said, operation: str) -> Iterator[Finding]:
    """Presence and history: there is no hook for them, so the flags have to say what the policy says."""
    everybody, subscriber = (*space.path, f"allow_{operation}_for_client"), (*space.path, f"allow_{operation}_for_subscriber")
    wider = said.wider(operation)
    lacking = operation in said.operations and not wider and space.kind not in _MAPS
    if not _keeps(space, operation):
        if lacking:
            yield _lacking(chart, operation, (*space.path, *_source(operation)))
        return
    if space.on(str(everybody[-1])):
        advice = f"remove it: allow_{operation}_for_subscriber is enough"
        yield chart.finding(f"{operation}-for-everybody", everybody, found=True, expected="nothing", advice=advice)
    elif space.on(str(subscriber[-1])):
        if wider:
            advice = f"remove it, or allow {operation} to all subscribers of {wider} in the policy"
            yield chart.finding(f"{operation}-wider", subscriber, found=True, expected="nothing", advice=advice)
    elif lacking:
        yield _lacking(chart, operation, subscriber)


def _shown(chart: Chart, space: Space, said: Said) -> Iterator[Finding]:
    """Joins and leaves tell who is there; recovery tells what was published."""
    pattern = said.wider("presence")
    if pattern and space.on("join_leave") and space.on("force_push_join_leave"):
        path = (*space.path, "force_push_join_leave")
        advice = f"remove it: the policy may refuse presence to subscribers of {pattern}"
        yield chart.finding("presence-wider", path, found=True, expected="nothing", advice=advice)
    pattern = said.wider("history")
    if pattern and _keeps(space, "history"):
        for flag in _recovering(space):
            advice = f"remove it, or allow history to all subscribers of {pattern} in the policy"
            yield chart.finding("recovery-wider", (*space.path, flag), found=True, expected="nothing", advice=advice)


def _recovering(space: Space) -> Iterator[str]:
    # Centrifugo ignores what a client wants of recovery where the hook is asked.
    flags = [f"{verb}_recovery" for verb in ("force", "allow") if verb == "force" or not space.asks("subscribe")]
    return (flag for flag in flags if space.on(flag))


def _keeps(space: Space, operation: str) -> bool:
    if operation == "presence":
        return space.on("presence")
    size = space.options.get("history_size")
    return isinstance(size, int) and size > 0 and bool(space.options.get("history_ttl"))


def _source(operation: str) -> Path:
    return ("presence",) if operation == "presence" else ("history_size",)


def _lacking(chart: Chart, operation: str, path: Path) -> Finding:
    expected = "a number, with history_ttl" if path[-1] == "history_size" else "true"
    return chart.finding(f"{operation}-missing", path, found=None, expected=expected, advice=f"the policy has rules for {operation}")
