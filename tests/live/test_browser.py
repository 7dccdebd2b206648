import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext, Page, Request, Route, async_playwright, expect

from proxy.demo.backend import Backend, shipping
from tests.docs import pages
from tests.live.servers import ROOT
from tests.live.world import ORDERS, World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SOCKJS = ROOT / "node_modules/sockjs-client/dist/sockjs.min.js"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="there is no Chromium here"),
]

START = """
async ({user, transport, url}) => {
  await fetch('/demo/login', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({user})});
  const token = async (path, body) => (await (await fetch(path, {method: 'POST', body: body && JSON.stringify(body)})).json()).token;
  const base = transport === 'websocket' ? url.replace('http', 'ws') : url;
  const client = window.client = new Centrifuge([{transport, endpoint: `${base}/connection/${transport}`}], {
    emulationEndpoint: `${url}/emulation`,
    sockjs: window.SockJS,
    getToken: () => token('/api/centrifugo/connection-token'),
  });
  window.heard = [];
  window.listen = (channel, withToken) => new Promise((resolve) => {
    const getToken = () => token('/api/centrifugo/subscription-token', {channel});
    const subscription = client.newSubscription(channel, withToken ? {getToken} : {});
    subscription.on('publication', ({data}) => heard.push(data));
    subscription.on('subscribed', ({recovered}) => { heard.push({recovered}); resolve('subscribed'); });
    subscription.on('unsubscribed', ({code}) => resolve(code));
    subscription.subscribe();
  });
  return new Promise((resolve) => {
    client.on('connected', (context) => resolve(context.transport));
    client.on('disconnected', (context) => resolve(context.code));
    client.connect();
  });
}
"""


BATCHED = next(block.text for block in pages.blocks(pages.page("tokens"), "js") if "function batched(" in block.text)
"""The function that the page on tokens gives."""

TOGETHER = """
([channels, url]) => {
  const client = new Centrifuge(`${url.replace('http', 'ws')}/connection/websocket`, {getToken: async () => {
    const response = await fetch('/api/centrifugo/connection-token', {method: 'POST'});
    return (await response.json()).token;
  }});
  const getToken = batched('/api/centrifugo/subscription-token');
  const ends = channels.map((channel) => new Promise((resolve) => {
    const subscription = client.newSubscription(channel, {getToken, minResubscribeDelay: 1, maxResubscribeDelay: 50});
    let errors = 0;
    subscription.on('error', () => errors++);
    subscription.on('subscribed', () => resolve([channel, 'subscribed', errors > 0]));
    subscription.on('unsubscribed', ({code}) => resolve([channel, code, errors > 0]));
    subscription.subscribe();
  }));
  client.connect();
  return Promise.all(ends);
}
"""
SIGN_IN = """
async (user) => {
  await fetch('/demo/login', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({user})});
}
"""
FACTS_AT_HAND = """
async (channels) => {
  const asked = {method: 'POST', body: JSON.stringify({channels})};
  while ((await (await fetch('/api/centrifugo/subscription-token', asked)).text()).includes('unavailable'));
}
"""
"""Loads the facts, which on a busy machine may take longer than the policy lets them: that would be an error to ask again for."""
CHANNELS = ["notifications#42", "notifications#43", "chat:doc-7", "chat:doc-8", "news:today"]
ENDS = dict(zip(CHANNELS, ["subscribed", 1, "subscribed", 1, "subscribed"], strict=True))


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = await chromium.new_context()
        context.set_default_timeout(10_000)
        yield context
        await chromium.close()


async def opened(browser: BrowserContext, live: World) -> Page:
    page = await browser.new_page()
    await page.goto(f"{live.service}/demo")
    return page


async def ask(page: Page, script: str, argument: object = None) -> object:
    return await asyncio.wait_for(page.evaluate(script, argument), 15)


async def start(page: Page, live: World, user: str, transport: str) -> object:
    return await ask(page, START, {"user": user, "transport": transport, "url": live.centrifugo.url})


async def listen(page: Page, channel: str, *, with_token: bool = False) -> object:
    return await ask(page, "([channel, withToken]) => listen(channel, withToken)", [channel, with_token])


async def publish(page: Page, channel: str, data: object) -> object:
    publishing = "([channel, data]) => client.publish(channel, data).then(() => 'published', (error) => error.code)"
    return await ask(page, publishing, [channel, data])


async def heard(page: Page, **members: object) -> None:
    await page.wait_for_function(
        "(members) => heard.some((data) => Object.entries(members).every(([name, value]) => data[name] === value))", arg=members
    )


async def lives(page: Page, live: World) -> None:
    assert await listen(page, "notifications#42", with_token=True) == "subscribed"
    assert await listen(page, "notifications#43", with_token=True) == 1
    assert await listen(page, "chat:doc-7") == "subscribed"
    assert await listen(page, "chat:doc-8") == 103
    orders = Backend(live.service, ORDERS)
    assert "result" in (await orders.call("publish", shipping("42", "77"))).json()
    await orders.close()
    await heard(page, type="order_shipped", orderId="77")
    assert await publish(page, "chat:doc-7", {"type": "message", "text": "hi"}) == "published"
    await heard(page, text="hi", author="42")
    assert await publish(page, "chat:doc-7", {"type": "message", "text": "hi", "author": "43"}) == 107
    assert await publish(page, "chat:doc-8", {"type": "message", "text": "hi"}) == 103
    assert await publish(page, "chat:doc-7", None) == 107


@pytest.mark.parametrize("transport", ["websocket", "sse", "http_stream"])
async def test_a_browser_may_what_the_policy_says_over_every_transport(browser: BrowserContext, live: World, transport: str) -> None:
    page = await opened(browser, live)
    assert await start(page, live, "42", transport) == transport
    await lives(page, live)


@pytest.mark.parametrize("version", ["5.4.9"])
async def test_a_browser_may_what_the_policy_says_over_sockjs(browser: BrowserContext, live: World) -> None:
    await browser.add_init_script(path=SOCKJS)
    page = await opened(browser, live)
    assert await start(page, live, "42", "sockjs") == "sockjs-websocket"
    await lives(page, live)


async def test_a_browser_of_a_suspended_user_stops_at_once(browser: BrowserContext, live: World) -> None:
    page = await opened(browser, live)
    assert await start(page, live, "66", "websocket") == 1


async def test_a_browser_that_was_offline_recovers_what_it_missed(browser: BrowserContext, live: World) -> None:
    page, other = await opened(browser, live), await (await browser.browser.new_context()).new_page()  # type: ignore[union-attr]  # it has one
    await other.goto(f"{live.service}/demo")
    for each, user in ((page, "42"), (other, "43")):
        await start(each, live, user, "websocket")
        assert await listen(each, "chat:doc-7") == "subscribed"
    await ask(page, "() => { window.gone = new Promise((resolve) => client.once('connecting', () => resolve())); }")
    await browser.set_offline(True)
    await ask(page, "() => gone")
    assert await publish(other, "chat:doc-7", {"type": "message", "text": "missed"}) == "published"
    await browser.set_offline(False)
    await heard(page, recovered=True)
    await heard(page, text="missed")


async def together(browser: BrowserContext, live: World) -> tuple[Page, list[list[str]]]:
    """A page of user 42 that has the function, and the channels of each request for tokens that it makes."""
    await browser.add_init_script(f"{BATCHED}\nwindow.batched = batched;")
    page, asked = await opened(browser, live), list[list[str]]()

    def note(request: Request) -> None:
        if request.url.endswith("/subscription-token"):
            asked.append(json.loads(request.post_data or "")["channels"])

    await ask(page, SIGN_IN, "42")
    await ask(page, FACTS_AT_HAND, CHANNELS)
    page.on("request", note)
    return page, asked


async def test_subscriptions_made_together_ask_for_their_tokens_together(browser: BrowserContext, live: World) -> None:
    page, asked = await together(browser, live)
    ends = await ask(page, TOGETHER, [CHANNELS, live.centrifugo.url])
    assert ends == [[channel, end, False] for channel, end in ENDS.items()]
    assert asked == [CHANNELS]


async def test_subscriptions_ask_again_when_there_are_no_tokens_now(browser: BrowserContext, live: World) -> None:
    page, asked = await together(browser, live)

    async def away(route: Route) -> None:
        if len(asked) == 1:
            await route.fulfill(status=503, content_type="text/plain", body="temporarily unavailable\n")
        else:
            await route.continue_()

    await page.route("**/subscription-token", away)
    ends = await ask(page, TOGETHER, [CHANNELS, live.centrifugo.url])
    assert ends == [[channel, end, True] for channel, end in ENDS.items()]
    assert asked[0] == CHANNELS
    assert sorted(channel for channels in asked[1:] for channel in channels) == sorted(CHANNELS)


async def test_one_that_is_unavailable_asks_again_and_the_others_go_on(browser: BrowserContext, live: World) -> None:
    page, asked = await together(browser, live)

    async def limited(route: Route) -> None:
        got = await route.fetch()
        answer = await got.json()
        if len(asked) == 1:
            del answer["tokens"]["chat:doc-7"]
            answer["denied"]["chat:doc-7"] = {"code": "too_many_requests"}
        await route.fulfill(response=got, json=answer)

    await page.route("**/subscription-token", limited)
    ends = await ask(page, TOGETHER, [CHANNELS, live.centrifugo.url])
    assert ends == [[channel, end, channel == "chat:doc-7"] for channel, end in ENDS.items()]
    assert asked == [CHANNELS, ["chat:doc-7"]]


async def test_more_than_a_hundred_tokens_are_asked_for_in_parts_and_each_channel_once(browser: BrowserContext, live: World) -> None:
    page, asked = await together(browser, live)
    counted = await ask(
        page,
        """async () => {
          const getToken = batched('/api/centrifugo/subscription-token');
          const channels = Array.from({length: 150}, (_, number) => `news:${number}`);
          const tokens = await Promise.all([...channels, 'news:0'].map((channel) => getToken({channel})));
          const error = await getToken({channel: 'constructor'}).catch((error) => error);
          return [tokens.length, new Set(tokens).size, tokens[0] === tokens[150], error instanceof Centrifuge.UnauthorizedError];
        }""",
    )
    assert counted == [151, 150, True, True]
    assert [len(channels) for channels in asked] == [100, 50, 1]


async def test_two_people_use_the_page_with_the_keyboard_only(browser: BrowserContext, live: World) -> None:
    trouble: list[str] = []
    ann = await opened(browser, live)
    ann.on("pageerror", lambda error: trouble.append(str(error)))
    await ann.get_by_role("button", name="Ann").first.press("Enter")
    await expect(ann.get_by_role("status").first).to_have_text("connected as Ann")
    async with browser.expect_page() as opening:
        await ann.get_by_role("link", name="Open a second window as Ben").press("Enter")
    ben = await opening.value
    await expect(ben.locator("#present")).to_contain_text("Ann")
    await expect(ann.locator("#present")).to_contain_text("Ben")
    await ben.get_by_label("Message", exact=True).fill("Shall we?")
    await ben.keyboard.press("Enter")
    await expect(ann.get_by_role("log")).to_contain_text("Shall we?")
    await ben.get_by_role("button", name="Ann", exact=True).press("Enter")
    await expect(ann.locator("#toasts")).to_contain_text("Order 12345 is on its way")
    await ann.get_by_role("button", name="Overhear another").press("Enter")
    await expect(ann.locator("#toasts")).to_contain_text("Ben's notifications are refused: 1, unauthorized")
    await ann.get_by_role("button", name="Write as another").press("Enter")
    await expect(ann.locator("#toasts")).to_contain_text("Refused: 107")
    await ann.get_by_role("button", name="Cleo has").press("Enter")
    await expect(ann.get_by_role("log")).to_contain_text("You may not read this chat (103")
    await expect(ben.get_by_role("log")).to_contain_text("Ann left")
    await loses_and_regains(ann, ben)
    assert trouble == []


async def loses_and_regains(ann: Page, ben: Page) -> None:
    """Somebody takes from Ben, in another window, what he has open, and gives it back."""
    me = ben.get_by_role("button", name="Ben edits")
    await ann.get_by_role("button", name="Ann owns").press("Enter")
    await expect(ann.locator("#present")).to_contain_text("Ben")
    await ann.get_by_role("button", name="Remove Ben").press("Enter")
    await expect(ben.get_by_role("log")).to_contain_text("You may not read this chat (2000, server unsubscribe)")
    await expect(ann.get_by_role("log")).to_contain_text("Ben left")
    await expect(ben.get_by_label("Message", exact=True)).to_be_disabled()
    async with ann.expect_response("**/demo/*"):
        await ann.get_by_role("button", name="Add Ben").press("Enter")
    await expect(ben.get_by_role("status").first).to_have_text("connected as Ben")
    await me.press("Enter")
    await expect(ben.get_by_label("Message", exact=True)).to_be_enabled()
    await ann.get_by_role("button", name="Suspend Ben").press("Enter")
    await expect(ben.get_by_role("status").first).to_have_text("disconnected: forbidden")
    await me.press("Enter")
    await expect(ben.get_by_role("status").first).to_have_text("disconnected: unauthorized")
    async with ann.expect_response("**/demo/*"):
        await ann.get_by_role("button", name="Reinstate Ben").press("Enter")
    await me.press("Enter")
    await expect(ben.get_by_label("Message", exact=True)).to_be_enabled()
    await expect(ann.locator("#present")).to_contain_text("Ben")
