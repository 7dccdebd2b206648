import hashlib
import hmac

import pytest

from proxy.errors import SetupFault
from proxy.gateway.keys import Keys
from proxy.policy.declared import Service, Variable

ORDERS = "orders-key-0123456789"
NEWS = "news-key-0123456789abc"


def service(name: str) -> Service:
    return Service(name=name, key=Variable(name=f"{name.upper()}_KEY"), delivery="direct")


def keys(**values: str) -> Keys:
    return Keys([service(name) for name in values], {f"{name.upper()}_KEY": value for name, value in values.items()})


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_a_key_belongs_to_its_service() -> None:
    found = keys(orders=ORDERS, news=NEWS)
    assert found.service(ORDERS) == service("orders")
    assert found.service(NEWS) == service("news")


@pytest.mark.parametrize("credential", [None, "", "wrong", ORDERS + "x", ORDERS[:-1], ORDERS.upper(), digest(ORDERS), "ключ", "\udcff"])
def test_nothing_else_belongs_to_a_service(credential: str | None) -> None:
    assert keys(orders=ORDERS).service(credential) is None


def test_during_a_rotation_both_keys_are_accepted() -> None:
    found = keys(orders=f"{ORDERS}, {ORDERS}-next")
    assert found.service(ORDERS) == found.service(f"{ORDERS}-next") == service("orders")
    assert found.service(f"{ORDERS}, {ORDERS}-next") is None


@pytest.mark.parametrize("form", [str.lower, str.upper])
def test_a_hashed_key_accepts_the_key_and_not_the_hash(form: type[str]) -> None:
    hashed = f"sha256:{form(digest(ORDERS))}"
    found = keys(orders=hashed)
    assert found.service(ORDERS) == service("orders")
    assert found.service(hashed) is None


@pytest.mark.parametrize("credential", [None, ""])
def test_no_key_is_no_key_even_where_its_hash_is_configured(credential: str | None) -> None:
    assert keys(orders=f"sha256:{digest('')}").service(credential) is None


@pytest.mark.parametrize("credential", [None, "wrong", ORDERS, NEWS])
def test_every_key_is_compared_whichever_fits(credential: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    keys(orders=ORDERS, news=NEWS).service(credential)
    assert len(compared) == 2


def test_two_services_with_one_key_stop_the_start() -> None:
    with pytest.raises(SetupFault, match=r"^services orders and news have the same key: give each its own$"):
        keys(orders=ORDERS, news=f"{NEWS},sha256:{digest(ORDERS)}")


def test_one_service_may_name_a_key_twice() -> None:
    assert keys(orders=f"{ORDERS},sha256:{digest(ORDERS)}").service(ORDERS) == service("orders")


def test_a_missing_variable_stops_the_start() -> None:
    with pytest.raises(SetupFault, match=r"^ORDERS_KEY, the key of service orders, is not set or holds an empty entry"):
        Keys([service("orders")], {})


@pytest.mark.parametrize("value", ["", " ", ",", f"{ORDERS},", f",{ORDERS}", f"{ORDERS},,{NEWS}"])
def test_an_empty_entry_stops_the_start(value: str) -> None:
    with pytest.raises(SetupFault, match="empty entry"):
        keys(orders=value)


@pytest.mark.parametrize("value", ["x" * 15, "a key with some spaces", "schlüssel-0123456789", f"{ORDERS},short"])
def test_a_weak_key_stops_the_start_and_is_not_told(value: str) -> None:
    with pytest.raises(SetupFault, match="16 printable ASCII") as fault:
        keys(orders=value)
    assert value.rpartition(",")[2] not in str(fault.value)


def test_a_key_of_sixteen_characters_is_enough() -> None:
    assert keys(orders="x" * 16).service("x" * 16) == service("orders")


@pytest.mark.parametrize("value", ["sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "g" * 64, "sha256: " + "0" * 63])
def test_a_malformed_hash_stops_the_start(value: str) -> None:
    with pytest.raises(SetupFault, match="64 hexadecimal digits"):
        keys(orders=value)
