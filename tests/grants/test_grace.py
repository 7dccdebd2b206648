from proxy.grants.grace import KEPT_MS, Grace


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def test_a_grace_begins_with_the_first_failure_and_lasts_its_span() -> None:
    clock = Clock()
    grace = Grace(120, clock)
    assert grace.extends("a")
    clock.now += 119_999
    assert grace.extends("a")
    clock.now += 1
    assert not grace.extends("a")


def test_no_span_is_no_grace() -> None:
    assert not Grace(0, Clock()).extends("a")


def test_the_end_of_a_grace_is_remembered() -> None:
    clock = Clock()
    grace = Grace(1, clock)
    grace.extends("a")
    clock.now += 1000 + KEPT_MS - 1
    grace.extends("b")
    assert not grace.extends("a")


def test_an_old_grace_is_forgotten() -> None:
    clock = Clock()
    grace = Grace(1, clock, size=1)
    grace.extends("a")
    clock.now += 1000 + KEPT_MS
    assert grace.extends("b")
    clock.now += 1000 + KEPT_MS
    assert grace.extends("a")


def test_a_newcomer_has_no_grace_when_all_places_are_taken() -> None:
    grace = Grace(1, Clock(), size=1)
    assert grace.extends("a")
    assert not grace.extends("b")
    grace.settle("a")
    assert grace.extends("b")


def test_what_is_settled_begins_anew() -> None:
    clock = Clock()
    grace = Grace(1, clock)
    grace.extends("a")
    clock.now += 1000
    grace.settle("a")
    grace.settle("never seen")
    assert grace.extends("a")
