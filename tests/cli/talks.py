"""Talks with the hooks: what is sent, and which statuses come back."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.hooks.scene import body

from .ways import PREVIOUS, SECRET, Step


def post(path: str, said: bytes = b'{"a":1}', *lines: str, secrets: Sequence[str] = (SECRET,), length: str = "") -> bytes:
    """Write a hook; a `length` of "-" leaves the header out."""
    head = [f"POST {path} HTTP/1.1", "Host: x", *(f"X-Centrigate-Hook-Secret: {secret}" for secret in secrets)]
    if length != "-":
        head.append(f"Content-Length: {length or len(said)}")
    return "\r\n".join([*head, *lines, "", ""]).encode("latin-1") + said


NOW, SLOW, WAIT = post("/now"), post("/slow", b'{"slow":1}'), post("/now", b'{"wait":1}')
MEMBER, NEWS = post("/subscribe", body(channel="doc:7")), post("/subscribe", body(channel="news:1"))
CHUNKED = post("/now", b'4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n', "Transfer-Encoding: chunked", length="-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A talk, and how many of its requests do not go the short way."""

    steps: tuple[Step, ...]
    ordinary: int = 0


def short(raw: bytes, *codes: int) -> Case:
    return Case(steps=((raw, codes or (200,)),))


def long(raw: bytes, *codes: int, ordinary: int = 1) -> Case:
    return Case(steps=((raw, codes or (200,)),), ordinary=ordinary)


CASES = {
    "good subscribe": short(NEWS),
    "facts that are loaded once": Case(steps=((MEMBER, [200]), (MEMBER, [200]), (MEMBER + MEMBER, [200, 200])), ordinary=1),
    "refused by the policy": short(post("/subscribe", body(channel="none:1"))),
    "refused": short(post("/now", b'{"no":1}')),
    "previous secret": short(post("/now", secrets=[PREVIOUS])),
    "wrong secret": short(post("/now", secrets=["x" * 32]) + NOW, 401, 200),
    "secret beyond ASCII": short(post("/now", secrets=["\xe9" * 32]), 401),
    "no secret": short(post("/now", secrets=[]), 401),
    "repeated secret": short(post("/now", secrets=[SECRET, SECRET]), 401),
    "malformed": short(post("/now", b"{") + post("/now", b"[]") + post("/now", b"") + NOW, 400, 400, 400, 200),
    "malformed subscribe": short(post("/subscribe", b"{}"), 400),
    "decoder that fails": short(post("/now", b'{"crash":1}') + NOW, 500, 200),
    "handler that fails": short(post("/now", b'{"bug":1}') + NOW, 500, 200),
    "handler without its store": short(post("/now", b'{"fault":1}') + NOW, 503, 200),
    "handler that minds the request": short(post("/now", b'{"odd":1}'), 400),
    "longest body": short(post("/now", b" " * 249 + b'{"a":1}')),
    "over-long body": long(post("/now", b" " * 257), 413),
    "over-long body of a stranger": long(post("/now", b" " * 257, secrets=[]) + NOW, 401, 200, ordinary=2),
    "length of many digits": long(post("/now", length="0" * 20 + "7"), 413),
    "length and a space": long(post("/now", length="7 "), 413),
    "length with a zero": short(post("/now", length="07")),
    "length beyond 64 bits": long(post("/now", length="9" * 30), 400, ordinary=0),
    "length that is none": long(post("/now", length="x"), 400, ordinary=0),
    "length below zero": long(post("/now", length="-1"), 400, ordinary=0),
    "two lengths": long(post("/now", b'{"a":1}', "Content-Length: 7"), 400, ordinary=0),
    "length and chunks": long(CHUNKED.replace(b"Host", b"Content-Length: 7\r\nHost"), 400, ordinary=0),
    "no length": long(post("/now", b"", length="-") + NOW, 400, 200, ordinary=2),
    "chunked": long(CHUNKED),
    "two short ones": short(NOW + NEWS, 200, 200),
    "slow behind short": long(NOW + WAIT, 200, 200),
    "short behind slow": long(SLOW + NOW + NEWS, 200, 200, 200, ordinary=3),
    "short behind waiting": long(NOW + WAIT + NOW + SLOW + NOW, *[200] * 5, ordinary=4),
    "short after slow": Case(steps=((SLOW, [200]), (NOW, [200]), (WAIT, [200]), (NOW, [200])), ordinary=2),
    "HTTP/1.0": long(NOW.replace(b"HTTP/1.1", b"HTTP/1.0")),
    "HTTP/1.0 kept alive": long(post("/now", b'{"a":1}', "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")),
    "HTTP/1.0 kept alive by a proxy": long(post("/now", b'{"a":1}', "Proxy-Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")),
    "kept alive in words": long(post("/now", b'{"a":1}', "Connection: keep-alive")),
    "closing": long(post("/now", b'{"a":1}', "Connection: close") + NOW),
    "closing after short": long(NOW + post("/now", b'{"a":1}', "Connection: close"), 200, 200),
    "expecting": long(post("/now", b'{"a":1}', "Expect: 100-continue") + NOW, 100, 200, 200, ordinary=2),
    "query": long(post("/now?a=1")),
    "other spelling": long(post("/%6eow")),
    "whole address": long(post("http://x/now")),
    "GET": long(b"GET /now HTTP/1.1\r\n\r\n" + NOW, 405, 200, ordinary=2),
    "PUT": long(NOW.replace(b"POST", b"PUT") + NOW, 405, 200, ordinary=2),
    "unknown path": long(post("/none"), 404),
    "path with a slash": long(post("/now/"), 404),
    "upgrade": long(post("/now", b'{"a":1}', "Connection: Upgrade", "Upgrade: websocket"), 400),
    "h2c": long(post("/now", b'{"a":1}', "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), 400),
    "garbage": long(b"\x00\x01garbage\r\n\r\n", 400, ordinary=0),
    "garbage after short": Case(steps=((NOW, [200]), (b"\r\n\xff\r\n", [400]))),
    "TLS": long(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, ordinary=0),
    "lines before": short(b"\r\n\r\n" + NOW),
    "hook that cannot be short": long(SLOW),
    "refresh without a decision": long(post("/refresh", b'{"fault":1,"live":1}')),
    "refresh that is odd": long(post("/refresh", b'{"odd":1}')),
    "refresh that nobody can answer": long(post("/refresh", b'{"odd":1,"worse":1}'), 500),
    "refresh that cannot be read": long(post("/refresh", b"{"), 400),
    "short refresh that is odd": short(post("/renew", b'{"odd":1,"live":1}')),
    "short refresh that fails": short(post("/renew", b'{"bug":1}')),
    "short refresh that nobody can answer": short(post("/renew", b'{"fault":1,"worse":1}'), 500),
}
"""Talks by name."""
