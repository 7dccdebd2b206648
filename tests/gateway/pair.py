"""A real Centrifugo and the service before it: the same call to both."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import httpx
from pydantic import SecretStr

from proxy.app import create
from proxy.cli.server import listen, run
from proxy.policy.load import load
from proxy.settings import Settings
from proxy.wire.methods import METHODS
from tests.live.servers import binary

KEY = "the-key-of-the-server-api-0123456789"
ALL_KEY = "all-key-0123456789"
ORDERS_KEY = "orders-key-0123456789"
TOKEN_KEY = "token-" * 8
KEYS: Mapping[str, str] = {"ALL_KEY": ALL_KEY, "ORDERS_KEY": ORDERS_KEY}

POLICY = f"""
language 1;
service all {{ key env ALL_KEY; allow {", ".join(METHODS)}; }}
service orders {{
  key env ORDERS_KEY;
  allow publish, broadcast on "chat:{{x}}" when vars.x.endsWith("-stamped") stamp to = channel tags {{"n": string(data.n)}};
  allow publish, broadcast on "chat:{{x}}" when !vars.x.endsWith("-stamped") && !vars.x.endsWith("-denied");
  allow publish on "rare:{{x}}" limit 1/24h;
  allow presence on "chat:{{x}}";
}}
""".encode()

HISTORY = {"name": "chat", "history_size": 100, "history_ttl": "60s", "presence": True}
BOARD = {"name": "board", "subscription_type": "map", "map": {"mode": "ephemeral", "key_ttl": "60s"}}
POLL = {"name": "poll", "subscription_type": "shared_poll", "shared_poll": {"mode": "versioned", "publish_enabled": True}}
CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "6.9.1": {
        "http_api": {"key": KEY},
        "channel": {
            "namespaces": [HISTORY, BOARD, POLL],
            "proxy": {"shared_poll_refresh": {"endpoint": "http://127.0.0.1:9/refresh"}},  # a polled namespace wants one; nobody asks it
        },
        "shared_poll": {"hmac_secret_key": "s" * 32},
        "client": {"token": {"hmac_secret_key": TOKEN_KEY}},
    },
    "5.4.9": {"api_key": KEY, "namespaces": [HISTORY], "token_hmac_secret_key": TOKEN_KEY},
}
VERSIONS = tuple(CONFIGURATIONS)


@contextmanager
def centrifugo(version: str, folder: Path) -> Iterator[str]:
    """Run a Centrifugo and give its address."""
    config = folder / "config.json"
    config.write_text(json.dumps(CONFIGURATIONS[version]))
    with socket.create_server(("127.0.0.1", 0)) as vacant:
        port = vacant.getsockname()[1]
    command = [str(binary(version)), "-c", str(config), "-a", "127.0.0.1", "-p", str(port)]
    with Popen(command, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            _wait(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(process: Popen[bytes], port: int) -> None:
    last = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            assert process.poll() is None, "Centrifugo refused its configuration"
            assert time.monotonic() < last, "Centrifugo did not start"
            Event().wait(0.02)
        else:
            return


@asynccontextmanager
async def service(base: str, policy: bytes, **chosen: object) -> AsyncIterator[str]:
    """Run the service with this policy before that Centrifugo, and give its address."""
    loaded = load({"orders.policy": policy})
    assert loaded.policy is not None, loaded.findings
    folder = TemporaryDirectory()
    await asyncio.to_thread(Path(folder.name, "orders.policy").write_bytes, policy)
    chosen = {"policies": folder.name, "store_url": f"sqlite:///{folder.name}/store.db", **chosen}
    secrets = {name: SecretStr("s" * 32) for name in ("hook_secret", "token_key")}
    settings = Settings.model_validate({"centrifugo_url": base, "centrifugo_api_key": SecretStr(KEY), **secrets, **chosen})
    app = create(settings, loaded.policy, KEYS)
    started, sockets = asyncio.Event(), listen("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    running = asyncio.create_task(run(app, sockets, started.set))
    try:
        async with asyncio.timeout(10):
            await started.wait()
        yield f"http://127.0.0.1:{port}"
    finally:
        running.cancel()
        await asyncio.wait([running])
        folder.cleanup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Where both are."""

    version: str
    direct: str
    gateway: str
    key: str
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=20))

    async def directly(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Call Centrifugo."""
        return await self.client.post(f"{self.direct}/api{path}", content=body, headers={"x-api-key": self.key, **(headers or {})})

    async def through(self, path: str, body: bytes, headers: Mapping[str, str] | None = None, key: str = ALL_KEY) -> httpx.Response:
        """Call the gateway, as the service that may do everything."""
        return await self.client.post(f"{self.gateway}/api{path}", content=body, headers={"x-api-key": key, **(headers or {})})

    async def ordered(self, method: str, body: object) -> Any:  # noqa: ANN401 - decoded JSON
        """Call the gateway as the service `orders`."""
        return (await self.through(f"/{method}", json.dumps(body).encode(), key=ORDERS_KEY)).json()

    async def published(self, channel: str) -> list[Any]:
        """Give what Centrifugo has in the history of the channel."""
        history = await self.directly("/history", json.dumps({"channel": channel, "limit": -1}).encode())
        return [each["data"] for each in history.json()["result"].get("publications", [])]
