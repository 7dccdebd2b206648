"""Who can do something, as people and as programs read it."""

from collections.abc import Iterator

from rich.text import Text

from proxy.review.reaching.entrances import Answer, Entrance, Via
from proxy.review.reaching.survey import Ban, Way
from proxy.review.wording import quoted, visible, worded


def as_lines(found: Answer, *, guests: bool = False) -> Iterator[Text]:
    """The answer line by line; `guests` says that the policy admits them."""
    yield Text(visible(f"{found.query.operation} {found.query.target or ''}".strip()), style="bold")
    if found.pattern is not None:
        variables = "".join(f"  {name} = {quoted(value)}" for name, value in found.variables.items())
        yield Text.assemble(("pattern ", "dim"), visible(found.pattern), visible(variables))
    if found.near:
        yield Text.assemble(("near ", "dim"), visible("  ".join(found.near)))
    closed = [entrance for entrance in found.entrances if entrance.via is Via.service and not entrance.reach.ways]
    for entrance in found.entrances:
        if entrance not in closed:
            yield Text(_who(entrance), style="bold")
            yield from _reach(entrance, "anybody, guests too" if guests else "anybody signed in")
    if closed and len(closed) == sum(entrance.via is Via.service for entrance in found.entrances):
        yield Text("services", style="bold")
        yield Text(f"  nobody: {visible('; '.join(dict.fromkeys(each.reach.why for each in closed)))}", style="red")


def as_object(found: Answer) -> dict[str, object]:
    """The answer as JSON; where `when` is true, and nothing is `provided`, a way is open to everybody of its entrance."""
    return {
        "operation": found.query.operation,
        "target": found.query.target,
        "revision": found.revision,
        "pattern": found.pattern,
        "variables": dict(found.variables),
        "near": list(found.near),
        "entrances": [_member(entrance) for entrance in found.entrances],
    }


def _who(entrance: Entrance) -> str:
    by = " with a token" if entrance.via is Via.token else ""
    if entrance.via is Via.service:
        return visible(f"service {entrance.name}")
    return "users" + by if entrance.name is None else f"user {quoted(entrance.name)}{by}"


def _reach(entrance: Entrance, everybody: str) -> Iterator[Text]:
    found, alone = entrance.reach, entrance.name is not None
    if not found.ways:
        yield Text(f"  {'refused' if alone else 'nobody'}: {visible(found.why)}", style="red")
    for way in found.ways:
        yield _line(f"  allow {way.rule}  {way.at}")
        yield from _way(way, "always" if alone else everybody)
    yield from (_line(f"  unless {worded(ban.when)}  {ban.rule}  {ban.at}") for ban in found.bans if found.ways and not ban.idle)
    yield from (_line(f"  where {name} = {worded(rest)}") for name, rest in found.lets.items())


def _way(way: Way, everybody: str) -> Iterator[Text]:
    """What the way demands, then what it brings with it."""
    if way.always:
        yield _line(f"    {everybody}")
    elif not way.free:
        yield _line(f"    if {worded(way.when)}")
    yield from (_line(f"    if {each}") for each in way.provided)
    yield from (_line(f"    with {each}") for each in way.gives)


def _line(text: str) -> Text:
    return Text(visible(text))


def _member(entrance: Entrance) -> dict[str, object]:
    found = entrance.reach
    return {
        "via": entrance.via.value,
        "service" if entrance.via is Via.service else "user": entrance.name,
        "ways": [
            {"rule": way.rule, "at": way.at, "when": _when(way), "provided": list(way.provided), "gives": list(way.gives)}
            for way in found.ways
        ],
        "unless": [_ban(ban) for ban in found.bans if found.ways and not ban.idle],
        "where": {name: worded(rest) for name, rest in found.lets.items()},
        "facts": list(found.facts),
        "why": found.why or None,
    }


def _when(way: Way) -> str:
    return "true" if way.free else worded(way.when)


def _ban(ban: Ban) -> dict[str, str]:
    return {"rule": ban.rule, "at": ban.at, "when": worded(ban.when)}
