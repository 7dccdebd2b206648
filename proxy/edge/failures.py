"""What failed becomes an answer: the one place that does it."""

import logging
import traceback
from collections.abc import Mapping
from typing import Final, TypeAlias

import orjson

from proxy.errors import Fault, Malformed, TooLarge, Unauthorized, WrongMethod

Answer: TypeAlias = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""

LATER: Final[dict[str, str]] = {"content-type": "text/plain; charset=utf-8", "retry-after": "1"}
"""Headers of an answer that means "ask again": browsers' SDKs stop for good at JSON without a token, and ask again at anything else."""

_JSON: Final = {"content-type": "application/json"}
_LOG: Final = logging.getLogger(__name__)


def answer(error: Exception) -> Answer:
    """Give the answer to a request that could not be served.

    What is wrong with a request is told to its sender. What is wrong with us goes to the log, without anything of the request: of an
    unexpected exception only its type and where it arose, because its text may quote the payload.
    """
    match error:
        case Unauthorized():
            return 401, {}, b""
        case WrongMethod():
            return 405, {"allow": "POST"}, b""
        case TooLarge():
            # The rest of the body is not read, so that the connection cannot be used again.
            return 413, _JSON | {"connection": "close"}, refusal("too_large", str(error))
        case Malformed():
            return 400, _JSON, refusal("malformed", str(error))
        case Fault():
            _LOG.warning("unavailable: %s: %s", type(error).__name__, error)
            return 503, LATER, b"temporarily unavailable\n"
        case _:
            frames = "".join(traceback.format_tb(error.__traceback__))
            _LOG.error("unexpected %s\n%s", type(error).__name__, frames)
            return 500, {"content-type": LATER["content-type"]}, b"internal error\n"


def refusal(code: str, message: str) -> bytes:
    """Write the body of a refusal; it has no `token`, which is how clients see that it is one."""
    return orjson.dumps({"error": {"code": code, "message": message}})
