"""Real Centrifugos: 6 with the configuration that is shipped, 5 with one that says the same in its own words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.demo.supervisor import Supervisor, endpoints, environment

ROOT = Path(__file__).parents[2]
VERSIONS = ("6.9.1", "5.4.9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What Centrifugo and the service share."""

    hook: str = "hook-" * 8
    api: str = "api-" * 8
    token: str = "token-" * 8


def binary(version: str) -> Path:
    """Where the server of this version is built."""
    return ROOT / ".tools" / f"centrifugo-{version}"


def centrifugo(version: str, service: str, folder: Path, secrets: Secrets) -> Supervisor:
    """A server on a free port whose hooks ask `service`."""
    origins = [service, service.replace("127.0.0.1", "localhost")]
    if version.startswith("5"):
        config = folder / "centrifugo-5.json"
        config.write_text(json.dumps({**_flat(service, secrets), "allowed_origins": origins}))
        return Supervisor(binary(version), config, {})
    shared = environment(hook_secret=secrets.hook, api_key=secrets.api, token_key=secrets.token)
    variables = {**shared, **endpoints(service), "CENTRIFUGO_CLIENT_ALLOWED_ORIGINS": " ".join(origins)}
    return Supervisor(binary(version), ROOT / "centrifugo-config.json", variables)


def _flat(service: str, secrets: Secrets) -> Mapping[str, object]:
    asked = {"proxy_subscribe": True, "proxy_publish": True, "proxy_sub_refresh": True, "force_recovery": True}
    kept = {"history_size": 100, "history_ttl": "24h", "allow_history_for_subscriber": True}
    seen = {"presence": True, "join_leave": True, "force_push_join_leave": True, "allow_presence_for_subscriber": True}
    events = ("connect", "refresh", "subscribe", "publish", "sub_refresh", "rpc")
    return {
        **{f"proxy_{event}_endpoint": f"{service}/centrifugo/{event}" for event in events},
        **{f"proxy_{event}_timeout": "4s" for event in events},
        "proxy_http_headers": ["Cookie", "Origin", "Authorization", "User-Agent", "X-Forwarded-For"],
        "proxy_static_http_headers": {"X-Centrigate-Hook-Secret": secrets.hook},
        "proxy_include_connection_meta": True,
        "token_hmac_secret_key": secrets.token,
        "api_key": secrets.api,
        "namespaces": [{"name": "chat", **asked, **kept, **seen}, {"name": "news", **asked, **kept}],
        "history_size": 10,
        "history_ttl": "300s",
        **asked,
        "health": True,
        "sse": True,
        "http_stream": True,
        "sockjs": True,
    }
