"""What brings tasks back looks at few rows, lets all have their turn, and goes on where one statement fails."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from services.tasks.worker import reconciler
from services.tasks.worker.recovery import RecoveryRepository
from shared.errors import Unavailable
from shared.postgres import Database
from tests.fixtures.identity import User
from tests.services.tasks.running import Installation, Tasks

_MANY = """
INSERT INTO task (id, tenant_id, user_id, scopes, kind, priority, input, status, dead_letter, progress_done, attempt,
    interruptions, max_attempts, timeout_seconds, run_at, enqueued_at, version, created_at)
SELECT gen_random_uuid(), 't', 'u', '{}', 'other', 'normal', '{}', 'queued', false, 0, 1, 0, 1, 1, now(),
    CASE WHEN n % 2 = 0 THEN now() END, 1, now()
FROM generate_series(1, 3000) AS n
"""
_INDEXES: dict[str, Callable[[RecoveryRepository], Awaitable[Any]]] = {
    "ix_task_due": lambda tasks: tasks.expire_unsent(days=7),
    "ix_task_enqueued": lambda tasks: tasks.expire_unheard(days=7),
    "ix_task_start_before": lambda tasks: tasks.expire_late(),
    "ix_task_doomed": lambda tasks: tasks.cancel_doomed(),
}


@pytest.mark.parametrize("index", _INDEXES)
async def test_what_is_to_end_is_found_by_an_index(tasks: Tasks, database: Database, index: str) -> None:
    written: list[Any] = []
    async with database.session() as session:
        await session.execute(text(_MANY))
        await session.execute(text("ANALYZE task"))
        event.listen(session.sync_session, "do_orm_execute", lambda state: written.append(state.statement))
        await _INDEXES[index](RecoveryRepository(session))
        statement = written[0].compile(dialect=database.engine.dialect, compile_kwargs={"literal_binds": True})
        plan = "\n".join(row[0] for row in await session.execute(text(f"EXPLAIN {statement}")))

    assert index in plan, plan
    assert "Sort" not in plan, plan


async def test_what_waits_in_a_queue_for_too_long_expires(tasks: Tasks, database: Database) -> None:
    old, recent = await tasks.submit("echo"), await tasks.submit("echo")
    async with database.transaction() as session:
        sent = text("UPDATE task SET enqueued_at = now() - interval '8 days' WHERE id = :id")
        await session.execute(sent, {"id": old["id"]})
        expired = await RecoveryRepository(session).expire_unheard(days=7)

    assert [task.id for task in expired] == [old["id"]]
    assert (await tasks.get(recent))["status"] == "queued"


@pytest.mark.parametrize("failing", ["expire_unsent", "has_unheard", "expire_late", "cancel_doomed"])
async def test_one_look_that_fails_keeps_no_other_from_its_turn(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    async def fails(*_: Any) -> Any:
        raise Unavailable("postgres")

    monkeypatch.setattr(RecoveryRepository, failing, fails)
    fresh = new_installation()
    async with fresh.api() as client, fresh.worker():
        soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
        done = await Tasks(client, user).run("echo", run_at=soon)

    assert done["status"] == "succeeded"


async def test_a_long_chain_that_falls_lets_others_have_their_turn(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "_MOST_LINKS", 2)
    looks = _looks(monkeypatch, "take_due", "cancel_doomed")
    fresh = new_installation()
    async with fresh.api() as client:
        tasks = Tasks(client, user)
        chain = [await tasks.submit("echo")]
        for _ in range(9):
            chain.append(await tasks.submit("echo", after={"ids": [chain[-1]["id"]]}))
        await tasks.cancel(chain[0])
        async with fresh.worker(reconcile_seconds=60):  # a chain is gone on with at once
            ended = [(await tasks.wait(task))["status"] for task in chain]

    assert ended == ["cancelled"] * 10
    assert looks[:6] == ["take_due", "cancel_doomed", "cancel_doomed"] * 2


def _looks(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Which of them were done, in their order."""
    looks: list[str] = []

    def watched(name: str, look: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            looks.append(name)
            return look(*given, **named)

        return noted

    for name in names:
        monkeypatch.setattr(RecoveryRepository, name, watched(name, getattr(RecoveryRepository, name)))
    return looks
