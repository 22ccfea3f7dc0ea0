"""The use cases of schedules: make, read, change, pause, resume, run now, delete."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson

from services.tasks.errors import EndsTooSoon
from services.tasks.events import Done, tell
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import IdempotencyKeyRow, Schedule, Task
from services.tasks.repository import TaskRepository
from services.tasks.rows import authority_of, checked_input, new_row, require_scopes
from services.tasks.schedules.clock import first_after
from services.tasks.schedules.repository import ScheduleRepository
from services.tasks.schedules.schemas import ScheduleCreate, ScheduleUpdate
from services.tasks.submissions import Submissions
from shared.door import Once
from shared.identity import Caller, deed
from shared.postgres import Database, EffectKey, IdempotencyKeys, Outbox
from shared.resources import CursorCodec, Slice, etag, require_match
from shared.schemas import new_id

_WHEN = frozenset({"cron", "time_zone", "ends_at"})
"""What decides when a schedule is due."""


class ScheduleService:
    """What a user may do with their own schedules; another's is not there.

    Whoever makes, changes or resumes one lends it the credential they come with: its tasks end with that.
    Every method that asks the store may raise Unavailable.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        submissions: Submissions,
        kinds: KindRegistry,
        cursors: CursorCodec,
        *,
        max_input_bytes: int,
    ) -> None:
        self._database, self._outbox, self._submissions = database, outbox, submissions
        self._kinds, self._cursors, self._max_input_bytes = kinds, cursors, max_input_bytes

    async def create(self, caller: Caller, body: ScheduleCreate, once: Once | None = None) -> Schedule:
        """The schedule; for a repetition of `once` the one that was made, as it is now.

        Raises KindUnknown, MissingScope, InputTooLarge, InputInvalid, CronInvalid, CronNever, TimeZoneUnknown,
        EndsTooSoon, TooManySchedules, IdempotencyKeyReused.
        """
        kind = self._kinds.get(body.kind)
        require_scopes(caller, kind.scopes)
        encoded = checked_input(kind, body.input, self._max_input_bytes)
        row = {
            **body.model_dump(),
            **authority_of(caller),
            "id": new_id(),
            "input": encoded,
            "next_at": await _next_at(body.cron, body.time_zone, body.ends_at),
            "version": 1,
            "created_at": datetime.now(UTC),
        }
        async with self._database.transaction() as session:
            schedules = ScheduleRepository(session, caller.tenant_id, caller.subject)
            if once is not None:
                wanted = EffectKey(once.digest, once.of, str(row["id"]))
                stored = (await IdempotencyKeys(session, IdempotencyKeyRow).take([wanted]))[once.digest]
                if stored != wanted:
                    once.found(stored.of)
                    return await schedules.get(stored.reference)
            await schedules.create(row)
            tell(self._outbox, session, deed(caller, Done.SCHEDULE_CREATED, str(row["id"])))
        self._outbox.notify()
        return Schedule(**row)

    async def get(self, caller: Caller, schedule_id: str) -> Schedule:
        """Raises ScheduleNotFound."""
        async with self._database.statements() as session:
            return await ScheduleRepository(session, caller.tenant_id, caller.subject).get(schedule_id)

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Schedule]:
        """Newest first. Raises Invalid for a cursor of another list."""
        async with self._database.statements() as session:
            return await self._cursors.slice(
                ScheduleRepository(session, caller.tenant_id, caller.subject).list_newest,
                key=lambda schedule: schedule.id,
                scope=["schedules", caller.tenant_id, caller.subject],
                limit=limit,
                cursor=cursor,
            )

    async def update(self, caller: Caller, schedule_id: str, body: ScheduleUpdate, if_match: str | None) -> Schedule:
        """With the caller's credential from now on. Raises as `create`, ScheduleNotFound, PreconditionFailed."""
        given = body.model_dump()

        async def change(schedule: Schedule) -> None:
            kind = self._kinds.get(schedule.kind)
            require_scopes(caller, kind.scopes)
            if "input" in given:
                given["input"] = checked_input(kind, given["input"], self._max_input_bytes)
            _set(schedule, given | authority_of(caller))
            if _WHEN & given.keys():
                schedule.next_at = await _next_at(schedule.cron, schedule.time_zone, schedule.ends_at)

        return await self._change(caller, schedule_id, if_match, Done.SCHEDULE_UPDATED, change)

    async def pause(self, caller: Caller, schedule_id: str, if_match: str | None) -> Schedule:
        """Paused; one that is, stays so. What it has made goes on. Raises ScheduleNotFound, PreconditionFailed."""

        async def change(schedule: Schedule) -> None:
            schedule.is_paused = True

        return await self._change(caller, schedule_id, if_match, Done.SCHEDULE_PAUSED, change)

    async def resume(self, caller: Caller, schedule_id: str, if_match: str | None) -> Schedule:
        """From now on, with the caller's credential; nothing is made up for.

        Raises ScheduleNotFound, PreconditionFailed, KindUnknown, MissingScope, InputInvalid, EndsTooSoon.
        """

        async def change(schedule: Schedule) -> None:
            kind = self._kinds.get(schedule.kind)
            require_scopes(caller, kind.scopes)
            checked_input(kind, orjson.loads(schedule.input), self._max_input_bytes)
            next_at = await _next_at(schedule.cron, schedule.time_zone, schedule.ends_at)
            no_error = {"is_paused": False, "error_code": None, "error_detail": None}
            _set(schedule, no_error | authority_of(caller) | {"next_at": next_at})

        return await self._change(caller, schedule_id, if_match, Done.SCHEDULE_RESUMED, change)

    async def _change(
        self, caller: Caller, schedule_id: str, if_match: str | None, done: Done, change: Any
    ) -> Schedule:
        async with self._database.transaction() as session:
            schedules = ScheduleRepository(session, caller.tenant_id, caller.subject)
            schedule = await schedules.get(schedule_id, locked=True)
            require_match(if_match, etag(schedule.version))
            await change(schedule)
            schedule.version += 1
            tell(self._outbox, session, deed(caller, done, schedule_id))
        self._outbox.notify()
        return schedule

    async def delete(self, caller: Caller, schedule_id: str, if_match: str | None) -> None:
        """What it has made stays and goes on. Raises ScheduleNotFound, PreconditionFailed."""
        async with self._database.transaction() as session:
            schedules = ScheduleRepository(session, caller.tenant_id, caller.subject)
            schedule = await schedules.get(schedule_id, locked=True)
            require_match(if_match, etag(schedule.version))
            await schedules.delete(schedule)
            tell(self._outbox, session, deed(caller, Done.SCHEDULE_DELETED, schedule_id))
        self._outbox.notify()

    async def run(self, caller: Caller, schedule_id: str, once: Once | None = None) -> Task:
        """A task of it now, whatever the clock says, with the caller's own credential.

        Raises ScheduleNotFound, KindUnknown, MissingScope, InputInvalid, IdempotencyKeyReused.
        """
        schedule = await self.get(caller, schedule_id)
        kind = self._kinds.get(schedule.kind)
        require_scopes(caller, kind.scopes)
        encoded = checked_input(kind, orjson.loads(schedule.input), self._max_input_bytes)
        made = {"input": encoded, "priority": schedule.priority, "schedule_id": schedule.id}
        row = new_row(kind, datetime.now(UTC), None, **authority_of(caller), **made)
        earlier = await self._submissions.write(row, (once.digest, once.of) if once else None)
        if once is None or earlier is None:
            return Task(**row)
        once.found(earlier.of)
        async with self._database.statements() as session:
            return await TaskRepository(session, caller.tenant_id, caller.subject).get(earlier.reference)

    async def list_runs(self, caller: Caller, schedule_id: str, limit: int, cursor: str | None) -> Slice[Task]:
        """The tasks it made, newest first. Raises ScheduleNotFound, Invalid for a cursor of another list."""
        await self.get(caller, schedule_id)
        async with self._database.session() as session:
            schedules = ScheduleRepository(session, caller.tenant_id, caller.subject)
            return await self._cursors.slice(
                lambda after, most: schedules.list_runs(schedule_id, after, most),
                key=lambda task: task.id,
                scope=["schedule runs", caller.tenant_id, caller.subject, schedule_id],
                limit=limit,
                cursor=cursor,
            )


def _set(schedule: Schedule, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(schedule, name, value)


async def _next_at(cron: str, time_zone: str, ends_at: datetime | None) -> datetime:
    """Raises CronInvalid, CronNever, TimeZoneUnknown, EndsTooSoon."""
    next_at = await asyncio.to_thread(first_after, cron, time_zone, datetime.now(UTC))
    if ends_at is not None and next_at > ends_at:
        raise EndsTooSoon
    return next_at
