import io

import httpx
import pytest
from rich.console import Console

from proxy.demo.clients import App, soon
from proxy.demo.data import BEN
from proxy.demo.player import Player
from proxy.demo.scenario import STEPS
from proxy.demo.stage import CHAT
from proxy.errors import SetupFault
from tests.live.world import World

pytestmark = pytest.mark.live


async def test_every_step_of_the_scenario_goes_as_it_must(live: World) -> None:
    shown = io.StringIO()
    played = await Player(live.places, live.notes, Console(file=shown, width=200)).play(STEPS)
    assert played, shown.getvalue()
    assert "deny as suspended by deny/suspended (base.policy:" in shown.getvalue()


async def test_a_killed_centrifugo_makes_the_service_unready_and_says_so(live: World) -> None:
    async with httpx.AsyncClient(base_url=live.service, trust_env=False) as http:
        assert (await http.get("/ready")).status_code == 200
        live.centrifugo._process.kill()
        with pytest.raises(SetupFault):
            await live.centrifugo.watch()
        ready = await http.get("/ready")
    assert ready.status_code == 503
    assert "centrifugo" in ready.json()["reasons"]


@pytest.mark.parametrize("version", ["6.9.1"])
async def test_the_tags_of_a_rule_reach_the_readers(live: World) -> None:
    app = App(BEN, live.places.service, live.places.centrifugo)
    await app.sign_in()
    await app.connect()
    _, ear = await app.listen(CHAT)
    await soon(ear.subscribed)
    await app.client.publish(CHAT, {"type": "reaction", "text": "+1"})
    assert (await soon(ear.publications)).tags == {"type": "reaction"}
    await app.close()
