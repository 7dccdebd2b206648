import json
import re
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from proxy import settings
from proxy.app import Service
from proxy.delivery.outbox import Outbox
from proxy.edge.flight import Flight
from proxy.edge.metrics import OUTCOMES, Metrics
from proxy.policy.declared import Variable
from proxy.review import online
from proxy.settings import Settings
from tests.demo.policies import demo
from tests.docs import pages
from tests.docs.world import REQUIRED, World
from tests.house.tree import ROOT
from tests.test_reload import path, service

__all__ = ["path"]

PAGE = pages.page("operations")
CONFIG = json.loads((ROOT / "centrifugo-config.json").read_text())


def _proxies() -> dict[str, dict[str, Any]]:
    return {**CONFIG["client"]["proxy"], **CONFIG["channel"]["proxy"], "rpc": CONFIG["rpc"]["proxy"]}


def _routes(routes: list[BaseRoute], before: str = "") -> set[str]:
    found = set()
    for route in routes:
        if isinstance(route, Mount):
            found |= _routes(list(route.routes), before + route.path)
        elif isinstance(route, Route):
            method = "POST" if "POST" in (route.methods or ()) else "GET"
            found.add(f"{method} {before}{route.path}".replace("{method}", "METHOD"))
    return found


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = pages.table(PAGE, "variable", "default", "meaning")
    assert [(pages.spans(name)[0], meaning) for name, _, meaning in rows] == [*settings.names().items()]


def test_the_defaults_are_those_of_the_code() -> None:
    for name, default, _ in pages.table(PAGE, "variable", "default", "meaning"):
        field = pages.spans(name)[0].removeprefix(settings.PREFIX).lower()
        told = Settings.model_fields[field]
        assert (default == "required") == told.is_required(), name
        if default == "none":
            assert not told.default, name
        elif default != "required":
            read = Settings.model_validate({**REQUIRED, field: pages.spans(default)[0]})
            assert getattr(read, field) == told.default, name


def test_the_variables_of_the_demo_policy_are_named() -> None:
    policy = demo()
    keys = [getattr(identity, "keys", None) for identity in policy.identities]
    variables = [*(each.url for each in policy.databases.values()), *(each.key for each in policy.services.values()), *keys]
    (sentence,) = re.findall(r"The demo policy names ([^.]+)\.", PAGE)
    assert set(pages.spans(sentence)) == {each.name for each in variables if isinstance(each, Variable)}


def test_every_endpoint_is_in_the_table_and_nothing_else(world: World) -> None:
    app: Service = world.app
    rest = app._rest
    assert isinstance(rest, Starlette)
    listed = [pages.spans(first)[0] for first, *_ in pages.table(PAGE, "endpoint", "for", "guarded by")]
    assert sorted(listed) == sorted({f"POST {path.decode()}" for path in app.targets} | _routes(rest.routes))


async def test_every_metric_is_in_the_table_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "open", True)
    made = service(path, redis_url="redis://127.0.0.1:1/0", decision_log=str(path / "log"), shadow_policies=path / "policies")
    async with AsyncClient(transport=ASGITransport(made), base_url="http://x") as client:
        rendered = set(re.findall(r"^# TYPE (\w+)", (await client.get("/metrics")).text, re.MULTILINE))
    assert {name for first, *_ in pages.table(PAGE, "metric", "labels", "what") for name in pages.spans(first)} == rendered


def test_the_labels_are_those_of_the_metrics() -> None:
    rows = {pages.spans(first)[0]: pages.spans(labels) for first, labels, _ in pages.table(PAGE, "metric", "labels", "what")}
    for family in Metrics(Flight(1)).collect():
        names = [name for name in (family.name, f"{family.name}_total") if name in rows]
        assert rows[names[0]] == list(getattr(family, "_labelnames", ()))


def test_the_outcomes_are_those_of_the_code() -> None:
    rows = pages.table(PAGE, "outcome", "meaning", "look at it when it grows")
    assert {outcome for first, *_ in rows for outcome in pages.spans(first)} == set(OUTCOMES)


async def test_the_example_of_ready_has_the_members_of_the_answer(world: World) -> None:
    (block,) = pages.blocks(PAGE, "json")
    shown, answered = json.loads(block.text), (await world.client.get("/ready")).json()
    assert set(shown) == set(answered)
    assert len(shown["policy"]) == len(answered["policy"])


def test_what_is_said_of_timeouts_transforms_and_repetitions_is_in_the_configuration() -> None:
    rows = {first: (to, why) for first, to, why in pages.table(PAGE, "in Centrifugo", "set to", "because")}
    slow, fast = pages.spans(rows["`timeout`"][0])
    proxies = _proxies()
    assert {name: each["timeout"] for name, each in proxies.items()} == {**dict.fromkeys(proxies, fast), "connect": slow, "subscribe": slow}
    repeated = rows["`X-Idempotency-Key` in `static_headers`"][0].removeprefix("on ").split(", ")
    assert {name for name, each in proxies.items() if "X-Idempotency-Key" in each["http"]["static_headers"]} == set(repeated)
    unsaid = {name for name, each in proxies.items() if "status_to_code_transforms" not in each["http"]}
    assert unsaid == {"refresh", "sub_refresh", "shared_poll_refresh"}
    assert CONFIG["client"]["concurrency"] == int(pages.spans(rows["`client.concurrency`"][0])[0])


def test_the_findings_of_a_check_online_are_those_of_the_code() -> None:
    rows = pages.table(PAGE, "finding", "it means", "what to do")
    assert {pages.spans(first)[0] for first, *_ in rows} == {online.UNUSABLE, online.UNREACHABLE, online.BAD_QUERY}
