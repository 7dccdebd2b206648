import pytest

from proxy.grants.index import MANY, Index


def test_of_one_of_some_and_of_many_keys_there_is_a_first() -> None:
    index: Index[str, tuple[str, int]] = Index()
    assert index.first("at") is None
    for number in range(2 * MANY):
        index.add(("at",), ("key", number))
        assert index.first("at") in index.get("at")


@pytest.mark.parametrize("count", [1, 2, MANY - 1, MANY, 2 * MANY])
def test_a_key_may_be_put_twice_and_is_there_once(count: int) -> None:
    index: Index[str, tuple[str, int]] = Index()
    keys = [("key", number) for number in range(count)]
    for key in keys:
        index.add(("at", "other", "at"), key)
    assert sorted(index.get("at")) == sorted(index.get("other")) == keys
    for left, key in enumerate(reversed(keys)):
        assert len(index.get("at")) == count - left
        index.discard(("at", "at", "nowhere"), ("key", -1))
        index.discard(("at", "at", "nowhere"), key)
    assert (index.get("at"), len(index.get("other"))) == ((), count)
