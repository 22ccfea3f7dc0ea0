"""Replaying many: what cannot be replayed is left and said, and another attempt goes on within the limit."""

import asyncio

from services.tasks.errors import KindUnknown, TaskSettled
from services.tasks.kinds.tasks_replay import TASKS_REPLAY
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.tasks.fakes import RecordingContext


async def test_what_cannot_be_replayed_is_left_and_said() -> None:
    failed: dict[str, Exception | None] = {"1": None, "2": KindUnknown("gone"), "3": TaskSettled(None), "4": None}
    context = RecordingContext(answer=lambda _path, _body: None, failed=failed)

    result = await TASKS_REPLAY.execute(context, {"rate": 100})

    assert result == {"replayed": 2, "skipped": 2}
    assert any("2 is left" in message for _, message in context.logged)


async def test_another_attempt_keeps_to_the_limit() -> None:
    context = RecordingContext(answer=lambda _path, _body: None, failed=dict.fromkeys("123"), done_before=4)

    result = await TASKS_REPLAY.execute(context, {"rate": 100, "limit": 5})

    assert result == {"replayed": 5, "skipped": 0}


async def test_those_that_are_left_are_not_paced_as_those_that_are_replayed() -> None:
    """At one a second an attempt has time for as many: with more of them at the front nothing was ever replayed."""
    failed: dict[str, Exception | None] = {f"{number:03}": KindUnknown("gone") for number in range(200)}
    context = RecordingContext(answer=lambda _path, _body: None, failed=failed)

    async with asyncio.timeout(PATIENCE_SECONDS):
        result = await TASKS_REPLAY.execute(context, {"rate": 1})

    assert result == {"replayed": 0, "skipped": 200}
