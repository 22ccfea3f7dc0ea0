"""Words for places in time: a window's clauses are met by who was created in it, and by nobody else."""

import random
import re

import pytest

from services.agents.places import Window, clauses, place

TENANT = "0AF7651E-B600-4F06-9C33-000000000001"
NOW = 1_764_200_000_123_456


def meets(at: int, window: Window) -> bool:
    """As the index would have it."""
    words = place(TENANT, at).split()
    for clause in clauses(TENANT, window):
        if found := re.fullmatch(r"place:\[(\w+) TO (\w+)\]", clause):
            if any(found[1] <= word <= found[2] for word in words):
                return True
        elif clause.removeprefix("place:") in words:
            return True
    return False


@pytest.mark.parametrize("width", [1, 2, 999_999, 10**6, 10**6 + 1, 10**8, 10**10, 10**12, 10**14])
def test_a_window_holds_what_was_created_in_it(width: int) -> None:
    chance = random.Random(width)
    for _ in range(20):
        oldest = max(NOW - chance.randrange(3 * width), 0)
        window = Window(oldest, oldest + width - 1)
        within = [window.oldest, window.newest, chance.randint(*window)]
        beside = [window.oldest - 1, window.newest + 1, window.newest + chance.randint(1, 10 * width)]

        assert all(meets(at, window) for at in within)
        assert not any(meets(at, window) for at in beside if at >= 0)
        assert len(list(clauses(TENANT, window))) <= 200


def test_a_whole_decade_of_seconds_is_one_word() -> None:
    assert list(clauses("t", Window(1_764_200_000_000_000, 1_764_200_999_999_999))) == ["place:t1764200"]
