"""How many submits share a commit."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from services.tasks.submissions import Submissions, _Pending
from tests.fixtures.patience import PATIENCE_SECONDS

UNUSED = cast("Any", None)
MIB = 2**20


class Noting(Submissions):
    """Writes nothing, and keeps how long the inputs of each commit are."""

    def __init__(self) -> None:
        super().__init__(UNUSED, UNUSED, UNUSED, (), max_waiting=1000)
        self.commits: list[list[int]] = []

    async def _settle(self, batch: Sequence[_Pending]) -> None:
        self.commits.append([len(one.task["input"]) for one in batch])
        for one in batch:
            one.written.set_result(None)


@pytest.mark.parametrize(
    ("sizes", "commits"),
    [
        ([2] * 600, [[2] * 500, [2] * 100]),
        ([MIB] * 10, [[MIB] * 4, [MIB] * 4, [MIB] * 2]),
        ([2, 5 * MIB, 2], [[2], [5 * MIB], [2]]),
    ],
    ids=["small ones", "large ones", "one that is larger than all together may be"],
)
async def test_a_commit_has_so_many_tasks_and_so_much_of_inputs(sizes: list[int], commits: list[list[int]]) -> None:
    submissions = Noting()
    submits = [submissions.write({"id": "task", "input": "x" * size}) for size in sizes]
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        written = [group.create_task(one) for one in submits]
        group.create_task(_until_written(submissions, written))

    assert submissions.commits == commits


async def _until_written(submissions: Submissions, written: Sequence[asyncio.Task[Any]]) -> None:
    running = asyncio.create_task(submissions.run())
    await asyncio.wait(written)
    running.cancel()
