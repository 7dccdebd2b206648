import json

import pytest

from proxy.edge.failures import answer
from proxy.errors import DeliveryFault, FactFault, Malformed, Overload, SetupFault, TooLarge, Unauthorized


def test_the_unauthorized_are_told_nothing() -> None:
    assert answer(Unauthorized("secret")) == (401, {}, b"")


def test_what_is_malformed_is_explained() -> None:
    status, headers, body = answer(Malformed("data must be an object"))
    assert (status, headers) == (400, {"content-type": "application/json"})
    assert json.loads(body) == {"error": {"code": "malformed", "message": "data must be an object"}}


def test_what_is_too_large_ends_the_connection() -> None:
    status, headers, body = answer(TooLarge("too long"))
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["error"]["code"] == "too_large"


@pytest.mark.parametrize("fault", [Overload, FactFault, DeliveryFault, SetupFault])
def test_our_faults_are_to_be_tried_again_and_not_told(fault: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    status, headers, body = answer(fault("postgres at 10.0.0.7"))
    assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "text/plain; charset=utf-8")
    assert b"10.0.0.7" not in body
    assert "10.0.0.7" in caplog.text
