"""From a ticket to the task's next state: a place, claim, run, record; only then is its message acknowledged."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import orjson

from services.tasks.domain import (
    AUTHORITY_ENDED,
    INTERRUPTED,
    TIMED_OUT,
    Claim,
    Failure,
    Priority,
    RetryPolicy,
    TaskStatus,
    Ticket,
    are_attempts_used_up,
    counted_attempts,
)
from services.tasks.errors import KindUnknown, PermanentFailure
from services.tasks.events import Told
from services.tasks.kinds.registry import KindRegistry
from services.tasks.queues import Queues
from services.tasks.settings import WorkerSettings
from services.tasks.worker.attempt import Attempt, Stop
from services.tasks.worker.context import ContextFactory
from services.tasks.worker.failures import noted_failure
from services.tasks.worker.instruments import Instruments
from services.tasks.worker.kind_places import LeftOut
from services.tasks.worker.leases import Leases
from services.tasks.worker.repository import WorkRepository
from services.tasks.worker.slots import Slots
from shared import deadlines, telemetry
from shared.errors import Unavailable
from shared.identity import SERVICE_PREFIX, Deed
from shared.messages import RetryLater
from shared.postgres import Database, Outbox
from shared.storage import Storage
from shared.telemetry import conventions
from shared.watchdog import Watchdog

_log = logging.getLogger("tasks.worker")
_STOPPING_SECONDS = 0.5  # for a cancelled handler to clean up; a slower one goes on alone, fenced out
_STORE_SECONDS = 600.0  # how long a message is held while PostgreSQL is away
_CLOSING_SECONDS = 5.0  # the same while this worker shuts down
_ROOM_SECONDS = 0.5  # between two looks whether there is room again
_ITSELF = f"{SERVICE_PREFIX}tasks"
_TAKING_AWAY_SECONDS = 20.0
_IN_VAIN = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Success:
    """The result as JSON, and what is to be told of it."""

    result: str
    told: Told | None


Outcome = Success | Failure | Stop
"""What it came to, why it failed, or why it was stopped."""


class Runner:
    """Runs tasks; `run` may be told the same one again and again."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        queues: Queues,
        leases: Leases,
        kinds: KindRegistry,
        left_out: LeftOut,
        contexts: ContextFactory,
        instruments: Instruments,
        settings: WorkerSettings,
        watchdog: Watchdog,
        storage: Storage,
        worker_id: str,
    ) -> None:
        self._database, self._outbox, self._queues, self._leases = database, outbox, queues, leases
        self._kinds, self._contexts, self._instruments = kinds, contexts, instruments
        self._limits, self._left_out, self._storage = kinds.limits, left_out, storage
        self._settings, self._watchdog, self._worker_id = settings, watchdog, worker_id
        self._slots = {priority: Slots(number) for priority, number in settings.slots.items()}
        self._accepting = True

    def stop_accepting(self) -> None:
        """Put back what is not claimed yet; what runs goes on."""
        self._accepting = False

    def give_back_all(self) -> None:
        """Stop what runs and queue it for another worker."""
        self._leases.stop_all(Stop.SHUTDOWN)

    async def run(self, ticket: Ticket, priority: Priority) -> None:
        """Raises RetryLater while the task cannot be claimed or recorded.

        Where its owner has no place left it is put off, until one of theirs ends or for about a second.
        """
        await self._room()
        async with self._slots[priority].take(ticket) as place:
            if place is None:
                self._left_out.note(ticket, priority)
                await self._through_outages(lambda work: work.put_off(ticket.task_id))
                self._instruments.put_off.inc()
            else:
                await self._run(ticket.task_id)

    async def _run(self, task_id: str) -> None:
        is_admitted, claim = await self._through_outages(lambda work: self._claim(work, task_id))
        if claim is None:
            (self._instruments.refused if is_admitted else self._instruments.put_off).inc()
            return
        self._instruments.late.labels(claim.priority).observe(max(0.0, claim.late_seconds))
        with self._leases.hold(claim) as attempt:
            await self._perform(attempt)

    async def _claim(self, work: WorkRepository, task_id: str) -> tuple[bool, Claim | None]:
        """The task as it is claimed, and whether its kind had a place for it; without one it waits for its turn."""
        if not await work.has_place(task_id, self._limits):
            await work.put_off(task_id)
            return False, None
        return True, await work.claim(task_id, self._worker_id, self._settings.lease_seconds)

    async def _room(self) -> None:
        """Hold the message while the disk is nearly full: given back, it would come again and count as a delivery.

        Raises RetryLater when this worker shuts down.
        """
        while self._storage.is_full and self._accepting:  # noqa: ASYNC110 - either may end it
            await asyncio.sleep(_ROOM_SECONDS)
        if not self._accepting:
            raise RetryLater

    async def _perform(self, attempt: Attempt) -> None:
        claim, started = attempt.claim, time.perf_counter()
        with self._instruments.running.labels(claim.kind).track_inprogress(), _span_of(claim) as span:
            outcome = await self._outcome_of(attempt)
            if isinstance(outcome, Failure):
                span.fail(outcome.code)
            elif isinstance(outcome, Stop):
                span.fail(outcome.name.lower())
        status = await self._through_outages(lambda work: self._conclude(work, attempt, outcome))
        is_told = isinstance(outcome, Success) and outcome.told is not None
        sent = attempt.leaves_others_waiting or attempt.is_waited_for or claim.kind in self._limits
        if status is TaskStatus.QUEUED or sent or is_told:
            self._outbox.notify()
        seconds = time.perf_counter() - started
        name = "lost" if status is None else "retry" if status is TaskStatus.QUEUED else str(status)
        self._instruments.attempts.labels(claim.kind, name).observe(seconds)
        fields = {"task_id": claim.id, "kind": claim.kind, "attempt": claim.attempt, "outcome": name}
        if isinstance(outcome, Failure):
            fields["error_code"] = outcome.code
        _log.info("attempt ended", extra={"fields": {**fields, "ms": round(seconds * 1000, 2)}})
        if status in _IN_VAIN:
            await self._take_away(claim)

    async def _take_away(self, claim: Claim) -> None:
        """What the task left, as far as that can be done now; the attempt's own time may be over."""
        context = self._contexts.make(Attempt(replace(claim, timeout_seconds=_TAKING_AWAY_SECONDS)))
        try:
            async with asyncio.timeout(_TAKING_AWAY_SECONDS):
                await self._kinds.get(claim.kind).take_away(context, orjson.loads(claim.input))
        except Exception as error:  # noqa: BLE001 - the task has ended, however this does
            fields = {"task_id": claim.id, "kind": claim.kind, "cause": repr(error)}
            _log.warning("what a task left could not be taken away", extra={"fields": fields})

    async def _outcome_of(self, attempt: Attempt) -> Outcome:
        """Never raises: whatever a handler does has an outcome."""
        with deadlines.of_its_own(attempt.remaining_seconds):
            work = asyncio.create_task(self._execute(attempt), name=f"task:{attempt.claim.id}")
        self._watchdog.watch("attempt", attempt.remaining_seconds + _STOPPING_SECONDS, work)
        try:
            either: set[asyncio.Future[Any]] = {work, attempt.stopped}
            await asyncio.wait(either, timeout=attempt.remaining_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                attempt.stop(Stop.TIMED_OUT)
                work.cancel()
                await asyncio.wait({work}, timeout=_STOPPING_SECONDS)
        finally:
            work.cancel()
        reason = attempt.stop_reason
        if not work.done() or work.cancelled():
            return reason or noted_failure(attempt.claim, asyncio.CancelledError("the handler cancelled itself"))
        error = work.exception()
        if error is None:
            return work.result()
        if reason is not None:  # what it raised on being stopped says nothing
            return reason
        return noted_failure(attempt.claim, error)

    async def _execute(self, attempt: Attempt) -> Success:
        claim = attempt.claim
        try:
            kind = self._kinds.get(claim.kind)
        except KindUnknown as error:  # a newer API takes kinds that this worker does not know yet
            raise Unavailable("tasks", detail=f"No worker here knows {claim.kind!r}.") from error
        context = self._contexts.make(attempt)
        await context.token()  # whoever submitted it may still act: also where the kind needs no token
        given = orjson.loads(claim.input)
        result = await kind.execute(context, given)
        encoded = orjson.dumps(result)
        if len(encoded) > self._settings.max_result_bytes:
            detail = f"The result has {len(encoded)} bytes; {self._settings.max_result_bytes} are allowed."
            raise PermanentFailure("tasks.result_too_large", detail)
        return Success(encoded.decode(), kind.tells(given, result))

    async def _conclude(self, work: WorkRepository, attempt: Attempt, outcome: Outcome) -> TaskStatus | None:
        """Record how the attempt ended, and send what may begin now: the next of its owner, and what waited for it."""
        if part := attempt.log.unwritten():
            await work.write_log(attempt.claim.key, part)
        status = await self._record(work, attempt, outcome)
        if attempt.leaves_others_waiting:
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
            return await work.fail(attempt, failure, dead_letter=False)
        counts = not self._is_forgiven(attempt, failure)
        if counts and are_attempts_used_up(claim):
            return await work.fail(attempt, failure, dead_letter=True)
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

    async def _through_outages(self, statement: Callable[[WorkRepository], Awaitable[T]]) -> T:
        """The statement's answer, committed. Waits for a PostgreSQL that is away; raises RetryLater in the end."""
        began = time.monotonic()
        while True:
            try:
                async with self._database.transaction() as session:
                    return await statement(WorkRepository(session))
            except Unavailable as error:
                patience = _STORE_SECONDS if self._accepting else _CLOSING_SECONDS
                if time.monotonic() - began > patience:
                    raise RetryLater from error
                _log.warning("waiting for the database", extra={"fields": {"detail": error.detail}})
                await asyncio.sleep(random.uniform(0.2, 1.0))


def _span_of(claim: Claim) -> telemetry.Span:
    attributes: dict[str, telemetry.Value] = {
        conventions.TASK_ID: claim.id,
        conventions.TASK_KIND: claim.kind,
        conventions.TASK_ATTEMPT: claim.attempt,
    }
    return telemetry.span(f"task {claim.kind}", telemetry.SpanKind.INTERNAL, attributes)


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
