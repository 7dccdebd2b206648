"""Configurations that are broken on purpose: what is changed in a good one, and which key the doctor has to name.

Each is shown to be a real hole or failure by the test of the same name in `tests/live/test_doctor.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.review.doctor.scene import DROP, SERVICE

ON: object = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Keys and their new values in one version, the key that the finding names, and what is found besides."""

    set: Mapping[str, object]
    key: str
    also: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One way to break a configuration; a version in which there is no such way is left out."""

    id: str
    six: Change | None = None
    five: Change | None = None
    name: str = field(default="")

    @property
    def title(self) -> str:
        return self.name or self.id.replace("-", "_")

    def change(self, version: int) -> Change | None:
        return self.six if version == 6 else self.five


def both(id_: str, six: str, five: str, value: object = ON, *, name: str = "", key: str = "", key5: str = "") -> Broken:
    """One key in each version gets the same value; the findings name it, or another key."""
    return Broken(id=id_, name=name, six=Change(set={six: value}, key=key or six), five=Change(set={five: value}, key=key5 or five))


CHAT, NEWS, TOP = "channel.namespaces[0]", "channel.namespaces[1]", "channel.without_namespace"
SECRET = "X-Centrigate-Hook-Secret"
CONNECT, SUBSCRIBE, PUBLISH = "client.proxy.connect", "channel.proxy.subscribe", "channel.proxy.publish"
HISTORY = {"history_size": 10, "history_ttl": "60s"}
MAP = {"mode": "ephemeral", "key_ttl": "60s"}
UNAVAILABLE = [{"status_code": 503, "to_error": {"code": 111, "message": "too many requests", "temporary": True}}]


def _in(space: str, options: Mapping[str, object]) -> dict[str, object]:
    return {f"{space}.{name}" if space else name: value for name, value in options.items()}


def _spaced(id_: str, six: str, five: str, options: Mapping[str, object], key: str, *, name: str = "") -> Broken:
    """Options of one namespace, called alike in both versions."""
    changes = [Change(set=_in(space, options), key=f"{space}.{key}" if space else key) for space in (six, five)]
    return Broken(id=id_, name=name, six=changes[0], five=changes[1])


TABLE = (
    both("insecure-switch", "client.insecure", "client_insecure", name="insecure_clients"),
    both(
        "insecure-switch",
        "client.insecure_skip_token_signature_verify",
        "client_insecure_skip_token_signature_verify",
        name="unverified_tokens",
    ),
    Broken(
        id="insecure-switch",
        name="keys_from_anywhere",
        six=Change(
            set={
                "client.token.insecure_skip_jwks_endpoint_safety_check": True,
                "client.token.jwks_public_endpoint": SERVICE + "/{{tenant}}/keys",
                "client.token.issuer_regex": "(?P<tenant>.+)",
            },
            key="client.token.insecure_skip_jwks_endpoint_safety_check",
            also=frozenset({"foreign-keys"}),
        ),
    ),
    Broken(
        id="insecure-switch",
        name="insecure_admin",
        six=Change(set={"admin.insecure": True, "admin.enabled": True}, key="admin.insecure"),
        five=Change(set={"admin_insecure": True, "admin": True}, key="admin_insecure"),
    ),
    Broken(
        id="user-from-header",
        six=Change(
            set={"client.user_id_http_header": "X-User", f"{CONNECT}.enabled": DROP},
            key="client.user_id_http_header",
            also=frozenset({"connect-hook-missing"}),
        ),
        five=Change(
            set={"client_user_id_http_header": "X-User", "proxy_connect_endpoint": DROP},
            key="client_user_id_http_header",
            also=frozenset({"connect-hook-missing"}),
        ),
    ),
    Broken(
        id="anonymous-connect",
        six=Change(
            set={"client.allow_anonymous_connect_without_token": True, f"{CONNECT}.enabled": DROP},
            key="client.allow_anonymous_connect_without_token",
            also=frozenset({"connect-hook-missing"}),
        ),
        five=Change(
            set={"allow_anonymous_connect_without_token": True, "proxy_connect_endpoint": DROP},
            key="allow_anonymous_connect_without_token",
            also=frozenset({"connect-hook-missing"}),
        ),
    ),
    both("open-api", "http_api.insecure", "api_insecure", name="open_http_api"),
    both("open-api", "grpc_api.enabled", "grpc_api", name="open_grpc_api", key="grpc_api.key", key5="grpc_api_key"),
    both("foreign-keys", "client.token.jwks_public_endpoint", "token_jwks_public_endpoint", f"{SERVICE}/idp/keys"),
    both("weak-secret", "client.token.hmac_secret_key", "token_hmac_secret_key", "secret"),
    both("any-origin", "client.allowed_origins", "allowed_origins", ["*"]),
    both("forwardable-secret", f"{SUBSCRIBE}.http_headers", "proxy_http_headers", ["Authorization", SECRET]),
    Broken(
        id="unchecked-certificate",
        six=Change(
            set={
                f"{SUBSCRIBE}.endpoint": SERVICE.replace("http:", "https:") + "/centrifugo/subscribe",
                f"{SUBSCRIBE}.http.tls": {"enabled": True, "insecure_skip_verify": True},
            },
            key=f"{SUBSCRIBE}.http.tls.insecure_skip_verify",
        ),
    ),
    both("foreign-hook", f"{PUBLISH}.endpoint", "proxy_publish_endpoint", f"{SERVICE}/elsewhere/publish"),
    Broken(
        id="stream-hook",
        six=Change(
            set={
                "channel.proxy.subscribe_stream": {"endpoint": "grpc://127.0.0.1:1"},
                **_in(NEWS, {"subscribe_stream_proxy_enabled": True, "subscribe_proxy_enabled": DROP}),
                **_in(NEWS, {"publish_proxy_enabled": DROP, "sub_refresh_proxy_enabled": DROP}),
            },
            key=f"{NEWS}.subscribe_stream_proxy_enabled",
            also=frozenset({"hook-missing", "sub-refresh-hook-missing"}),
        ),
    ),
    Broken(
        id="flag-grants",
        name="flag_grants_subscribe",
        six=Change(
            set=_in(CHAT, {"allow_subscribe_for_client": True, "subscribe_proxy_enabled": DROP}),
            key=f"{CHAT}.allow_subscribe_for_client",
            also=frozenset({"hook-missing"}),
        ),
        five=Change(
            set=_in("namespaces[0]", {"allow_subscribe_for_client": True, "proxy_subscribe": DROP}),
            key="namespaces[0].allow_subscribe_for_client",
            also=frozenset({"hook-missing"}),
        ),
    ),
    Broken(
        id="flag-grants",
        name="flag_grants_publish",
        six=Change(
            set=_in(NEWS, {"allow_publish_for_client": True, "publish_proxy_enabled": DROP}), key=f"{NEWS}.allow_publish_for_client"
        ),
        five=Change(
            set=_in("namespaces[1]", {"allow_publish_for_client": True, "proxy_publish": DROP}),
            key="namespaces[1].allow_publish_for_client",
        ),
    ),
    Broken(
        id="flag-grants",
        name="flag_grants_publish_to_subscribers",
        six=Change(
            set=_in(NEWS, {"allow_publish_for_subscriber": True, "publish_proxy_enabled": DROP}),
            key=f"{NEWS}.allow_publish_for_subscriber",
        ),
        five=Change(
            set=_in("namespaces[1]", {"allow_publish_for_subscriber": True, "proxy_publish": DROP}),
            key="namespaces[1].allow_publish_for_subscriber",
        ),
    ),
    Broken(
        id="flag-grants",
        name="flag_grants_map_publish",
        six=Change(
            set={
                "channel.namespaces[2]": {
                    "name": "board",
                    "subscription_type": "map",
                    "map": {"mode": "ephemeral", "key_ttl": "60s", "allow_publish_for_client": True},
                }
            },
            key="channel.namespaces[2].map.allow_publish_for_client",
        ),
    ),
    _spaced("user-limited-channels", TOP, "", {"allow_user_limited_channels": True}, "allow_user_limited_channels"),
    both("personal-channel", "client.subscribe_to_user_personal_channel.enabled", "user_subscribe_to_personal"),
    _spaced(
        "presence-for-everybody",
        CHAT,
        "namespaces[0]",
        {"allow_presence_for_client": True},
        "allow_presence_for_client",
    ),
    _spaced(
        "presence-wider",
        NEWS,
        "namespaces[1]",
        {"presence": True, "allow_presence_for_subscriber": True},
        "allow_presence_for_subscriber",
    ),
    _spaced(
        "presence-wider",
        NEWS,
        "namespaces[1]",
        {"presence": True, "join_leave": True, "force_push_join_leave": True},
        "force_push_join_leave",
        name="joins_wider",
    ),
    _spaced("history-for-everybody", CHAT, "namespaces[0]", {"allow_history_for_client": True}, "allow_history_for_client"),
    _spaced("history-wider", NEWS, "namespaces[1]", {**HISTORY, "allow_history_for_subscriber": True}, "allow_history_for_subscriber"),
    _spaced("recovery-wider", NEWS, "namespaces[1]", {**HISTORY, "force_recovery": True}, "force_recovery"),
    both(
        "sub-refresh-hook-missing",
        f"{CHAT}.sub_refresh_proxy_enabled",
        "namespaces[0].proxy_sub_refresh",
        value=DROP,
    ),
    both("meta-not-sent", f"{SUBSCRIBE}.include_connection_meta", "proxy_include_connection_meta", value=False),
    both("secret-missing", f"{SUBSCRIBE}.http.static_headers", "proxy_static_http_headers", {}),
    both("hook-missing", f"{CHAT}.subscribe_proxy_enabled", "namespaces[0].proxy_subscribe", DROP, name="subscribe_hook_missing"),
    both("hook-missing", f"{CHAT}.publish_proxy_enabled", "namespaces[0].proxy_publish", DROP, name="publish_hook_missing"),
    both("hook-missing", "rpc.without_namespace.proxy_enabled", "proxy_rpc_endpoint", DROP, name="rpc_hook_missing"),
    both("namespace-missing", "channel.namespaces[1]", "namespaces[1]", DROP, key="channel.namespaces", key5="namespaces"),
    both("refresh-hook-missing", "client.proxy.refresh.enabled", "proxy_refresh_endpoint", DROP),
    Broken(id="endpoint-missing", six=Change(set={f"{SUBSCRIBE}.endpoint": ""}, key=f"{SUBSCRIBE}.endpoint")),
    Broken(
        id="map-behind-hook",
        six=Change(
            set={
                "channel.namespaces[2]": {
                    "name": "board",
                    "subscription_type": "map",
                    "subscribe_proxy_enabled": True,
                    "map": MAP,
                }
            },
            key="channel.namespaces[2].subscribe_proxy_enabled",
        ),
    ),
    both("header-not-sent", f"{CONNECT}.http_headers", "proxy_http_headers", ["Origin"]),
    both("unknown-key", f"{CHAT}.subscribe_for_client", "namespaces[0].subscribe_for_client"),
    Broken(
        id="wrong-kind",
        six=Change(set={"admin": True}, key="admin"),
        five=Change(set={"proxy_connect_timeout": "soon"}, key="proxy_connect_timeout"),
    ),
    both("bare-duration", f"{SUBSCRIBE}.timeout", "proxy_subscribe_timeout", 2),
    both("presence-missing", f"{CHAT}.allow_presence_for_subscriber", "namespaces[0].allow_presence_for_subscriber", DROP),
    both("history-missing", f"{CHAT}.allow_history_for_subscriber", "namespaces[0].allow_history_for_subscriber", DROP),
    Broken(
        id="other-kind",
        six=Change(
            set={CHAT: {"name": "chat", "subscription_type": "map", "sub_refresh_proxy_enabled": True, "map": MAP}},
            key=f"{CHAT}.subscription_type",
        ),
    ),
    both("connect-hook-missing", f"{CONNECT}.enabled", "proxy_connect_endpoint", DROP),
    both("origins-missing", "client.allowed_origins", "allowed_origins", []),
    both("timeout-too-short", f"{SUBSCRIBE}.timeout", "proxy_subscribe_timeout", "100ms"),
    both("timeout-too-long", f"{SUBSCRIBE}.timeout", "proxy_subscribe_timeout", "10s"),
    Broken(
        id="ends-in-outage",
        six=Change(
            set={"client.proxy.refresh.http.status_to_code_transforms": UNAVAILABLE},
            key="client.proxy.refresh.http.status_to_code_transforms",
        ),
        five=Change(set={"proxy_http_status_code_transforms": UNAVAILABLE}, key="proxy_http_status_code_transforms"),
    ),
    Broken(
        id="repeated-effect",
        six=Change(set={f"{PUBLISH}.http.static_headers.X-Idempotency-Key": "1"}, key=f"{PUBLISH}.http.static_headers"),
        five=Change(set={"proxy_static_http_headers.X-Idempotency-Key": "1"}, key="proxy_static_http_headers"),
    ),
)
"""Every break that a change of values makes; what a text alone can have (a repeated key, a variable that is not set) is tested apart."""
