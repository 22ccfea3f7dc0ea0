"""What is taken on to be embedded: as much as can be done in time, by the pace that was seen."""

from contextlib import ExitStack

import pytest

from services.vectors.adapters.embeddings_backlog import Backlog, Pace
from services.vectors.errors import EmbeddingsBusy, TooMuchText

ADA, COLLEAGUE, BOB = ("ada's", "ada"), ("ada's", "colleague"), ("bob's", "bob")
ROOM = 80_000  # of 1,000 bytes a second in two lanes, in four fifths of 50 seconds


@pytest.fixture
def backlog() -> Backlog:
    opened = Backlog(lanes=2, seconds=50)
    opened.pace.note(1000, 1.0)
    return opened


def test_nothing_is_refused_before_the_pace_is_known() -> None:
    with Backlog(lanes=1, seconds=50).taking_on(ADA, 10**9):
        pass


def test_a_pace_that_was_seen_long_ago_says_nothing() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    pace.note(10, 10.0)
    assert pace.a_second() == 1

    now[0] = 61
    assert pace.a_second() is None


def test_what_is_seen_last_counts_most() -> None:
    pace = Pace()
    for _ in range(100):
        pace.note(1000, 1.0)
    for _ in range(50):
        pace.note(1000, 10.0)

    assert pace.a_second() == pytest.approx(100, rel=0.1)


def test_what_never_fits_is_told_apart_from_what_does_not_fit_now(backlog: Backlog) -> None:
    with pytest.raises(TooMuchText, match="80,000 bytes"), backlog.taking_on(ADA, ROOM + 1):
        pass

    with backlog.taking_on(ADA, ROOM), pytest.raises(EmbeddingsBusy) as refusal, backlog.taking_on(ADA, 10_000):
        pass
    assert refusal.value.headers["Retry-After"] == "5"


def test_what_is_done_makes_room(backlog: Backlog) -> None:
    with backlog.taking_on(ADA, ROOM) as work:
        work.done(10_000)
        with backlog.taking_on(ADA, 10_000):
            pass
    with backlog.taking_on(ADA, ROOM):
        pass


def test_neighbours_and_colleagues_wait_for_no_more_than_they_want_themselves(backlog: Backlog) -> None:
    with ExitStack() as stack:
        stack.enter_context(backlog.taking_on(ADA, ROOM))
        stack.enter_context(backlog.taking_on(BOB, ROOM // 2))
        stack.enter_context(backlog.taking_on(COLLEAGUE, ROOM // 8))

        with pytest.raises(EmbeddingsBusy):
            stack.enter_context(backlog.taking_on(BOB, 1))


def test_the_slowest_model_takes_one_text() -> None:
    backlog = Backlog(lanes=1, seconds=1)
    backlog.pace.note(1, 1.0)

    with backlog.taking_on(ADA, 16_384):
        pass
