"""When a lease that lapsed tells of a worker that fell silent."""

from services.tasks.worker.lapses import Lapses

LEASE = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def looks(lapses: Lapses, clock: Clock, *, every: float, seconds: float) -> list[bool]:
    """What it says in so many seconds of a database that answers."""
    answers = []
    until = clock.now + seconds
    while clock.now < until:
        clock.now += every
        answers.append(lapses.are_telling())
    return answers


def test_they_tell_while_the_database_answers_once_whoever_is_at_work_had_a_while_to_renew() -> None:
    """Who begins as the database comes back may have ended for want of it, and knows of no absence."""
    clock = Clock()
    lapses = Lapses(LEASE, clock)

    assert not any(looks(lapses, clock, every=1, seconds=9))
    assert all(looks(lapses, clock, every=1, seconds=100))


def test_after_an_absence_whoever_is_at_work_has_a_while_to_renew() -> None:
    clock = Clock()
    lapses = Lapses(LEASE, clock)
    clock.now += LEASE * 2

    assert not any(looks(lapses, clock, every=1, seconds=9))
    clock.now += 1
    assert all(looks(lapses, clock, every=1, seconds=100))


def test_a_short_absence_cost_no_lease() -> None:
    clock = Clock()
    lapses = Lapses(LEASE, clock)
    clock.now += LEASE / 2

    assert lapses.are_telling()


def test_a_database_that_is_always_slow_keeps_no_lost_task_for_long() -> None:
    clock = Clock()
    answers = looks(Lapses(LEASE, clock), clock, every=LEASE * 0.6, seconds=LEASE * 6)

    assert answers.count(True) >= len(answers) // 2
