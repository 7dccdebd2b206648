from collections.abc import Mapping

import pytest

from proxy.demo.supervisor import endpoints, environment
from proxy.review.doctor.environment import lay
from proxy.review.doctor.vocabulary import Version
from tests.review.doctor.scene import DROP, changed, found, good, ids

TREE = {"channel": {"namespaces": [{"name": "chat.room"}, {"name": "news"}]}, "proxies": [{"name": "gate"}]}


@pytest.mark.parametrize(
    ("variables", "way", "value"),
    [
        ({"CENTRIFUGO_CLIENT_INSECURE": "true"}, ("client", "insecure"), "true"),
        ({"CENTRIFUGO_CHANNEL_NAMESPACES": "[]"}, ("channel", "namespaces"), "[]"),
        ({"CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_ROOM_PRESENCE": "1"}, ("channel", "namespaces", 0, "presence"), "1"),
        ({"CENTRIFUGO_CHANNEL_NAMESPACES_NEWS_MAP_MODE": "x"}, ("channel", "namespaces", 1, "map", "mode"), "x"),
        ({"CENTRIFUGO_PROXIES_GATE_HTTP_STATIC_HEADERS": "{}"}, ("proxies", 0, "http", "static_headers"), "{}"),
    ],
)
def test_a_variable_sets_its_key(variables: Mapping[str, str], way: tuple[str | int, ...], value: str) -> None:
    laid = lay(TREE, variables, 6)
    (name,) = variables
    assert laid.set == {way: name}
    node: object = laid.tree
    for step in way:
        node = node[step]  # type: ignore[index]  # JSON
    assert node == value
    assert TREE == {"channel": {"namespaces": [{"name": "chat.room"}, {"name": "news"}]}, "proxies": [{"name": "gate"}]}


@pytest.mark.parametrize(
    ("variable", "version"),
    [("CENTRIFUGO_NONSENSE", 6), ("CENTRIFUGO_CHANNEL_NAMESPACES_NEWS_NONSENSE", 6), ("CENTRIFUGO_NAMESPACES_NEWS_PRESENCE", 5)],
)
def test_a_variable_without_a_key_is_told(variable: str, version: Version) -> None:
    assert lay(TREE, {variable: "1"}, version).unknown == (variable,)


def test_variables_of_others_empty_ones_and_those_for_headers_are_none() -> None:
    laid = lay({}, {"PATH": "x", "CENTRIFUGO_HTTP_API_KEY": "", "CENTRIFUGO_VAR_X": "y"}, 6)
    assert (laid.tree, laid.set, laid.unknown) == ({}, {}, ())


def test_a_value_in_the_way_gives_way() -> None:
    assert lay({"admin": True}, {"CENTRIFUGO_ADMIN_ENABLED": "true"}, 6).tree == {"admin": {"enabled": "true"}}


def test_what_the_environment_sets_is_found_there() -> None:
    (finding,) = found(good(6), given={"CENTRIFUGO_CLIENT_INSECURE": "true", "CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": "x"})
    assert (finding.id, finding.key, finding.line) == ("insecure-switch", "client.insecure (CENTRIFUGO_CLIENT_INSECURE)", None)


def test_what_stands_in_a_list_of_the_environment_is_found_there() -> None:
    named = {"CENTRIFUGO_PROXIES": '[{"name": "gate", "endpoint": "http://127.0.0.1:8010/centrifugo/rpc"}]'}
    config = changed(good(6), {"rpc.without_namespace.proxy_name": "gate"})
    (finding,) = found(config, given={**named, "CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": "x"})
    assert finding.key == "proxies[0].http.static_headers (CENTRIFUGO_PROXIES)"


def test_the_environment_of_the_shipped_configuration_is_good() -> None:
    config = changed(good(6), {"client.token": DROP, "http_api": DROP, "channel.proxy.subscribe.endpoint": "http://elsewhere"})
    secrets = environment(hook_secret="h" * 32, api_key="a" * 32, token_key="t" * 32)
    assert found(config, given={**secrets, **endpoints("http://centrigate:8010")}) == []


def test_secrets_of_version_5_come_from_the_environment() -> None:
    given = {"CENTRIFUGO_PROXY_STATIC_HTTP_HEADERS": '{"X-Centrigate-Hook-Secret": "short"}', "CENTRIFUGO_API_KEY": "a" * 32}
    (key,) = {key for _, key in ids(found(good(5), given=given))}
    assert key == "proxy_static_http_headers (CENTRIFUGO_PROXY_STATIC_HTTP_HEADERS)"


def test_a_variable_that_a_header_needs_must_be_set() -> None:
    told = found(good(6), given={})
    assert {each.id for each in told} == {"variable-missing"}
    assert "CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET unset" in {each.found for each in told}
    assert found(good(6), given=None) == []


def test_version_5_puts_no_variables_into_headers() -> None:
    config = changed(good(5), {"proxy_static_http_headers": {"X-Centrigate-Hook-Secret": "${CENTRIFUGO_VAR_SECRET}"}})
    assert set(ids(found(config))) == {("variable-missing", "proxy_static_http_headers")}


def test_a_variable_that_centrifugo_does_not_know_is_a_finding() -> None:
    given = {"CENTRIFUGO_CLIENT_INSECUR": "true", "CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": "x"}
    assert ids(found(good(6), given=given)) == [("unknown-key", "CENTRIFUGO_CLIENT_INSECUR")]
