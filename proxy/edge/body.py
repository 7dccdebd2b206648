"""Reading the body of a request, never more of it than is allowed."""

from collections.abc import Sequence
from typing import Final

from starlette.types import Receive

from proxy.errors import Malformed, TooLarge

_DIGITS: Final = 15
"""Digits of a length that are looked at; converting very long ones takes quadratic time."""


class Gone(Malformed):
    """The sender left before the body was complete; nobody waits for an answer."""


def fits(raw: Sequence[tuple[bytes, bytes]], most: int) -> None:
    """Look for a Content-Length among the headers before anything is read; raises `TooLarge` above `most` bytes."""
    for name, length in raw:
        if name == b"content-length" and (len(length) > _DIGITS or not length.isdigit() or int(length) > most):
            raise TooLarge(_excess(most))


async def read(receive: Receive, most: int) -> bytes:
    """Read the body, whose length may be unknown; raises `TooLarge` above `most` bytes and `Gone`."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _rest(receive, bytearray(body), most)
    elif message["type"] != "http.request":
        text = "the sender left"
        raise Gone(text)
    if len(body) > most:
        raise TooLarge(_excess(most))
    return body


async def _rest(receive: Receive, body: bytearray, most: int) -> bytes:
    while len(body) <= most:
        message = await receive()
        if message["type"] != "http.request":
            text = "the sender left"
            raise Gone(text)
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
    raise TooLarge(_excess(most))


def _excess(most: int) -> str:
    return f"the body is longer than {most} bytes"
