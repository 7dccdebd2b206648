"""Mints Centrifugo's JSON web tokens (HS256); its claims: https://centrifugal.dev/docs/server/authentication and …/channel_token_auth."""

import base64
import hmac
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from proxy.errors import SetupFault
from proxy.policy.decision import UNCHANGED, Allow
from proxy.policy.policy import Person

MIN_KEY_BYTES = 32
"""RFC 7518 §3.2: a key as long as the hash."""

_HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=") + b"."

Claims = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A token; `expires_in` are the seconds it may be used for."""

    token: str
    expires_in: int


class Minter:
    """Writes tokens with one HMAC secret.

    `ttl_s` and `subscription_ttl_s` are how many seconds a token may be used; how long the connection or subscription lasts is
    `expire_at`. `clock` gives epoch milliseconds, `spread` a number from 0 to 1. Raises `SetupFault` for a key that is short or no secret.
    """

    def __init__(
        self,
        key: str,
        ttl_s: int,
        subscription_ttl_s: int,
        clock: Callable[[], int],
        spread: Callable[[], float] = random.random,
    ) -> None:
        if "-----BEGIN" in key:
            raise SetupFault("the token key is a PEM key, which is not supported yet: set it to a random secret")
        if len(key.encode()) < MIN_KEY_BYTES:
            raise SetupFault(f"the token key is too short: set it to a random secret of at least {MIN_KEY_BYTES} characters")
        self._key = key.encode()
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
        exp = now + self._ttl_s if person.expires_at is None else min(now + self._ttl_s, person.expires_at)
        ends = [at for at in (person.expires_at, allow.until(now_ms, self._spread)) if at is not None]
        claims: Claims = {"sub": person.user, "exp": exp, "iat": now, "jti": secrets.token_urlsafe(12)}
        _add(claims, "info", person.info if allow.info is UNCHANGED else allow.info)
        _add(claims, "meta", person.meta)
        if allow.channels:
            claims["subs"] = {channel: _options(decided) for channel, decided in allow.channels.items()}
        if ends:
            claims["expire_at"] = min(ends)
        return Issued(token=self._sign(claims), expires_in=exp - now)

    def subscription(self, user: str, channel: str, allow: Allow) -> Issued:
        """A subscription token for this user and channel.

        `expire_at` is always written, because without it the subscription would end with the token: 0, Centrifugo's "never", where the
        rule has no lease.
        """
        now_ms = self._clock()
        now = now_ms // 1000
        claims: Claims = {
            "sub": user,
            "channel": channel,
            "exp": now + self._subscription_ttl_s,
            "iat": now,
            "jti": secrets.token_urlsafe(12),
            "expire_at": allow.until(now_ms, self._spread) or 0,
            **_options(allow),
        }
        return Issued(token=self._sign(claims), expires_in=self._subscription_ttl_s)

    def _sign(self, claims: Claims) -> str:
        text = _HEADER + base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
        signature = base64.urlsafe_b64encode(hmac.digest(self._key, text, "sha256")).rstrip(b"=")
        return (text + b"." + signature).decode()


def _options(allow: Allow) -> Claims:
    options: Claims = {}
    _add(options, "info", allow.info)
    _add(options, "data", allow.data)
    return options


def _add(claims: Claims, name: str, value: object) -> None:
    if value is not UNCHANGED and value is not None:  # null would become a payload of four bytes
        claims[name] = value
