import asyncio
import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from proxy.demo.backend import Backend, shipping
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
    assert trouble == []
