import pytest

from proxy.grants.grant import Grant
from proxy.grants.index import MANY, Index
from tests.grants.test_registry import made


@pytest.mark.parametrize("count", [1, 2, MANY - 1, MANY, 2 * MANY])
def test_a_grant_may_be_put_twice_and_is_there_once(count: int) -> None:
    index = Index()
    grants = [made(f"c{number}") for number in range(count)]
    for grant in grants:
        for name in ("at", "other", "at"):
            index.add(name, grant)
    assert len(index.get("at")) == len(index.get("other")) == count
    assert set(index.get("at")) == set(index.get("other")) == set(grants)
    stranger = made()
    for left, grant in enumerate(reversed(grants)):
        assert len(index.get("at")) == count - left
        for name in ("at", "at", "nowhere"):
            index.discard(name, stranger)
            index.discard(name, grant)
    found: tuple[Grant, ...] = index.get("at")
    assert (found, len(index.get("other"))) == ((), count)
