import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.review.doctor.conversion import convert, spelled
from proxy.review.doctor.document import Path as Way
from proxy.review.doctor.fitting import fit
from proxy.review.doctor.vocabulary import shape
from tests.live.servers import Secrets, _flat, binary
from tests.review.doctor.scene import changed, found, good, ids

PROXY = {
    "name": "gate",
    "endpoint": "http://a/centrifugo/connect",
    "timeout": "4s",
    "http_headers": ["Cookie"],
    "static_http_headers": {"X-Centrigate-Hook-Secret": "s" * 32},
    "http_status_to_code_transforms": [{"status_code": 503, "to_error": {"code": 111, "message": "later", "temporary": True}}],
    "grpc_tls": {"enabled": True, "cert_pem_file": "c.pem"},
}
GRANULAR: Mapping[str, object] = {
    "granular_proxy_mode": True,
    "proxies": [PROXY, {"name": "calls", "endpoint": "http://a/centrifugo/rpc"}],
    "connect_proxy_name": "gate",
    "rpc_proxy_name": "calls",
    "rpc_namespaces": [{"name": "adm", "rpc_proxy_name": "calls"}, {"name": "off"}],
    "subscribe_proxy_name": "gate",
    "namespaces": [{"name": "chat", "publish_proxy_name": "gate", "proxy_subscribe": True}],
    "proxy_refresh_endpoint": "http://ignored",
}


def converted(old: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
    fitted, troubles = fit(old, shape(5))
    assert troubles == []
    return convert(fitted).tree


def strict(tree: object, folder: Path) -> None:
    """Centrifugo 6 takes it without a word."""
    file = folder / "c.json"
    file.write_text(json.dumps(tree))
    done = subprocess.run([binary("6.9.1"), "checkconfig", "-s", "-c", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.live
@pytest.mark.parametrize("old", [_flat("http://127.0.0.1:8010", Secrets()), GRANULAR, good(5)], ids=["flat", "granular", "generated"])
def test_what_comes_out_is_strictly_clean(old: Mapping[str, object], tmp_path: Path) -> None:
    strict(converted(old), tmp_path)


@pytest.mark.live
def test_every_key_is_carried_over_to_one_that_version_6_knows(tmp_path: Path) -> None:
    samples = {"text": "x", "bool": False, "int": 1, "duration": "1s", "list": [], "map": {}, "any": {}}
    rest = {name: samples[kind] for name, kind in shape(5).items() if isinstance(kind, str)}
    named = {"allowed_delta_types": ["fossil"], "force_recovery_mode": "cache", "engine": "redis", "broker": "nats", "log_level": "info"}
    settled = {"redis_address": "redis://localhost", "api_error_mode": "transport", "grpc_api_error_mode": "transport"}
    empty = [name for name in rest if name.endswith(("_regex", "_port", "_key", "_ca", "_pem", "_cert")) or name == "port"]
    tree = converted({**rest, **named, **settled, "ping_interval": "9s", **dict.fromkeys(empty)})
    strict({**tree, "channel": {**tree["channel"], "without_namespace": {}}}, tmp_path)


def test_options_of_all_hooks_are_given_to_each() -> None:
    tree = converted(_flat("http://a", Secrets()))
    assert tree["client"]["proxy"]["connect"]["enabled"] is True
    assert {name: each["endpoint"] for name, each in tree["channel"]["proxy"].items()} == {
        event: f"http://a/centrifugo/{event}" for event in ("subscribe", "publish", "sub_refresh")
    }
    assert tree["rpc"]["proxy"]["http"] == {"static_headers": {"X-Centrigate-Hook-Secret": Secrets().hook}}
    assert tree["rpc"]["without_namespace"] == {"proxy_enabled": True}
    assert tree["channel"]["namespaces"][1]["subscribe_proxy_enabled"] is True


def test_all_namespaces_of_methods_are_asked_where_all_methods_were() -> None:
    tree = converted({"proxy_rpc_endpoint": "http://a", "rpc_namespaces": [{"name": "adm"}]})
    assert tree["rpc"]["namespaces"] == [{"name": "adm", "proxy_enabled": True}]


def test_named_proxies_are_asked_where_they_were_named() -> None:
    tree = converted(GRANULAR)
    connect = tree["client"]["proxy"]["connect"]
    assert "name" not in connect
    assert (connect["enabled"], connect["timeout"], connect["grpc"]["tls"]) == (True, "4s", {"enabled": True, "cert_pem": "c.pem"})
    assert "refresh" not in tree["client"]["proxy"]
    assert tree["channel"]["without_namespace"] == {"subscribe_proxy_enabled": True, "subscribe_proxy_name": "gate"}
    assert tree["channel"]["namespaces"] == [{"name": "chat", "publish_proxy_enabled": True, "publish_proxy_name": "gate"}]
    assert tree["rpc"]["without_namespace"] == {"proxy_enabled": True, "proxy_name": "calls"}
    assert tree["rpc"]["namespaces"] == [{"name": "adm", "proxy_enabled": True, "proxy_name": "calls"}, {"name": "off"}]
    assert [each["name"] for each in tree["proxies"]] == ["gate", "calls"]


def test_names_of_proxies_do_not_count_without_the_granular_mode() -> None:
    assert converted({"subscribe_proxy_name": "gate", "namespaces": [{"name": "a", "publish_proxy_name": "gate"}]}) == {
        "channel": {"namespaces": [{"name": "a"}]}
    }


def test_methods_are_not_asked_about_where_no_proxy_is_named() -> None:
    assert converted({"granular_proxy_mode": True, "rpc_namespaces": [{"name": "adm"}]}) == {"rpc": {"namespaces": [{"name": "adm"}]}}


def test_brokers_consumers_and_certificates_change_their_form() -> None:
    old = {
        "broker": "nats",
        "nats_tls": {"enabled": True, "key_pem_b64": "eA=="},
        "proxy_grpc_cert_file": "ca.pem",
        "proxy_connect_endpoint": "grpc://a",
        "consumers": [{"name": "a", "type": "kafka", "disabled": True, "kafka": {"tls": True}}, {"name": "b", "type": "postgresql"}],
    }
    tree = converted(old)
    assert tree["broker"] == {"enabled": True, "type": "nats", "nats": {"tls": {"enabled": True, "key_pem": "eA=="}}}
    assert tree["client"]["proxy"]["connect"]["grpc"] == {"tls": {"enabled": True, "server_ca_pem": "ca.pem"}}
    assert tree["consumers"] == [
        {"name": "a", "enabled": False, "type": "kafka", "kafka": {"tls": {"enabled": True}}},
        {"name": "b", "enabled": True, "type": "postgresql"},
    ]


def test_what_version_6_does_not_have_is_named() -> None:
    fitted, _ = fit({"sockjs": True, "gomaxprocs": 2, "port": "1"}, shape(5))
    assert convert(fitted).lost == ("sockjs", "gomaxprocs")


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (("client", "token", "hmac_secret_key"), ("token_hmac_secret_key",)),
        (("channel", "without_namespace", "presence"), ("presence",)),
        (("channel", "without_namespace"), ()),
        (("channel", "namespaces", 2, "subscribe_proxy_enabled"), ("namespaces", 2, "proxy_subscribe")),
        (("channel", "namespaces"), ("namespaces",)),
        (("client", "proxy", "refresh", "enabled"), ("proxy_refresh_endpoint",)),
        (("channel", "proxy", "publish", "timeout"), ("proxy_publish_timeout",)),
        (("channel", "proxy", "publish", "http", "static_headers"), ("proxy_static_http_headers",)),
        (("channel", "proxy", "publish", "emulated_headers"), ("proxy_publish_endpoint",)),
        (("rpc", "without_namespace", "proxy_enabled"), ("proxy_rpc_endpoint",)),
        (("rpc", "namespaces", 0, "proxy_enabled"), ("rpc_namespaces", 0, "rpc_proxy_name")),
        (("broker", "nats", "tls", "enabled"), ("nats_tls", "enabled")),
        (("map_broker", "type"), ("map_broker", "type")),
    ],
)
def test_the_old_name_of_a_key_is_known(new: Way, old: Way) -> None:
    assert spelled(new, {}) == old


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (("channel", "namespaces", 0, "subscribe_proxy_enabled"), ("namespaces", 0, "subscribe_proxy_name")),
        (("client", "proxy", "connect", "enabled"), ("connect_proxy_name",)),
        (("client", "proxy", "connect", "http", "static_headers"), ("proxies", 0, "static_http_headers")),
        (("client", "proxy", "refresh", "timeout"), ("refresh_proxy_name",)),
        (("proxies", 1, "http", "status_to_code_transforms"), ("proxies", 1, "http_status_to_code_transforms")),
        (("proxies", 1, "timeout"), ("proxies", 1, "timeout")),
        (("rpc", "without_namespace", "proxy_enabled"), ("rpc_proxy_name",)),
    ],
)
def test_the_old_name_of_a_key_in_the_granular_mode_is_known(new: Way, old: Way) -> None:
    assert spelled(new, GRANULAR) == old


def test_findings_in_the_granular_mode_name_the_proxy() -> None:
    proxies = [
        {**PROXY, "name": event, "endpoint": f"http://127.0.0.1:8010/centrifugo/{event}", "include_connection_meta": True}
        for event in ("connect", "refresh", "subscribe", "publish", "sub_refresh", "rpc")
    ]
    names = {f"{event}_proxy_name": event for event in ("subscribe", "publish", "sub_refresh")}
    spaces = [{**each, **names} for each in good(5)["namespaces"]]
    config = {
        **{name: value for name, value in good(5).items() if not name.startswith("proxy_")},
        "granular_proxy_mode": True,
        "proxies": changed({"all": proxies}, {"all[0].http_headers": ["Authorization"], "all[2].static_http_headers": {}})["all"],
        **{f"{event}_proxy_name": event for event in ("connect", "refresh", "rpc")},
        **names,
        "namespaces": spaces,
    }
    assert ids(found(config)) == [
        ("secret-missing", "proxies[2].static_http_headers"),
        ("ends-in-outage", "proxies[4].http_status_to_code_transforms"),
    ]
