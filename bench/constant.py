"""`python -m bench.constant PORT`: the least that an ASGI application can do, under the server that the service has, too."""

import sys
import time

import uvloop
from starlette.types import Receive, Scope, Send

from proxy.cli.server import listen, run


class Constant:
    """Answers the hooks connect and subscribe with what an allowing policy answers, and anything else with nothing."""

    def __init__(self) -> None:
        now = int(time.time())
        self._answers = {
            "/centrifugo/connect": b'{"result":{"user":"storm","expire_at":%d}}' % (now + 3600),
            "/centrifugo/subscribe": b'{"result":{"info":{"role":"editor"},"expire_at":%d}}' % (now + 300),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any kind."""
        if scope["type"] == "lifespan":
            await _living(receive, send)
            return
        await receive()
        body = self._answers.get(scope["path"], b"{}")
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _living(receive: Receive, send: Send) -> None:
    for moment in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{moment}.complete"})


if __name__ == "__main__":
    uvloop.run(run(Constant(), listen("127.0.0.1", int(sys.argv[1])), lambda: None))
