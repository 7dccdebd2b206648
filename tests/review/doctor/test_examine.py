import json

import pytest

from proxy.review.doctor.document import read
from proxy.review.doctor.examine import examine, version
from proxy.review.doctor.vocabulary import Version
from tests.live.servers import Secrets, _flat
from tests.review.doctor.scene import DROP, ORIGIN, POLICY, changed, found, good, ids, policy
from tests.review.doctor.table import TABLE, Broken

CASES = [(broken, version) for broken in TABLE for version in (6, 5) if broken.change(version)]


@pytest.mark.parametrize("version", [6, 5])
def test_nothing_is_found_in_a_good_configuration(version: Version) -> None:
    assert found(good(version)) == []


@pytest.mark.parametrize(("broken", "version"), CASES, ids=[f"{broken.title}-{version}" for broken, version in CASES])
def test_what_is_broken_is_found_and_nothing_else(broken: Broken, version: Version) -> None:
    change = broken.change(version)
    assert change
    told = found(changed(good(version), change.set), chosen=version)
    assert (broken.id, change.key) in ids(told)
    assert {each.id for each in told} == {broken.id, *change.also}


def test_a_configuration_that_was_written_by_hand_is_good() -> None:
    """The one that the tests with Centrifugo 5 run."""
    config = {**_flat("http://127.0.0.1:8010", Secrets()), "allowed_origins": [ORIGIN]}
    assert {each.id for each in found(changed(config, {"namespaces[1].allow_history_for_subscriber": DROP}))} == {
        # It says more of `news` and less of `inbox#` than this policy.
        "recovery-wider",
        "history-missing",
    }


@pytest.mark.parametrize(
    ("tree", "known"),
    [
        ({"token_hmac_secret_key": "x"}, 5),
        ({"namespaces": []}, 5),
        ({"admin": True, "port": 1}, 5),
        ({"admin": True, "client": {}}, 6),
        ({"client": {"token": {}}}, 6),
        ({"proxies": []}, 6),
        ({}, 6),
    ],
)
def test_the_version_shows_in_the_keys(tree: dict[str, object], known: int) -> None:
    assert version(tree) == known


def test_a_file_of_version_5_under_version_6_is_told_key_by_key() -> None:
    told = {each.key: each for each in found(good(5), chosen=6)}
    assert told["health"].id == "wrong-kind"
    assert told["token_hmac_secret_key"].id == "unknown-key"
    assert "it is client.token.hmac_secret_key now" in told["token_hmac_secret_key"].advice
    assert "`centrigate config convert`" in told["proxy_subscribe"].advice


def test_misspelled_keys_get_a_suggestion() -> None:
    config = changed(good(6), {"channel.namespaces[0].presense": True, "clients": {}, "channel.zzz": 1})
    advice = {each.key: each.advice for each in found(config)}
    assert advice == {
        "channel.namespaces[0].presense": "did you mean presence?",
        "clients": "did you mean client?",
        "channel.zzz": "remove it",
    }


def test_a_key_that_stands_twice_is_found() -> None:
    text = json.dumps(good(6)).replace('"allowed_origins":', '"allowed_origins": ["*"], "Allowed_Origins":')
    (finding,) = examine(read("c.json", text.encode()), policy())
    assert (finding.id, finding.key) == ("repeated-key", "client.allowed_origins")


@pytest.mark.parametrize("origin", ["*", "https://*", "http*://*", "https://?*"])
def test_origins_that_match_everything_are_found(origin: str) -> None:
    assert ids(found(changed(good(6), {"client.allowed_origins": [ORIGIN, origin]}))) == [("any-origin", "client.allowed_origins")]


@pytest.mark.parametrize("origin", ["https://*.example.org", "http://localhost:*", ORIGIN])
def test_origins_of_ones_own_are_good(origin: str) -> None:
    assert found(changed(good(6), {"client.allowed_origins": [origin]})) == []


def test_any_origin_is_good_where_no_cookie_is_passed_on() -> None:
    headers = {f"client.proxy.{event}.http_headers": ["Authorization"] for event in ("connect", "refresh")}
    assert found(changed(good(6), {"client.allowed_origins": ["*"], **headers})) == []


def test_what_has_no_effect_is_no_finding() -> None:
    """Flags beside an enabled hook, and those of what is not kept."""
    space = "channel.namespaces[1]"
    changes = {
        f"{space}.allow_subscribe_for_client": True,
        f"{space}.allow_publish_for_client": True,
        f"{space}.allow_history_for_client": True,
        f"{space}.history_size": 10,
        f"{space}.allow_presence_for_subscriber": True,
        f"{space}.allow_recovery": True,
        f"{space}.join_leave": True,
        "client.allow_anonymous_connect_without_token": True,
        "client.user_id_http_header": "X-User",
    }
    assert found(changed(good(6), changes)) == []


def test_presence_that_is_kept_and_shown_to_nobody_is_no_finding() -> None:
    assert found(changed(good(6), {"channel.namespaces[1].presence": True})) == []


def test_named_proxies_are_examined_once_for_each_event() -> None:
    named = {"name": "gate", "endpoint": "http://127.0.0.1:8010/centrifugo/subscribe", "include_connection_meta": True}
    changes = {"proxies": [named], **{f"channel.namespaces[{place}].subscribe_proxy_name": "gate" for place in (0, 1)}}
    assert ids(found(changed(good(6), changes))) == [("secret-missing", "proxies[0].http.static_headers")]


def test_a_proxy_that_is_not_there_has_no_endpoint() -> None:
    config = changed(good(6), {"rpc.without_namespace.proxy_name": "gone"})
    assert ids(found(config)) == [("endpoint-missing", "proxies.gone.endpoint")]


def test_weak_hook_secrets_are_found() -> None:
    header = {"rpc.proxy.http.static_headers": {"X-Centrigate-Hook-Secret": "short"}}
    assert ids(found(changed(good(6), header))) == [("weak-secret", "rpc.proxy.http.static_headers")]


def test_the_keys_of_the_service_are_its_own() -> None:
    ours = {"client.token.jwks_public_endpoint": "http://127.0.0.1:8010/.well-known/jwks.json"}
    assert found(changed(good(6), ours)) == []
    theirs = {"client.subscription_token": {"enabled": True, "jwks_public_endpoint": "https://idp.example.org/.well-known/jwks.json"}}
    assert ids(found(changed(good(6), theirs))) == [("foreign-keys", "client.subscription_token.jwks_public_endpoint")]


def test_methods_need_their_namespaces() -> None:
    text = POLICY + 'rpc "adm:a" { allow; answer = 1; }'
    assert ids(found(good(6), text)) == [("namespace-missing", "rpc.namespaces")]
    spaces = {"rpc.namespaces": [{"name": "adm"}]}
    assert ids(found(changed(good(6), spaces), text)) == [("hook-missing", "rpc.namespaces[0].proxy_enabled")]
    assert found(changed(good(6), {"rpc.namespaces": [{"name": "adm", "proxy_enabled": True}]}), text) == []


def test_another_boundary_moves_the_namespaces() -> None:
    told = found(changed(good(6), {"channel.namespace_boundary": "/"}))
    assert "namespace-missing" not in {each.id for each in told}


@pytest.mark.parametrize(
    "endpoint",
    ["grpc://a:1", "http://a/centrifugo/rpc/", "http://a/centrifugo/publish", "http://u:p@a/rpc", "http://a/centrifugo/rpc?x=1"],
)
def test_an_endpoint_is_that_of_its_event(endpoint: str) -> None:
    (finding,) = found(changed(good(6), {"rpc.proxy.endpoint": endpoint}))
    assert (finding.id, finding.key) == ("foreign-hook", "rpc.proxy.endpoint")
    assert "u:p" not in finding.found


def test_rules_for_maps_need_a_map() -> None:
    text = POLICY + 'channel "board:{x}" { allow subscribe, map_publish, map_remove; }'
    stream = {"channel.namespaces[2]": {"name": "board", "subscribe_proxy_enabled": True, "sub_refresh_proxy_enabled": True}}
    (finding,) = found(changed(good(6), stream), text)
    assert (finding.id, finding.key, finding.expected) == ("other-kind", "channel.namespaces[2].subscription_type", "map")
    board = {"name": "board", "subscription_type": "map", "sub_refresh_proxy_enabled": True, "map": {"publish_proxy_enabled": True}}
    assert ids(found(changed(good(6), {"channel.namespaces[2]": board}), text)) == [
        ("hook-missing", "channel.namespaces[2].map.remove_proxy_enabled")
    ]


def test_shared_polls_are_asked_without_a_switch() -> None:
    changes = {
        "channel.namespaces[2]": {"name": "poll", "subscription_type": "shared_poll", "subscribe_proxy_enabled": True},
        "channel.proxy.shared_poll_refresh.endpoint": "http://elsewhere",
    }
    assert ids(found(changed(good(6), changes))) == [("foreign-hook", "channel.proxy.shared_poll_refresh.endpoint")]


@pytest.mark.parametrize(("broken", "version"), CASES, ids=[f"{broken.title}-{version}" for broken, version in CASES])
def test_what_is_said_to_be_there_is_there(broken: Broken, version: Version) -> None:
    change = broken.change(version)
    assert change
    for each in found(changed(good(version), change.set), chosen=version):
        value = change.set.get(each.key)
        assert each.found != each.expected
        assert value is not True or each.found == "true" or each.id in ("unknown-key", "wrong-kind", "open-api")


def test_what_is_not_kept_cannot_be_read() -> None:
    changes = {"channel.namespaces[0].presence": DROP, "channel.namespaces[0].history_size": 0, "channel.namespaces[0].join_leave": DROP}
    told = [(each.id, each.key, each.expected) for each in found(changed(good(6), changes))]
    assert told == [
        ("presence-missing", "channel.namespaces[0].presence", "true"),
        ("history-missing", "channel.namespaces[0].history_size", "a number, with history_ttl"),
    ]


@pytest.mark.parametrize(("size", "expected"), [(0, []), (1, ["history-for-everybody"])])
def test_history_is_kept_from_the_first_publication_on(size: int, expected: list[str]) -> None:
    space = "channel.namespaces[1]"
    changes = {f"{space}.history_size": size, f"{space}.history_ttl": "60s", f"{space}.allow_history_for_client": True}
    assert [each.id for each in found(changed(good(6), changes))] == expected


def test_wishes_of_clients_for_recovery_count_where_no_hook_is_asked() -> None:
    space = "channel.namespaces[1]"
    kept = {f"{space}.history_size": 1, f"{space}.history_ttl": "60s", f"{space}.allow_recovery": True}
    assert found(changed(good(6), kept)) == []
    told = found(changed(good(6), {**kept, f"{space}.subscribe_proxy_enabled": DROP}))
    assert ("recovery-wider", f"{space}.allow_recovery") in ids(told)


def test_a_missing_namespace_is_named_with_its_pattern() -> None:
    (finding,) = found(changed(good(6), {"channel.namespaces[1]": DROP}))
    assert (finding.expected, finding.advice.partition(":")[0]) == ("news", "the policy has news")


def test_a_map_where_streams_are_needed_is_told() -> None:
    chat = {"name": "chat", "subscription_type": "map_users", "sub_refresh_proxy_enabled": True}
    (finding,) = found(changed(good(6), {"channel.namespaces[0]": chat}))
    assert (finding.id, finding.found, finding.expected) == ("other-kind", "map_users", "stream")
    assert "history, presence, publish" in finding.advice


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [("150ms", ["timeout-too-short"]), ("151ms", []), ("4999ms", []), ("5s", ["timeout-too-long"])],
)
def test_a_timeout_lies_between_the_facts_and_the_patience_of_clients(timeout: str, expected: list[str]) -> None:
    assert [each.id for each in found(changed(good(6), {"channel.proxy.subscribe.timeout": timeout}))] == expected


def test_without_facts_any_timeout_is_long_enough() -> None:
    assert found(changed(good(6), {"rpc.proxy.timeout": "1ns"})) == []


@pytest.mark.parametrize(("sent", "told"), [(["Origin", "Accept"], "accept, origin"), ([], "nothing")])
def test_the_headers_that_are_sent_are_told(sent: list[str], told: str) -> None:
    (finding,) = found(changed(good(6), {"client.proxy.connect.http_headers": sent}))
    assert (finding.id, finding.found, finding.expected) == ("header-not-sent", told, "authorization")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [("admin", True, "true"), ("admin", "x", "a text"), ("admin", ["x"], "a list"), ("log.level", {}, "an object"), ("admin", 1.5, "1.5")],
)
def test_values_of_another_kind_are_told_without_their_text(key: str, value: object, told: str) -> None:
    (finding,) = found(changed(good(6), {key: value}))
    assert (finding.id, finding.key, finding.found) == ("wrong-kind", key, told)


def test_the_key_that_never_was_one_is_explained() -> None:
    (finding,) = found(changed(good(6), {"channel.namespaces[0].subscribe_for_client": True}))
    assert "would let everybody in" in finding.advice


@pytest.mark.parametrize("title", ["open_http_api", "map_behind_hook", "unchecked_certificate", "stream_hook"])
def test_a_switch_that_is_on_is_told_as_such(title: str) -> None:
    (broken,) = [each for each in TABLE if each.title == title]
    assert broken.six
    assert {each.found for each in found(changed(good(6), broken.six.set)) if each.id == broken.id} == {"true"}


def test_hooks_of_maps_and_polls_may_be_named() -> None:
    named = [{"name": name, "endpoint": "http://127.0.0.1:8010/elsewhere"} for name in ("maps", "polls")]
    board = {"mode": "ephemeral", "publish_proxy_enabled": True, "publish_proxy_name": "maps"}
    changes = {
        "proxies": named,
        "channel.namespaces[2]": {"name": "board", "subscription_type": "map", "map": board},
        "channel.namespaces[3]": {"name": "poll", "subscription_type": "shared_poll", "shared_poll": {"proxy_name": "polls"}},
    }
    assert ids(found(changed(good(6), changes))) == [("foreign-hook", f"proxies[{place}].endpoint") for place in (0, 1)]


@pytest.mark.parametrize(("value", "told"), [("x" * 60, "x" * 60), ("x" * 61, "x" * 60 + "…"), ("a\x1b[2J", "a\ufffd[2J")])
def test_what_is_shown_is_short_and_cannot_steer_a_terminal(value: str, told: str) -> None:
    (finding,) = found(changed(good(6), {"client.token.jwks_public_endpoint": value}))
    assert finding.found == told
