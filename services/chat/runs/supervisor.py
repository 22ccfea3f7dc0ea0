"""Owns the tasks that execute runs: how many there may be, which are here, and their end when the process stops."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from services.chat.domain import Owner
from services.chat.errors import Interrupted, Overloaded, RunCancelled
from services.chat.runs.events import failed
from services.chat.runs.journal import STORE_SECONDS
from services.chat.runs.live import LiveRun
from services.chat.settings import Settings
from shared import deadlines
from shared.ending import end
from shared.health import Health
from shared.limits import Place, Shares, ShareTaken
from shared.loops import in_background
from shared.watchdog import Watchdog

_CLOSE_SECONDS = 5.0
_DRAIN_CHECK_SECONDS = 0.25
_LAST_EVENT_SECONDS = 1.0  # for the final events to reach the clients before their connections are cut


@asynccontextmanager
async def open_supervisor(settings: Settings, health: Health, watchdog: Watchdog) -> AsyncIterator["Supervisor"]:
    """A supervisor whose runs have all ended when the block has."""
    supervisor = Supervisor(settings.max_runs, settings.run_seconds, watchdog, max_waiting=settings.max_waiting)
    try:
        async with in_background(supervisor.drain(health, settings.shutdown_seconds)):
            yield supervisor
    finally:
        await supervisor.aclose()


class Admission:
    """A place for one run: for its answer, or among those that wait for their turn, and then one for its answer."""

    def __init__(self, supervisor: "Supervisor", owner: Owner) -> None:
        self._supervisor, self._owner = supervisor, owner
        self._answer: Place | None = None
        self._wait: Place | None = None
        self.is_used = False

    @property
    def is_waiting(self) -> bool:
        """Whether it has no place for its answer."""
        return self._answer is None

    def answer(self) -> None:
        """Take a place for the answer. Raises ShareTaken, Overloaded."""
        self._answer = self._supervisor.place_of(self._supervisor.answers, self._owner)

    def wait(self) -> None:
        """Take a place among those that wait instead: whoever waits keeps nobody from being answered.

        Raises ShareTaken, Overloaded.
        """
        if self._wait is None:
            self._wait = self._supervisor.place_of(self._supervisor.waiting, self._owner)
        self.stand_back()

    def steps_up(self) -> bool:
        """Whether there is a place for the answer, now that its turn may have come."""
        try:
            self.answer()
        except (ShareTaken, Overloaded):
            return False
        return True

    def stand_back(self) -> None:
        """Its turn has not come."""
        if self._answer:
            self._answer.give_back()
        self._answer = None

    def begins(self) -> None:
        """It waits no longer."""
        if self._wait:
            self._wait.give_back()
        self._wait = None

    def give_back(self) -> None:
        """All that it holds."""
        self.stand_back()
        self.begins()

    def launch(self, live: LiveRun, work: Coroutine[Any, Any, None], *, waits_seconds: float = 0.0) -> None:
        """Execute `work` in a task of its own; it may wait for its turn before it takes the time of a run."""
        self.is_used = True
        self._supervisor.execute(live, work, self, waits_seconds)


class Supervisor:
    """The runs of this process."""

    def __init__(self, max_runs: int, run_seconds: float, watchdog: Watchdog, *, max_waiting: int = 1) -> None:
        self._run_seconds, self._watchdog = run_seconds, watchdog
        self.answers = Shares("answers", max_runs)
        self.waiting = Shares("waiting messages", max_waiting)
        self._runs: dict[str, tuple[LiveRun, asyncio.Task[None]]] = {}
        self.ended = asyncio.Event()
        """Set with each run that ends here; whoever waits for it clears it."""

    def __len__(self) -> int:
        return len(self._runs)

    @contextmanager
    def admission(self, owner: Owner, *, may_wait: bool = False) -> Iterator[Admission]:
        """A place for an answer, given back at the end of the block unless a run was launched. Where there is none, and
        it `may_wait`, one among those that wait. Raises ShareTaken, Overloaded.
        """
        admission = Admission(self, owner)
        if not (may_wait and admission.steps_up()):
            (admission.wait if may_wait else admission.answer)()
        try:
            yield admission
        finally:
            if not admission.is_used:
                admission.give_back()

    def place_of(self, shares: Shares, owner: Owner) -> Place:
        """One of the owner's. Raises ShareTaken, Overloaded."""
        place = shares.take(owner.tenant_id, owner.user_id)
        if place is None:
            raise Overloaded
        return place

    def execute(
        self, live: LiveRun, work: Coroutine[Any, Any, None], admission: Admission, waits_seconds: float = 0.0
    ) -> None:
        seconds = waits_seconds + self._run_seconds
        with deadlines.of_its_own(seconds):  # it goes on, whoever listens
            task = asyncio.create_task(work, name=f"run:{live.id}")
        ends = STORE_SECONDS * (2 if waits_seconds else 1)
        self._watchdog.watch("run", seconds + ends, task)
        self._runs[live.id] = (live, task)
        task.add_done_callback(lambda _: self._forget(live, admission))

    def _forget(self, live: LiveRun, admission: Admission) -> None:
        admission.give_back()
        self.ended.set()
        if (entry := self._runs.get(live.id)) and entry[0] is live:  # it may have come back here meanwhile
            del self._runs[live.id]
        if not live.has_ended:  # cancelled with the loop it ran in: nobody else tells its followers
            error = Interrupted()
            live.end(error, failed(live.next_number, error))

    def find(self, run_id: str) -> LiveRun | None:
        """The run if it is executed here and now."""
        entry = self._runs.get(run_id)
        return entry[0] if entry else None

    def cancel(self, run_id: str) -> None:
        """Stop working on the run, if it is executed here: somebody has cancelled it."""
        if live := self.find(run_id):
            live.abort(RunCancelled())

    async def drain(self, health: Health, shutdown_seconds: float) -> None:
        """When the instance leaves the balancers, let runs finish; interrupt what is left while it can be told."""
        while not health.draining:  # noqa: ASYNC110 - a flag of the machinery, without an event to wait for
            await asyncio.sleep(_DRAIN_CHECK_SECONDS)
        await asyncio.sleep(max(0.0, shutdown_seconds - _LAST_EVENT_SECONDS))
        self.interrupt_all()

    def interrupt_all(self) -> None:
        """Have every run end with `run.failed`, code chat.interrupted."""
        for live, _ in self._runs.values():
            live.abort(Interrupted())

    async def aclose(self) -> None:
        """Interrupt what is left, give it a few seconds to tell its followers, and end what does not."""
        tasks = [task for _, task in self._runs.values()]
        self.interrupt_all()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
            await end(*tasks)
