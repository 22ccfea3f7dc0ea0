"""What an owner does with a run that was begun: look at it, follow it, cancel it — through any replica."""

from collections.abc import AsyncIterator
from contextlib import suppress

from services.chat.domain import Owner, Run
from services.chat.errors import EventUnknown, RunEnded, RunNotFound, StreamsFull
from services.chat.events import Done
from services.chat.runs.live import LiveRun
from services.chat.runs.queue import QueueRepository
from services.chat.runs.repository import UNENDED, RunRepository, Status
from services.chat.runs.stored import StoredRun
from services.chat.runs.supervisor import Supervisor
from services.chat.runs.tails import Tails
from shared.errors import Unavailable
from shared.identity import Authenticator, Caller, Tells
from shared.limits import Place, Shares
from shared.web import Listener


class RunControl:
    """The use cases of a run after it was begun."""

    def __init__(
        self,
        repository: RunRepository,
        queue: QueueRepository,
        supervisor: Supervisor,
        tails: Tails,
        auth: Tells,
        authenticator: Authenticator,
        *,
        heartbeat_seconds: float,
        max_streams: int,
    ) -> None:
        self._repository, self._queue, self._supervisor, self._tails = repository, queue, supervisor, tails
        self._auth, self._authenticator = auth, authenticator
        self._heartbeat_seconds = heartbeat_seconds
        self._streams = Shares("streams of events", max_streams)

    async def get(self, caller: Caller, run_id: str) -> Run:
        """The run as it is now; one whose process is gone has failed. Raises RunNotFound."""
        owner = Owner.of(caller)
        run = await self._repository.get(owner, run_id)
        if run.state.value in UNENDED and await self._is_over(owner, run):
            return await self._repository.get(owner, run_id)
        return run

    async def _is_over(self, owner: Owner, run: Run) -> bool:
        """Whether it has ended meanwhile, here and now if its process is gone. Without Redis' word it goes on."""
        live = self._supervisor.find(run.id)
        if live and not live.has_ended:  # its lease may have run out while Redis was away: it takes that again
            return False
        try:
            status = await self._repository.end_if_abandoned(owner, run.id, run.conversation_id)
        except Unavailable:
            return False
        return status not in UNENDED

    async def attach(
        self, caller: Caller, run_id: str, seen: int
    ) -> tuple[AsyncIterator[bytes], Place, Listener] | None:
        """Its events after number `seen`, the place that they hold and who hears them; None when there are no more.

        Raises RunNotFound, EventUnknown, ShareTaken, StreamsFull.
        """
        owner = Owner.of(caller)
        run = await self.get(caller, run_id)
        last = await self._repository.find_last_event(owner, run_id)
        if last is None:
            raise RunNotFound
        if seen > last.number:
            raise EventUnknown(seen)
        if seen and await self._repository.is_told(owner, run_id, seen):
            return None
        place = self._streams.take(owner.tenant_id, owner.user_id)
        if place is None:
            raise StreamsFull
        return self._frames(owner, run, seen), place, Listener(caller, self._authenticator)

    def _frames(self, owner: Owner, run: Run, seen: int) -> AsyncIterator[bytes]:
        live = self._supervisor.find(run.id)
        if live and not live.has_ended and live.begins_after <= seen:
            return live.follow(self._heartbeat_seconds, seen)
        stored = StoredRun(self._repository, self._tails, owner, run.id, run.conversation_id, seen=seen)
        return stored.follow(self._heartbeat_seconds, is_resumable=True)

    async def find(self, owner: Owner, run_id: str) -> LiveRun | StoredRun:
        """The run where it is executed, or as it lies in Redis. Raises RunNotFound."""
        conversation_id = await self._repository.find_conversation_of(owner, run_id)
        if conversation_id is None:
            raise RunNotFound
        live = self._supervisor.find(run_id)
        if live and not live.has_ended and not live.begins_after:
            return live
        return StoredRun(self._repository, self._tails, owner, run_id, conversation_id)

    async def find_conversation(self, caller: Caller, run_id: str) -> str | None:
        """The conversation of a run of the caller's own, None where there is no such run."""
        return await self._repository.find_conversation_of(Owner.of(caller), run_id.lower())

    async def cancel(self, caller: Caller, run_id: str) -> Run:
        """The run, which is cancelled: now, or earlier. Raises RunNotFound, RunEnded.

        When this returns the conversation takes the next message; whoever executes the run stops within a second, or
        with its next event, or when it renews its lease, whatever comes first. One that waits leaves the queue.
        """
        owner = Owner.of(caller)
        conversation_id = await self._repository.find_conversation_of(owner, run_id)
        if conversation_id is None:
            raise RunNotFound
        status, inbox = await self._end(owner, run_id, conversation_id)
        if status == "gone":
            raise RunNotFound
        if status != "cancelled":
            raise RunEnded(status)
        self._auth.tell(caller, Done.RUN_CANCELLED, run_id, once=run_id)
        await self._stop(run_id, inbox)
        return await self._repository.get(owner, run_id)

    async def _end(self, owner: Owner, run_id: str, conversation_id: str) -> tuple[Status, str]:
        """As RunRepository.cancel, also of a run that waits: its turn may come meanwhile, and does not go."""
        ended = await self._repository.cancel(owner, run_id, conversation_id)
        if ended[0] == "queued":
            ended = await self._queue.cancel(owner, run_id, conversation_id)
            if ended[0] in UNENDED:
                ended = await self._repository.cancel(owner, run_id, conversation_id)
        return ended

    async def _stop(self, run_id: str, inbox: str) -> None:
        if self._supervisor.find(run_id):
            self._supervisor.cancel(run_id)
        elif inbox:
            await self._tails.tell_cancelled(inbox, run_id)

    async def leave(self, owner: Owner, run_id: str, conversation_id: str) -> None:
        """End a run for which nobody waits any more, as `cancel` does; one that has ended is let be. Nothing is logged:
        it is nobody's deed. Raises Unavailable."""
        _, inbox = await self._end(owner, run_id, conversation_id)
        await self._stop(run_id, inbox)

    async def clear(self, caller: Caller, conversation_id: str) -> None:
        """Cancel what is being answered in the conversation, if anything is, and what waits behind it."""
        owner = Owner.of(caller)
        for run_id in reversed(await self._queue.list_waiting(owner, conversation_id)):
            await self._cancel_if_unended(caller, run_id)
        if active := await self._repository.find_active(owner, conversation_id):
            await self._cancel_if_unended(caller, active)

    async def _cancel_if_unended(self, caller: Caller, run_id: str) -> None:
        with suppress(RunNotFound, RunEnded):  # it has ended meanwhile
            await self.cancel(caller, run_id)
