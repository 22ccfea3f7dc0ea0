"""How an attempt ended, written down; and what may begin now is sent."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.tasks.domain import (
    AUTHORITY_ENDED,
    DISPLACED,
    INTERRUPTED,
    TIMED_OUT,
    Claim,
    Failure,
    RetryPolicy,
    TaskStatus,
    are_attempts_used_up,
    counted_attempts,
)
from services.tasks.errors import KindUnknown
from services.tasks.events import Told
from services.tasks.kinds.registry import KindRegistry
from services.tasks.queues import Queues
from services.tasks.settings import WorkerSettings
from services.tasks.worker.attempt import Attempt, Stop
from services.tasks.worker.gathering import Gathering
from services.tasks.worker.kind_places import LeftOut
from services.tasks.worker.outages import Outages
from services.tasks.worker.repository import WorkRepository
from services.tasks.worker.sending import sends_next
from services.tasks.worker.succeeding import Succeeded, succeed_free
from shared.errors import ServiceError
from shared.identity import SERVICE_PREFIX, Deed
from shared.postgres import Database, Outbox

_log = logging.getLogger("tasks.worker")
_ITSELF: Final = f"{SERVICE_PREFIX}tasks"
_TOGETHER: Final = 50
_SMALL_CHARS: Final = 16_384
"""A result that goes together with others: fifty of the largest would be a hundred megabytes."""


@dataclass(frozen=True, slots=True)
class Success:
    """The result as JSON, and what is to be told of it."""

    result: str
    told: Told | None


Outcome = Success | Failure | Stop
"""What it came to, why it failed, or why it was stopped."""


class Recorder:
    """Built once. What ends well at about the same time, and lets nothing else begin, is written together."""

    def __init__(
        self,
        database: Database,
        outages: Outages,
        outbox: Outbox,
        queues: Queues,
        kinds: KindRegistry,
        left_out: LeftOut,
        settings: WorkerSettings,
    ) -> None:
        self._database, self._outages, self._outbox, self._queues = database, outages, outbox, queues
        self._kinds, self._left_out, self._settings = kinds, left_out, settings
        self._limits: Mapping[str, int] = kinds.limits
        self._successes = Gathering(self._succeed, _TOGETHER)

    async def record(self, attempt: Attempt, outcome: Outcome) -> TaskStatus | None:
        """The new status; None when the attempt was no longer ours to end. Raises RetryLater."""
        if isinstance(outcome, Success) and await self._has_succeeded_with_others(attempt, outcome):
            await self._send_next(attempt)
            return TaskStatus.SUCCEEDED
        status = await self._outages.through(lambda work: self._conclude(work, attempt, outcome))
        is_told = isinstance(outcome, Success) and outcome.told is not None
        sent = attempt.leaves_others_waiting or attempt.is_waited_for or attempt.claim.kind in self._limits
        if status is TaskStatus.QUEUED or sent or is_told:
            self._outbox.notify()
        return status

    async def ended_in_vain(self, attempt: Attempt) -> bool:
        """Whether an attempt that was no longer ours was the task's last and failed: the reconciler ended it, or we did
        and were not told. False where that cannot be told."""
        try:
            async with self._database.statements() as session:
                return await WorkRepository(session).ended_in_vain(attempt.claim.key)
        except ServiceError:
            return False

    def _lets_nothing_begin(self, attempt: Attempt, success: Success) -> bool:
        """As far as is known here: the statement leaves out what a task waits for."""
        claim = attempt.claim
        is_alone = claim.concurrency_key is None and claim.kind not in self._limits
        is_silent = success.told is None and attempt.log.unwritten() is None
        return is_alone and is_silent and len(success.result) <= _SMALL_CHARS

    async def _has_succeeded_with_others(self, attempt: Attempt, success: Success) -> bool:
        """Whether that is written; if not, it is to be written alone, which waits for a database that is away."""
        if not self._lets_nothing_begin(attempt, success):
            return False
        try:
            return await self._successes.join(Succeeded(attempt, success.result))
        except Exception:  # noqa: BLE001 - whatever it is, it may be another's: alone it is raised where it belongs
            return False

    async def _succeed(self, given: Sequence[Succeeded]) -> list[bool]:
        async with self._database.statements() as session:
            ended = await succeed_free(session, given)
        return [one.attempt.claim.key in ended for one in given]

    async def _send_next(self, attempt: Attempt) -> None:
        """In a transaction of its own: what is left unsent by it the reconciler finds."""
        if not sends_next(attempt):
            return
        try:
            async with self._database.transaction() as session:
                await WorkRepository(session).send_next(attempt, self._outbox, self._queues, but=self._limits)
        except ServiceError as error:
            _log.warning("what waits is left to be found", extra={"fields": {"detail": error.detail}})
        else:
            self._outbox.notify()

    async def _conclude(self, work: WorkRepository, attempt: Attempt, outcome: Outcome) -> TaskStatus | None:
        """Record how the attempt ended, and send what may begin now: the next of its owner, and what waited for it."""
        if part := attempt.log.unwritten():
            await work.write_log(attempt.claim.key, part)
        status = await self._record(work, attempt, outcome)
        if attempt.leaves_others_waiting and outcome is not Stop.DISPLACED:  # that place is for others
            await work.send_next(attempt, self._outbox, self._queues, but=self._limits)
        if status is not TaskStatus.QUEUED and attempt.is_waited_for:
            await work.send_released(attempt, self._outbox, self._queues, but=self._limits)
        if status is not None and (limit := self._limits.get(attempt.claim.kind)):
            await work.send_of_kind(attempt.claim.kind, limit, self._outbox, self._queues, but=self._left_out)
        return status

    async def _record(self, work: WorkRepository, attempt: Attempt, outcome: Outcome) -> TaskStatus | None:
        """Write how the attempt ended; None when it was no longer ours."""
        match outcome:
            case Success(result, told):
                status = await work.succeed(attempt, result)
                if told is not None and status is not None:
                    work.tell(self._outbox, _deed(attempt.claim, told))
                return status
            case Stop.LOST:
                return None
            case Stop.CANCELLED:
                return await work.cancel(attempt)
            case Stop.SHUTDOWN:
                claim = attempt.claim
                message = self._queues.message(claim.ticket, claim.priority, claim.traceparent)
                return await work.give_back(attempt, INTERRUPTED, self._outbox, message)
            case Stop.DISPLACED:
                return await work.give_way(attempt, DISPLACED)
            case Stop.TIMED_OUT:
                return await self._fail(work, attempt, TIMED_OUT)
            case Failure():
                return await self._fail(work, attempt, outcome)

    async def _fail(self, work: WorkRepository, attempt: Attempt, failure: Failure) -> TaskStatus | None:
        claim = attempt.claim
        policy = self._policy_of(claim)
        if not failure.retryable or failure.code in policy.not_on:
            if claim.schedule_id and failure.code == AUTHORITY_ENDED:
                await work.pause_schedule(claim, failure)
            return await work.fail(attempt, failure)
        counts = not self._is_forgiven(attempt, failure)
        if counts and are_attempts_used_up(claim):
            return await work.give_up(attempt, failure)
        tried = counted_attempts(claim) if counts else claim.attempt  # so that waiting out an absence grows patient too
        delay = failure.retry_after_seconds + policy.delay_seconds(tried)
        return await work.retry(attempt, failure, delay, counts=counts)

    def _policy_of(self, claim: Claim) -> RetryPolicy:
        """The task's own wishes, then its kind's, then the installation's."""
        try:
            of_kind = self._kinds.get(claim.kind).retry
        except KindUnknown:
            of_kind = None
        return self._settings.retry_policy.changed(of_kind).changed(claim.retry)

    def _is_forgiven(self, attempt: Attempt, failure: Failure) -> bool:
        """Whether the failure is not held against the task. A timeout always is: it is the task's own limit."""
        if failure.is_absence and attempt.task_seconds < self._settings.absence_seconds:
            return True
        return failure is not TIMED_OUT and attempt.has_advanced


def _deed(claim: Claim, told: Told) -> Deed:
    """By whoever submitted the task, through this service."""
    return Deed(
        action=told.action,
        actor=claim.user_id,
        tenant_id=claim.tenant_id,
        target=told.target,
        act=_ITSELF,
        key_id=claim.key_id,
        details=told.details,
    )
