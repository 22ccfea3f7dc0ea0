"""`tasks.replay`: many failed tasks are submitted once more, at a bounded rate."""

import asyncio
from typing import Any

from services.tasks.domain import REPLAY_KIND, LogLevel
from services.tasks.errors import KindUnknown, TaskNotFailed, TaskNotFound, TaskSettled
from services.tasks.kinds.kind import Context, Kind
from services.tasks.replays.schemas import ReplayMany
from shared.errors import MissingScope

_AT_ONCE = 100
_LEFT_A_SECOND = 100  # or each attempt would end among those that are left, with none replayed behind them
_BY_NOW_SETTLED = (TaskNotFound, TaskNotFailed, TaskSettled)


async def _replay(context: Context, given: ReplayMany) -> dict[str, Any]:
    """What is replayed is settled with the same commit: another attempt goes on with what is left."""
    done, skipped, after = context.done_before, 0, None
    while done < given.limit:
        found = await context.failed_tasks(given.filter(), after=after, limit=min(_AT_ONCE, given.limit - done))
        if not found:
            break
        for task_id in found:
            pause = 1 / _LEFT_A_SECOND
            try:
                await context.replay(task_id)
            except (MissingScope, KindUnknown) as error:
                context.log(f"{task_id} is left: {error.detail}", level=LogLevel.WARNING)
                skipped += 1
            except _BY_NOW_SETTLED:
                skipped += 1
            else:
                done, pause = done + 1, 1 / given.rate
            context.progress(done, None, "replaying")
            await asyncio.sleep(pause)
        after = found[-1]
    context.log(f"{done} tasks replayed, {skipped} left as they are")
    return {"replayed": done, "skipped": skipped}


TASKS_REPLAY = Kind(
    name=REPLAY_KIND,
    description="Submits failed tasks once more, oldest first, at a bounded rate.",
    input_model=ReplayMany,
    run=_replay,
    timeout_seconds=1500,
)
