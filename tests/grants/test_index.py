from proxy.grants.index import MANY, Index


def test_of_one_of_some_and_of_many_keys_there_is_a_first() -> None:
    index: Index[str, tuple[str, int]] = Index()
    assert index.first("at") is None
    for number in range(2 * MANY):
        index.add("at", ("key", number))
        assert index.first("at") in index.get("at")
