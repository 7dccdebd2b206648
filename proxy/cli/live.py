"""Asking the running service to explain a decision."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from proxy.cli.publish import secret
from proxy.errors import DeliveryFault, Malformed, SetupFault
from proxy.review.lines import strict

TIMEOUT_S: Final = 30.0
"""Seconds within which the service has to answer."""

_NO: Final = "the service of this key may not explain: the policy says so with allow explain"


def ask(url: str, variable: str, line: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON that nobody has checked
    """Give the explanation of the request, with the key in the variable; raises `SetupFault`, `DeliveryFault` and `Malformed`."""
    address = f"{url.rstrip('/')}/api/explain"
    headers = {"X-API-Key": secret(variable), "Content-Type": "application/json"}
    try:
        # Not from the environment: a proxy in between would see the key.
        answer = httpx.post(address, content=json.dumps(line), headers=headers, timeout=TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryFault(f"{address} could not be asked: {type(error).__name__}") from None
    match answer.status_code:
        case HTTPStatus.OK:
            return _read(address, answer.text)
        case HTTPStatus.UNAUTHORIZED:
            raise SetupFault("the service does not know this key")
        case HTTPStatus.FORBIDDEN:
            raise SetupFault(_NO)
    raise DeliveryFault(f"the service answered with status {answer.status_code}: {answer.text.strip()[:500]}")


def _read(address: str, body: str) -> object:
    try:
        return strict(body)
    except Malformed:
        raise DeliveryFault(f"{address} answered what is no explanation") from None
