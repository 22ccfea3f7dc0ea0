"""Many attempts that came to a result, ended by one statement.

It is for those that nothing else follows from: no log to be written, nothing told of, no task and no key that waits.
The trigger of the table lets go what began to wait meanwhile, as at every end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.domain import AttemptKey
from services.tasks.worker.attempt import Attempt
from services.tasks.worker.sending import LOW

_SUCCEED: Final = text(
    """
    WITH given AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:results AS text[]), CAST(:reported AS bool[]),
            CAST(:done AS bigint[]), CAST(:total AS bigint[]), CAST(:messages AS text[])
        ) AS given (id, attempt, result, has_reported, done, total, message)
    ), free AS (
        SELECT task.id FROM task JOIN given ON given.id = task.id
        WHERE task.attempt = given.attempt AND task.status = 'running' AND task.concurrency_key IS NULL
            AND NOT EXISTS (SELECT FROM task_dependency WHERE after_id = task.id)
        ORDER BY task.id FOR UPDATE OF task SKIP LOCKED
    ), ended AS (
        UPDATE task SET
            status = 'succeeded', result = given.result, error_code = NULL, error_detail = NULL,
            progress_done = CASE WHEN has_reported THEN done ELSE progress_done END,
            progress_total = CASE WHEN has_reported THEN total ELSE progress_total END,
            progress_message = CASE WHEN has_reported THEN message ELSE progress_message END,
            finished_at = now(), lease_expires_at = NULL, worker_id = NULL, version = version + 1
        FROM given
        WHERE task.id = given.id AND task.attempt = given.attempt AND task.status = 'running'
            AND task.id IN (SELECT id FROM free)
        RETURNING task.id, task.attempt, task.priority, task.tenant_id, task.user_id
    ), closed AS (
        UPDATE task_attempt SET finished_at = now() FROM ended
        WHERE task_attempt.task_id = ended.id AND task_attempt.number = ended.attempt
    ), owner AS (
        SELECT priority, tenant_id, user_id, EXISTS (
            SELECT FROM task AS other
            WHERE other.status = 'queued' AND other.enqueued_at IS NULL AND other.waiting_for = 0
                AND NOT other.waits_for_key AND other.run_at <= now() AND other.priority = ended.priority
                AND other.tenant_id = ended.tenant_id AND other.user_id = ended.user_id
        ) AS waits
        FROM ended GROUP BY priority, tenant_id, user_id
    ), looked AS (
        SELECT *, waits AND CAST(:low AS bigint) > (SELECT count(*) FROM (
            SELECT FROM task AS other
            WHERE other.status = 'queued' AND other.enqueued_at IS NOT NULL AND other.priority = owner.priority
                AND other.tenant_id = owner.tenant_id AND other.user_id = owner.user_id
            LIMIT CAST(:low AS bigint)
        ) AS counted) AS is_low
        FROM owner
    )
    SELECT ended.id, ended.attempt, looked.waits, looked.is_low, priority, tenant_id, user_id
    FROM ended JOIN looked USING (priority, tenant_id, user_id)
    """
)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """An attempt and its result as JSON."""

    attempt: Attempt
    result: str


async def succeed_free(session: AsyncSession, given: Sequence[Succeeded]) -> set[AttemptKey]:
    """Those that have ended by it, each told whether others of its owner wait; the rest is to be ended alone."""
    reports = [one.attempt.progress for one in given]
    rows = await session.execute(
        _SUCCEED,
        {
            "ids": [one.attempt.claim.id for one in given],
            "attempts": [one.attempt.claim.attempt for one in given],
            "results": [one.result for one in given],
            "reported": [report is not None for report in reports],
            "done": [report.done if report else None for report in reports],
            "total": [report.total if report else None for report in reports],
            "messages": [report.message if report else None for report in reports],
            "low": LOW,
        },
    )
    attempts, ended, owners = {one.attempt.claim.key: one.attempt for one in given}, set[AttemptKey](), set[Any]()
    for task_id, number, waits, is_low, *owner in rows:
        key = (str(task_id), number)
        attempts[key].leaves_others_waiting = waits
        attempts[key].leaves_queue_low = is_low and tuple(owner) not in owners  # of each one sends for all
        ended.add(key)
        owners.add(tuple(owner))
    return ended
