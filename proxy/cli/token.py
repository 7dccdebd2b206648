"""`token mint` and `token verify`: tokens by hand, for those who hold the key."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from pydantic import Field, TypeAdapter, ValidationError

from proxy import settings
from proxy.cli.ending import ending
from proxy.errors import Malformed
from proxy.tokens.keys import keyring
from proxy.tokens.mint import Pen, unasked
from proxy.tokens.verify import LONGEST, Reading, verify
from proxy.wire.claims import EXPIRE_AT
from proxy.wire.read import parse

UNASKED: Final = "the policy was not asked: whoever holds this token gets what it says"

_SIZES: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@ending
def mint(
    *,
    user: Annotated[str, typer.Option(help="Whom the token is for; empty is the anonymous user.")],
    channel: Annotated[str | None, typer.Option(help="Make a subscription token, for this channel.")] = None,
    info: Annotated[str | None, typer.Option(help="JSON that others see beside the user.")] = None,
    meta: Annotated[str | None, typer.Option(help="JSON that rules see as meta; for connection tokens.")] = None,
    ttl: Annotated[str | None, typer.Option(help="How long it is valid, such as 10m; else as set for its kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print {token, expires_in}.")] = False,
) -> None:
    """Mint a token without asking the policy; what it opens ends with it. Exit code 2 for what cannot be used."""
    chosen = settings.read()
    key = keyring(chosen)[0]
    usual = chosen.token_ttl if channel is None else chosen.subscription_token_ttl
    life = usual if ttl is None else _seconds(ttl)
    claims = {**unasked(_text("user", user), int(time.time()), life), **_more(channel, {"info": info, "meta": meta})}
    typer.echo(UNASKED, err=True)
    token = Pen(key).write(claims)
    typer.echo(json.dumps({"token": token, "expires_in": life}) if as_json else token)


@ending
def check(
    token: Annotated[str, typer.Argument(help="The token, or - to read it from standard input, which keeps it out of the history.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Say what a token says, which key signed it and when it ends; exit code 1 for one that Centrifugo would not take."""
    now = time.time()
    keys = keyring(settings.read())
    try:
        found = verify(_given(token).strip(), keys, now)
    except Malformed as error:
        typer.echo(json.dumps({"valid": False, "trouble": str(error)}) if as_json else f"not valid: {error}")
        raise typer.Exit(1) from None
    typer.echo(json.dumps(_members(found)) if as_json else _told(found, now))
    if found.trouble:
        raise typer.Exit(1)


COMMANDS: dict[str, Callable[..., None]] = {"mint": mint, "verify": check}


def _given(token: str) -> str:
    return sys.stdin.buffer.read(LONGEST + 2).decode("latin-1") if token == "-" else token  # noqa: S105 - standard input, no password


def _seconds(text: str) -> int:
    try:
        return TypeAdapter(Annotated[settings.Seconds, Field(ge=1)]).validate_python(text)
    except ValidationError:
        raise Malformed("--ttl must be a duration such as 30s, 10m or 24h") from None


def _more(channel: str | None, given: Mapping[str, str | None]) -> Mapping[str, object]:
    read = {name: parse(text.encode(errors="surrogateescape")) for name, text in given.items() if text is not None}
    found = {name: value for name, value in read.items() if value is not None}
    if channel is None:
        return found
    if not channel or "meta" in read:
        raise Malformed("a subscription token has a channel and no meta")
    return {"channel": _text("channel", channel), **found}


def _text(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed(f"--{name} is not UTF-8 text") from None
    return text


def _members(found: Reading) -> Mapping[str, object]:
    return {
        "valid": found.trouble is None,
        "trouble": found.trouble,
        "kind": "subscription" if found.channel else "connection",
        "key": found.key,
        "header": found.header,
        "claims": found.claims,
    }


def _told(found: Reading, now: float) -> str:
    subject = f"of user {json.dumps(found.claims.get('sub', ''))}"
    kind = f"subscription token {subject} for channel {json.dumps(found.channel)}" if found.channel else f"connection token {subject}"
    verdict = "valid" if found.trouble is None else f"not valid: {found.trouble}"
    lines = [
        typer.style(verdict, fg="green" if found.trouble is None else "red"),
        kind if found.key else f"said to be a {kind}",
        f"signed with {found.key}" if found.key else "signed by nobody known here, so none of this may be true",
        f"exp       {_when(found.claims.get('exp', 0), now)}",
        *(f"{name:<9} {_when(found.claims[name], now)}" for name in (EXPIRE_AT, "nbf", "iat") if name in found.claims),
        f"header    {json.dumps(found.header)}",
        f"claims    {json.dumps(found.claims)}",
    ]
    return "\n".join(lines)


def _when(at: object, now: float) -> str:
    """The time in words and as a date; zero is how a token says never."""
    if at == 0:
        return "never"
    try:
        moment = datetime.fromtimestamp(float(str(at)), UTC)
    except (ValueError, OverflowError, OSError):
        return json.dumps(at)
    words = span(abs(int(moment.timestamp() - now)))
    return f"{f'in {words}' if moment.timestamp() > now else f'{words} ago'}, {moment:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: int) -> str:
    """Say a time in its two largest units that are not zero."""
    words = []
    for unit, size in _SIZES:
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
