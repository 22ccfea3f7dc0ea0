"""What is late is told once it lasts; that something moves is told at once."""

from types import SimpleNamespace

import pytest

from services.tasks import health
from services.tasks.health import Lateness
from shared.health import Finding


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its own: by that of the process whatever else runs in this loop would go."""
    now = [100.0]
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


async def test_one_look_between_two_that_move_tells_nothing(clock: list[float]) -> None:
    late = [500.0]

    async def look() -> float:
        return late[0]

    queue = Lateness(look, 120, "waited {:.0f} s")
    await queue.check()
    clock[0], late[0] = 102.0, 0.0
    await queue.check()
    clock[0], late[0] = 104.0, 500.0
    await queue.check()  # it was not late at each look since the first

    clock[0] = 108.0
    with pytest.raises(Finding, match="waited 500 s"):
        await queue.check()
    late[0] = 119.0
    await queue.check()
