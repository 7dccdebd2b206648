"""A real service that mints, and a real Centrifugo that checks: with keys of its own, or with the key set of the service."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import jwt
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.app import create
from proxy.cli.server import listen, run
from proxy.demo.provide import provide
from proxy.demo.supervisor import Supervisor
from proxy.policy.load import load
from proxy.settings import Settings
from tests.house.tree import ROOT

IDP_KEY = "i" * 32
CHANNEL = "chat:doc-7"
POLICY = b"""language 1;
identity idp {
  jwt from header "authorization"; issuer "https://id.example.org"; audience "realtime"; algorithms HS256; keys env IDP_KEY;
  user = claims.sub;
}
connect { allow; }
channel "chat:doc-{doc}" { allow subscribe when vars.doc == "7"; }
"""
Proof = dict[str, str]
"""What tokens are checked with, by Centrifugo's names: `hmac_secret_key`, `rsa_public_key`, `ecdsa_public_key`, `jwks_public_endpoint`."""


def configuration(version: str, proof: Proof) -> Mapping[str, object]:
    """A configuration that lets nobody in without a token."""
    spaces = [{"name": "chat"}]
    if version.startswith("5"):
        return {**{f"token_{name}": value for name, value in proof.items()}, "namespaces": spaces, "health": True}
    return {"client": {"token": proof}, "channel": {"namespaces": spaces}, "health": {"enabled": True}}


def written(version: str, folder: Path, proof: Proof) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(configuration(version, proof)))
    return file


def program(version: str) -> Path:
    return provide(version, root=ROOT)


def said(version: str, config: Path, command: str, *arguments: str) -> tuple[int, str]:
    """The exit code of one of Centrifugo's commands, and what it says."""
    line = [str(program(version)), command, "-c", str(config), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def settings(**keys: object) -> Settings:
    secret = "s" * 32
    return Settings.model_validate({"hook_secret": secret, "centrifugo_api_key": secret, **keys})


def app(**keys: object) -> ASGIApp:
    """The service with these keys."""
    policy = load({"a.policy": POLICY}).policy
    assert policy is not None
    return create(settings(**keys), policy, {"IDP_KEY": IDP_KEY})


class Service:
    """The service at an address; its keys can be changed, as a restart does."""

    def __init__(self, **keys: object) -> None:
        self.url = ""
        self.fetched = 0
        self._app = app(**keys)

    def restart(self, **keys: object) -> None:
        self._app = app(**keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.fetched += scope.get("path") == "/.well-known/jwks.json"
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        sockets, started = listen("127.0.0.1", 0), asyncio.Event()
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        serving = asyncio.create_task(run(self, sockets, started.set))
        try:
            async with asyncio.timeout(10):
                await started.wait()
            yield self
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def token(self, channel: str = "") -> str:
        """What the endpoints give to user 42."""
        claims = {"iss": "https://id.example.org", "aud": "realtime", "sub": "42", "exp": int(time.time()) + 600}
        signed = {"authorization": f"Bearer {jwt.encode(claims, IDP_KEY, 'HS256')}"}
        kind, body = ("subscription", {"channel": channel}) if channel else ("connection", {})
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10) as client:
            got = await client.post(f"/api/centrifugo/{kind}-token", json=body, headers=signed)
        token: str = got.raise_for_status().json()["token"]
        return token


class Server:
    """A running Centrifugo, asked in its JSON protocol over HTTP: each call is a connection of its own."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._url = supervisor.url

    @staticmethod
    @asynccontextmanager
    async def running(version: str, folder: Path, proof: Proof) -> AsyncIterator["Server"]:
        config = written(version, folder, proof)
        said = json.loads(config.read_text())
        streaming = {"http_stream": True} if version.startswith("5") else {"http_stream": {"enabled": True}}
        config.write_text(json.dumps(said | streaming))
        async with Supervisor(program(version), config, {}) as supervisor:
            yield Server(supervisor)

    async def outcome(self, connection: str, subscription: str = "") -> object:
        """`connected`, `subscribed`, or the code that the server refuses with."""
        commands: list[dict[str, object]] = [{"id": 1, "connect": {"token": connection}}]
        if subscription:
            commands.append({"id": 2, "subscribe": {"channel": CHANNEL, "token": subscription}})
        body = "\n".join(json.dumps(command) for command in commands)
        async with (
            asyncio.timeout(15),
            httpx.AsyncClient(trust_env=False, timeout=15) as client,
            client.stream("POST", f"{self._url}/connection/http_stream", content=body) as answer,
        ):
            async for line in answer.aiter_lines():
                found = _found(json.loads(line or "{}"))
                if found is not None and (found != "connected" or not subscription):
                    return found
        return None


def _found(message: Mapping[str, object]) -> object:
    match message:
        case {"error": {"code": code}} | {"push": {"disconnect": {"code": code}}}:
            return code
        case {"id": 1, "connect": _}:
            return "connected"
        case {"id": 2, "subscribe": _}:
            return "subscribed"
    return None
