"""From a ticket to the task's next state: a slot, claim, run, record; only then is its message acknowledged."""

import asyncio
import logging
import time
from dataclasses import replace
from typing import Any

import orjson

from services.tasks.domain import Claim, Failure, Priority, TaskStatus, Ticket
from services.tasks.errors import KindUnknown, PermanentFailure
from services.tasks.kinds.registry import KindRegistry
from services.tasks.settings import WorkerSettings
from services.tasks.worker.attempt import Attempt, Stop
from services.tasks.worker.claims import Claims
from services.tasks.worker.context import ContextFactory
from services.tasks.worker.failures import noted_failure
from services.tasks.worker.instruments import Instruments
from services.tasks.worker.kind_places import LeftOut
from services.tasks.worker.leases import Leases
from services.tasks.worker.outages import Outages
from services.tasks.worker.recording import Outcome, Recorder, Success
from services.tasks.worker.slots import Slot, Slots
from shared import deadlines, telemetry
from shared.errors import Unavailable
from shared.messages import RetryLater
from shared.storage import Storage
from shared.telemetry import conventions
from shared.watchdog import Watchdog

_log = logging.getLogger("tasks.worker")
_STOPPING_SECONDS = 0.5  # for a cancelled handler to clean up; a slower one goes on alone, fenced out
_ROOM_SECONDS = 0.5  # between two looks whether there is room again
_TAKING_AWAY_SECONDS = 20.0
_IN_VAIN = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})


class Runner:
    """Runs tasks; `run` may be told the same one again and again."""

    def __init__(
        self,
        *,
        outages: Outages,
        claims: Claims,
        recorder: Recorder,
        leases: Leases,
        kinds: KindRegistry,
        left_out: LeftOut,
        contexts: ContextFactory,
        instruments: Instruments,
        settings: WorkerSettings,
        watchdog: Watchdog,
        storage: Storage,
    ) -> None:
        self._outages, self._claims, self._recorder, self._leases = outages, claims, recorder, leases
        self._kinds, self._contexts, self._instruments = kinds, contexts, instruments
        self._left_out, self._storage, self._settings, self._watchdog = left_out, storage, settings, watchdog
        self._may_borrow = kinds.beyond_share
        self._slots = {priority: Slots(number) for priority, number in settings.slots.items()}

    def stop_accepting(self) -> None:
        """Put back what is not claimed yet; what runs goes on."""
        self._outages.is_closing = True

    def give_back_all(self) -> None:
        """Stop what runs and queue it for another worker."""
        self._leases.stop_all(Stop.SHUTDOWN)

    async def run(self, ticket: Ticket, priority: Priority) -> None:
        """Raises RetryLater while the task cannot be claimed or recorded.

        Where its owner has no place left it is put off, until one of theirs ends or for about a second.
        """
        await self._room()
        async with self._slots[priority].take(ticket, may_borrow=ticket.kind in self._may_borrow) as slot:
            if slot is None:
                self._left_out.note(ticket, priority)
                await self._outages.through(lambda work: work.put_off(ticket.task_id))
                self._instruments.put_off.inc()
            else:
                await self._run(ticket.task_id, slot)

    async def _run(self, task_id: str, slot: Slot) -> None:
        is_admitted, claim = await self._claims.claim(task_id)
        if claim is None or claim in self._leases:  # found by two messages about it
            (self._instruments.refused if is_admitted else self._instruments.put_off).inc()
            return
        if not claim.interruptions:  # one that gave its place to others could have begun before it did
            self._instruments.late.labels(claim.priority).observe(max(0.0, claim.late_seconds))
        with self._leases.hold(claim) as attempt:
            slot.when_called(lambda: attempt.stop(Stop.DISPLACED))
            await self._perform(attempt)

    async def _room(self) -> None:
        """Hold the message while the disk is nearly full: given back, it would come again and count as a delivery.

        Raises RetryLater when this worker shuts down.
        """
        while self._storage.is_full and not self._outages.is_closing:  # noqa: ASYNC110 - either may end it
            await asyncio.sleep(_ROOM_SECONDS)
        if self._outages.is_closing:
            raise RetryLater

    async def _perform(self, attempt: Attempt) -> None:
        claim, started = attempt.claim, time.perf_counter()
        with self._instruments.running.labels(claim.kind).track_inprogress(), _span_of(claim) as span:
            outcome = await self._outcome_of(attempt)
            if isinstance(outcome, Failure):
                span.fail(outcome.code)
            elif isinstance(outcome, Stop):
                span.fail(outcome.name.lower())
        status = await self._recorder.record(attempt, outcome)
        seconds = time.perf_counter() - started
        name = _told(outcome, status)
        self._instruments.attempts.labels(claim.kind, name).observe(seconds)
        fields = {"task_id": claim.id, "kind": claim.kind, "attempt": claim.attempt, "outcome": name}
        if isinstance(outcome, Failure):
            fields["error_code"] = outcome.code
        _log.info("attempt ended", extra={"fields": {**fields, "ms": round(seconds * 1000, 2)}})
        if status in _IN_VAIN or (status is None and await self._recorder.ended_in_vain(attempt)):
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


def _told(outcome: Outcome, status: TaskStatus | None) -> str:
    """How the attempt ended, as logs and metrics say it."""
    if status is TaskStatus.QUEUED:
        return "displaced" if outcome is Stop.DISPLACED else "retry"
    return "lost" if status is None else str(status)


def _span_of(claim: Claim) -> telemetry.Span:
    attributes: dict[str, telemetry.Value] = {
        conventions.TASK_ID: claim.id,
        conventions.TASK_KIND: claim.kind,
        conventions.TASK_ATTEMPT: claim.attempt,
    }
    return telemetry.span(f"task {claim.kind}", telemetry.SpanKind.INTERNAL, attributes)
