"""kill -9 at every stated point of a task's way: no accepted task is lost, and none has its effect twice.

Under a thousand tasks at every point with `FAULTS=1` (`make test-faults`); otherwise under fifty, at some.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.suite import Suite
from services.tasks.domain import Priority
from tests.faults.drill import drilled
from tests.faults.ledger import Findings
from tests.faults.points import POINTS, SMOKE, Point
from tests.fixtures.identity import User

FULL = bool(os.environ.get("FAULTS"))
TASKS, STRIKES = (1000, 3) if FULL else (50, 1)
CHOSEN = [point for point in POINTS if FULL or point.name in SMOKE]
PATIENT_SECONDS, IMPATIENT_SECONDS = 30, 3
HEAD = ("| killed | accepted | lost | twice | attempts repeated |", "|---|---|---|---|---|")
Note = Callable[[Point, int, Findings, int], None]


@pytest.fixture(scope="module")
def note(request: pytest.FixtureRequest) -> Iterator[Note]:
    """Keeps what each point came to, for the table at the end of a run."""
    rows: list[str] = []

    def keep(point: Point, accepted: int, findings: Findings, repeated: int) -> None:
        rows.append(f"| {point.name} | {accepted} | {len(findings.lost)} | {len(findings.twice)} | {repeated} |")

    yield keep
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and rows:
        reporter.write_line("\n" + "\n".join((*HEAD, *rows)))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("point", CHOSEN, ids=lambda point: point.name.replace(" ", "-"))
async def test_nothing_accepted_is_lost_or_done_twice(
    suite: Suite, user: User, other_user: User, tmp_path: Path, note: Note, point: Point
) -> None:
    lease = IMPATIENT_SECONDS if point.repeats else PATIENT_SECONDS  # nobody misses a worker that goes on
    async with drilled(suite, [user, other_user], tmp_path, lease_seconds=lease) as drill:
        async with asyncio.TaskGroup() as clients:
            clients.create_task(drill.submit(TASKS))
            for number in range(STRIKES):
                await drill.until_acknowledged(TASKS * number // STRIKES)
                await point.strike(drill)
        findings, repeated = await drill.read_back(), drill.repeated()
        slots = drill.installation.worker_settings().slots[Priority.NORMAL]
    note(point, len(drill.acknowledged), findings, repeated)

    assert len(set(drill.acknowledged)) == TASKS
    assert (findings.lost, findings.twice) == ([], [])
    assert repeated <= (STRIKES * slots if point.repeats else 0)  # what one worker had in hand
