import pytest

from proxy.errors import Malformed
from proxy.review.doctor.document import DEEPEST, LARGEST, read

JSON = b"""{
  "Client": {"allowed_origins": ["a", {}], "insecure": true},
  "channel": {
    "namespaces": [
      {"name": "a:\\"}"},
      {"name": "b"}
    ]
  },
  "port": "1", "PORT": "2"
}"""
YAML = b"client:\n  allowed_origins: [a]\nchannel:\n  namespaces:\n    - name: a\n    - Name: b\n"
TOML = b'[client]\nallowed_origins = ["a"]\n'


def test_keys_are_read_in_lower_case_and_the_last_of_two_counts() -> None:
    found = read("c.json", JSON)
    assert found.tree["client"] == {"allowed_origins": ["a", {}], "insecure": True}
    assert found.tree["port"] == "2"
    assert found.repeated == (("port",),)


def test_the_line_of_a_key_is_known_in_json_and_yaml() -> None:
    json, yaml = read("c.json", JSON), read("c.yml", YAML)
    assert (json.line(("client", "insecure")), json.line(("channel", "namespaces", 1, "name"))) == (2, 6)
    assert (yaml.line(("client", "allowed_origins")), yaml.line(("channel", "namespaces", 1, "name"))) == (2, 6)


def test_a_key_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    found = read("c.json", JSON)
    assert found.line(("channel", "namespaces", 7, "presence")) == 4
    assert found.line(("client", "token", "hmac_secret_key")) == 2
    assert found.line(("client",)) == 2
    assert found.line(("rpc", "proxy")) is None


def test_toml_is_read_without_lines() -> None:
    found = read("c.TOML", TOML)
    assert found.tree == {"client": {"allowed_origins": ["a"]}}
    assert found.line(("client",)) is None


def test_the_longest_and_deepest_files_are_read() -> None:
    assert read("c.json", b"{" + b" " * (LARGEST - 2) + b"}").tree == {}
    assert read("c.json", b'{"a":' * DEEPEST + b"1" + b"}" * DEEPEST).tree


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("c.ini", b"", "must end in"),
        ("c.json", b"[]", "one object"),
        ("c.yaml", b"", "one object"),
        ("c.json", b"{", "Expecting"),
        ("c.json", b"\xff", "utf-8"),
        ("c.json", b"[" * 100_000, "cannot be read"),
        ("c.json", b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), "deeper"),
        ("c.json", b" " * (LARGEST + 1), "longer"),
        ("c.yaml", b"a: &x [1]\nb: *x\n", "write them out"),
        ("c.yaml", b"a: [", "expected"),
        ("c.toml", b"a =", "Invalid"),
    ],
)
def test_what_is_no_configuration_is_refused(name: str, data: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read(name, data)
