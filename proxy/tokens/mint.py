"""Mints Centrifugo's JSON web tokens."""

import random
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from proxy.policy.decision import UNCHANGED, Allow
from proxy.policy.policy import Person
from proxy.tokens.keys import Key
from proxy.wire.claims import EXPIRE_AT, SUBS

_URL: Final = bytes.maketrans(b"+/", b"-_")

Claims = dict[str, object]


@dataclass(slots=True, kw_only=True)
class Issued:
    """A token with the name `jti`, and how long it counts; not frozen, as `Request`.

    It may be used for `expires_in` seconds, until `usable_s`. What it opens ends by itself at `end_s`, None if it does not. Both are
    epoch seconds.
    """

    token: str
    jti: str
    expires_in: int
    usable_s: int
    end_s: int | None


class Pen:
    """Writes claims as a token; the header names `kid`, because it is how Centrifugo finds a key in a set."""

    def __init__(self, key: Key) -> None:
        kid = {} if key.kid is None else {"kid": key.kid}
        self._header = _encoded(orjson.dumps({"alg": key.algorithm, "typ": "JWT", **kid})) + b"."
        self._sign = key.sign

    def write(self, claims: Mapping[str, object]) -> str:
        """Sign the claims."""
        text = self._header + _encoded(orjson.dumps(claims))
        return (text + b"." + _encoded(self._sign(text))).decode()


class Minter:
    """Writes tokens with one key.

    `ttl_s` and `subscription_ttl_s` are how many seconds a token may be used; how long the connection or subscription lasts is
    `expire_at`. `clock` gives epoch milliseconds, `spread` a number from 0 to 1.
    """

    def __init__(
        self,
        key: Key,
        ttl_s: int,
        subscription_ttl_s: int,
        clock: Callable[[], int],
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._write = Pen(key).write
        self._ttl_s = ttl_s
        self._subscription_ttl_s = subscription_ttl_s
        self._clock = clock
        self._spread = spread

    def connection(self, person: Person, allow: Allow) -> Issued:
        """A connection token: usable no longer than the person's identity lasts.

        The connection ends at the earlier of what the identity and the rule say; when neither says, with the token (Centrifugo's
        meaning of an absent `expire_at`), so that it is renewed. Connect data has no place in a token.
        """
        now_ms = self._clock()
        now = now_ms // 1000
        exp, end = now + self._ttl_s, allow.until(now_ms, self._spread)
        if person.expires_at is not None:
            exp = min(exp, person.expires_at)
            end = person.expires_at if end is None else min(end, person.expires_at)
        jti = _name()
        claims: Claims = {"sub": person.user, "exp": exp, "iat": now, "jti": jti}
        _add(claims, "info", person.info if allow.info is UNCHANGED else allow.info)
        _add(claims, "meta", person.meta)
        if allow.channels:
            claims[SUBS] = {channel: _options(decided) for channel, decided in allow.channels.items()}
        if end is not None:
            claims[EXPIRE_AT] = end
        return Issued(token=self._write(claims), jti=jti, expires_in=exp - now, usable_s=exp, end_s=exp if end is None else end)

    def subscription(self, user: str, channel: str, allow: Allow) -> Issued:
        """A subscription token for this user and channel.

        `expire_at` is always written, because without it the subscription would end with the token: 0, Centrifugo's "never", where the
        rule has no lease.
        """
        now_ms = self._clock()
        now = now_ms // 1000
        exp, end, jti = now + self._subscription_ttl_s, allow.until(now_ms, self._spread), _name()
        claims: Claims = {"sub": user, "channel": channel, "exp": exp, "iat": now, "jti": jti, EXPIRE_AT: end or 0}
        _add(claims, "info", allow.info)
        _add(claims, "data", allow.data)
        return Issued(token=self._write(claims), jti=jti, expires_in=self._subscription_ttl_s, usable_s=exp, end_s=end)


def unasked(user: str, now: int, ttl_s: int) -> Claims:
    """The claims of a token that no rule was asked about: without `expire_at` what it opens ends with it, at `now` and `ttl_s` seconds."""
    return {"sub": user, "exp": now + ttl_s, "iat": now, "jti": _name()}


def _encoded(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_URL, b"=")


def _name() -> str:
    """What no other token has: unique, also after a fork (Python's `random` sees to it), but no secret."""
    return random.randbytes(12).hex()  # noqa: S311 - nothing rests on its being guessed by nobody


def _options(allow: Allow) -> Claims:
    options: Claims = {}
    _add(options, "info", allow.info)
    _add(options, "data", allow.data)
    return options


def _add(claims: Claims, name: str, value: object) -> None:
    if value is not UNCHANGED and value is not None:  # null would become a payload of four bytes
        claims[name] = value
