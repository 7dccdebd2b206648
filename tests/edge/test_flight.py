from proxy.edge.flight import CROWD, RESERVE, Flight


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_renewals_have_a_reserve() -> None:
    flight = Flight(10 * RESERVE)
    assert (flight.bound(renewal=False), flight.bound(renewal=True)) == (10 * RESERVE, 10 * RESERVE + 10)


def test_the_oldest_is_who_waits_for_longest() -> None:
    clock = Clock()
    flight = Flight(8, 1.0, clock)
    assert flight.oldest_s == 0
    first = flight.begin()
    clock.now += 2
    second = flight.begin()
    assert flight.oldest_s == 2
    flight.end(first)
    assert flight.oldest_s == 0
    clock.now += 3
    assert flight.oldest_s == 3
    flight.end(second)
    assert flight.oldest_s == 0


def test_it_is_late_when_more_than_a_few_wait_and_the_oldest_for_too_long() -> None:
    clock = Clock()
    flight = Flight(1000, 1.0, clock)
    tickets = [flight.begin() for _ in range(CROWD)]
    clock.now += 1
    assert not flight.late()
    clock.now += 0.001
    assert flight.late()
    flight.end(tickets.pop())
    assert not flight.late()
    tickets.append(flight.begin())
    assert flight.late()
    flight.end(tickets[0])
    flight.begin()
    assert flight.late()
    for ticket in tickets[1:]:
        flight.end(ticket)
    assert not flight.late()
