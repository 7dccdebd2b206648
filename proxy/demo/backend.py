"""A web backend of the demonstration: tells users about their orders, through the gateway and with a key of its own."""

from collections.abc import Sequence

import httpx


class Backend:
    """Calls the gateway at `url` with the `key` of a service; failures are those of httpx."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=5, trust_env=False)

    async def call(self, method: str, command: object) -> httpx.Response:
        """Send one command of the server API."""
        return await self._http.post(f"/api/{method}", json=command)

    async def shipped(self, users: Sequence[str], order: str) -> httpx.Response:
        """Tell each of the users, in one call, that an order is on its way."""
        publishes = [{"publish": shipping(user, order)} for user in users]
        return await self.call("batch", {"commands": publishes})

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def shipping(user: str, order: str) -> dict[str, object]:
    """Make the publish command that tells one user about an order."""
    data = {"type": "order_shipped", "orderId": order, "message": f"Order {order} is on its way"}
    return {"channel": f"notifications#{user}", "data": data}
