import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from proxy.demo.supervisor import Supervisor
from proxy.review.doctor.vocabulary import Shape, lost, milliseconds, moved, shape, within
from tests.live.servers import binary

KINDS = {
    "string": "text",
    "PEMData": "text",
    "bool": "bool",
    "int": "int",
    "int32": "int",
    "int64": "int",
    "uint32": "int",
    "Duration": "duration",
    "[]string": "list",
    "[]centrifuge.DeltaType": "list",
    "MapStringString": "map",
}
"""What Centrifugo calls the kinds of values."""


def leaves(tree: Shape, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping):
        for name, inner in tree.items():
            yield from leaves(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(tree, list):
        yield from leaves(tree[0], f"{path}[]")
    else:
        yield path, tree


@pytest.mark.live
def test_the_keys_of_version_6_are_those_that_it_documents_itself() -> None:
    told = subprocess.run([binary("6.9.1"), "configdoc", "-m"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^#+ `([^`]+)`\n\nType: `([^`]+)`(?! object)", told, re.MULTILINE))
    assert dict(leaves(shape(6))) == {path: KINDS[kind] for path, kind in found.items()}


UNNAMED = {"proxy_subscribe_stream", "proxy_subscribe_stream_bidirectional", "subscribe_stream_proxy_name"}
"""Version 5 reads them at the top though it says that it does not know them."""
SAFE = {"engine": "memory", "log_level": "info", "health": True, "shutdown_termination_delay": "1ms", "shutdown_timeout": "1s"}


@pytest.mark.live
async def test_version_5_knows_its_keys_and_no_others(tmp_path: Path) -> None:
    paths = {name: f"/{name.removesuffix('_handler_prefix')}" for name in shape(5) if name.endswith("prefix")}
    known = {name: _sample(inner) for name, inner in shape(5).items()} | paths | SAFE | {"ping_interval": "1s"}
    others = {name: 1 for name in (*shape(6), "nonsense") if name not in known}
    items = {name: [_sample(each[0]) for each in [shape(5)[name]] if isinstance(each, list)] for name in ("namespaces", "rpc_namespaces")}
    for each in (*items["namespaces"], *items["rpc_namespaces"]):
        assert isinstance(each, dict)
        each |= {"name": "chat", "nonsense": 1}
    file = tmp_path / "c.json"
    file.write_text(json.dumps(known | others | items))
    async with Supervisor(binary("5.4.9"), file, {}) as server:
        pass
    told = re.findall(r'"key":"([^"]+)".*"message":"unknown key', server._log.decode())
    assert set(told) == UNNAMED | set(others)
    assert told.count("nonsense") == 3


def _sample(kind: Shape) -> object:
    if isinstance(kind, Mapping):
        return {name: _sample(inner) for name, inner in kind.items()}
    if isinstance(kind, list):
        return []
    return {"text": "", "bool": False, "int": 0, "duration": "0s", "list": [], "map": {}, "any": False}[str(kind)]


def test_every_key_that_moved_has_a_place_in_version_6() -> None:
    assert [key for key, path in moved().items() if within(shape(6), path) is None] == []
    assert not set(moved()) & lost()
    assert all(kind is not None for _, kind in leaves(shape(5)))


def test_what_is_not_known_has_no_shape() -> None:
    assert within(shape(6), ("client", "token", "hmac_secret_key", "deeper")) is None
    assert within(shape(6), ("channel", "namespaces", "chat")) is None
    assert within(shape(6), ("channel", "namespaces", 3, "presence")) == "bool"


@pytest.mark.parametrize(
    ("text", "ms"),
    [("3s", 3000), ("1m30s", 90_000), ("1.5h", 5_400_000), (".5s", 500), ("100ms", 100), ("2us", 0.002), ("0", 0), ("2ns", 2e-6)],
)
def test_durations_are_read_as_go_writes_them(text: str, ms: float) -> None:
    assert milliseconds(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["", "3", "s", "3 s", "3d", "-", "1s x", "x1s"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert milliseconds(text) is None
