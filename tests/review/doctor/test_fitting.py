import pytest

from proxy.review.doctor.fitting import Trouble, fit
from proxy.review.doctor.vocabulary import shape


def one(tree: dict[str, object]) -> Trouble:
    """The only trouble with a tree of version 6, of which nothing is left."""
    fitted, troubles = fit(tree, shape(6))
    (trouble,) = troubles
    assert set(map(str, fitted.values())) <= {"{}", "[{}]"}
    return trouble


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"http_server": {"port": 8000}}, {"http_server": {"port": 8000}}),
        ({"http_server": {"port": "8000"}}, {"http_server": {"port": 8000}}),
        ({"http_server": {"internal_port": 8001}}, {"http_server": {"internal_port": "8001"}}),
        ({"log": {"level": True}}, {"log": {"level": "true"}}),
        ({"health": {"enabled": "TRUE"}}, {"health": {"enabled": True}}),
        *(({"health": {"enabled": word}}, {"health": {"enabled": True}}) for word in ("t", "1", "true")),
        *(({"health": {"enabled": word}}, {"health": {"enabled": False}}) for word in ("f", "0", "False")),
        ({"health": {"enabled": 1}}, {"health": {"enabled": True}}),
        ({"shutdown": {"timeout": "3s"}}, {"shutdown": {"timeout": "3s"}}),
        ({"shutdown": {"timeout": 0}}, {"shutdown": {"timeout": "0s"}}),
        ({"client": {"allowed_origins": "a b"}}, {"client": {"allowed_origins": ["a", "b"]}}),
        ({"client": {"allowed_origins": ["a", 1]}}, {"client": {"allowed_origins": ["a", "1"]}}),
        ({"client": {"allowed_origins": '["a"]'}}, {"client": {"allowed_origins": ["a"]}}),
        ({"channel": {"namespaces": '[{"NAME": "a"}]'}}, {"channel": {"namespaces": [{"name": "a"}]}}),
        ({"rpc": {"proxy": {"http": {"static_headers": {"a": 1}}}}}, {"rpc": {"proxy": {"http": {"static_headers": {"a": "1"}}}}}),
        (
            {"rpc": {"proxy": {"http": {"static_headers": [{"key": "A", "value": "b"}]}}}},
            {"rpc": {"proxy": {"http": {"static_headers": {"A": "b"}}}}},
        ),
        ({"pid_file": None}, {}),
    ],
)
def test_values_are_converted_where_centrifugo_does_it(given: dict[str, object], taken: object) -> None:
    assert fit(given, shape(6)) == (taken, [])


@pytest.mark.parametrize(
    ("given", "id_", "expected"),
    [
        ({"nonsense": 1}, "unknown-key", ""),
        ({"admin": True}, "wrong-kind", "an object"),
        ({"admin": "{nonsense"}, "wrong-kind", "an object"),
        ({"channel": {"namespaces": {}}}, "wrong-kind", "a list of objects"),
        ({"channel": {"namespaces": ["a"]}}, "wrong-kind", "a list of objects"),
        ({"http_server": {"port": "http"}}, "wrong-kind", "a whole number"),
        ({"http_server": {"port": [1]}}, "wrong-kind", "a whole number"),
        ({"log": {"level": []}}, "wrong-kind", "text"),
        ({"health": {"enabled": "yes"}}, "wrong-kind", "true or false"),
        ({"health": {"enabled": []}}, "wrong-kind", "true or false"),
        ({"shutdown": {"timeout": 3}}, "bare-duration", 'a duration with its unit, such as "3s"'),
        ({"shutdown": {"timeout": "3"}}, "wrong-kind", 'a duration with its unit, such as "3s"'),
        ({"client": {"allowed_origins": [[]]}}, "wrong-kind", "a list of texts"),
        ({"client": {"allowed_origins": 1}}, "wrong-kind", "a list of texts"),
        ({"rpc": {"proxy": {"http": {"static_headers": "x"}}}}, "wrong-kind", "an object of texts"),
        ({"rpc": {"proxy": {"http": {"static_headers": {"a": []}}}}}, "wrong-kind", "an object of texts"),
        ({"rpc": {"proxy": {"http": {"static_headers": [{"key": "a"}]}}}}, "wrong-kind", "an object of texts"),
    ],
)
def test_what_does_not_fit_is_left_out_and_told(given: dict[str, object], id_: str, expected: str) -> None:
    trouble = one(given) if id_ == "unknown-key" or "admin" in given else fit(given, shape(6))[1][0]
    assert (trouble.id, trouble.expected) == (id_, expected)


def test_the_place_of_what_does_not_fit_is_told() -> None:
    _, (trouble,) = fit({"channel": {"namespaces": [{"name": "a"}, {"nam": "b"}]}}, shape(6))
    assert (trouble.path, trouble.found) == (("channel", "namespaces", 1, "nam"), "b")
