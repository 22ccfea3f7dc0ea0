"""What a kind of task is, and what its handler is given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import httpx
from pydantic import BaseModel

from services.tasks.domain import LogLevel, Ticket
from services.tasks.events import Told
from services.tasks.filters import TaskFilter
from shared.calls import ServiceClient

Input = TypeVar("Input", bound=BaseModel)
Result = dict[str, Any]


class Context(Protocol):
    """The running attempt, as its handler sees it.

    A handler may run more than once for one task, so its effects must bear repetition; `task_id` is the same each time.
    It is cancelled at its next `await` when the task is cancelled, times out, or was taken over by another worker.
    """

    task_id: str
    attempt: int
    services: ServiceClient

    @property
    def cancelled(self) -> bool:
        """Whether to stop: for handlers that compute without awaiting."""

    @property
    def remaining_seconds(self) -> float:
        """Until this attempt times out."""

    @property
    def ticket(self) -> Ticket:
        """Whose task it is."""

    @property
    def done_before(self) -> int:
        """The progress that the attempt before had said last; 0 for the first."""

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        """Say how far the work has come. Cheap: written at most once a heartbeat, the last word wins."""

    def log(self, message: str, *, level: LogLevel = LogLevel.INFO) -> None:
        """Write a line into the task's log, which its user reads: no secret, nothing of how we work inside.

        Cheap: written with the next heartbeat, or the end. A task keeps its first 1,000 lines of 2,000 characters.
        """

    async def token(self) -> str:
        """An access token of the submitting user, with no more scopes than they had when submitting.

        Raises PermanentFailure when what the task was submitted with has ended, Unavailable when auth cannot be
        reached.
        """

    def holding(self, names: Sequence[str]) -> AbstractAsyncContextManager[None]:
        """Have `names` to this task alone through the block, of all of its tenant.

        Raises DocumentInUse while another task has one of them, Unavailable. One that was broken off in the middle
        keeps its names for as long as what it had asked for may still be done.
        """

    async def has_ended(self, task_id: str) -> bool:
        """Whether that is a task of the same tenant which nobody will go on with. Raises Unavailable."""

    async def failed_tasks(self, wanted: TaskFilter, *, after: str | None, limit: int) -> list[str]:
        """Ids of tasks that the submitting user sees, younger than `after`, oldest first. Raises Unavailable.

        None of them was submitted after this task was.
        """

    async def replay(self, task_id: str) -> str:
        """The id of the new task that a failed one is replayed as, for the submitting user.

        Raises TaskNotFound, TaskNotFailed, TaskSettled, KindUnknown, MissingScope, Unavailable.
        """

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: dict[str, str] | None = None,
        timeout_seconds: float | None = None,
        idempotent: bool | None = None,
    ) -> httpx.Response:
        """Call a service as the submitting user; never waits past the attempt's timeout. Raises as ServiceClient."""

    async def download(self, path: str, to: Path, *, most_bytes: int) -> int:
        """Write what `vectors` answers to a GET of `path` into the file `to`, as it comes; the number of its bytes.

        Raises as `call`, Unavailable also for what breaks off, PermanentFailure (`tasks.file_too_large`) beyond
        `most_bytes`, and StorageFull for a full disk. What it raises leaves a part in `to`, which is the caller's to
        take away.
        """

    async def upload(self, path: str, name: str, source: Path, media_type: str) -> dict[str, Any]:
        """Send the file `source` to `vectors` as the field `file` of a form, as it is read; the JSON of the answer.

        A repetition makes another file. Raises as `call`, UpstreamTimeout when it takes what is left of the attempt.
        """


@dataclass(frozen=True)
class Kind(Generic[Input]):
    """A kind of task.

    `scopes` are demanded of the submitting caller beside `tasks:write`. The handler raises PermanentFailure when trying
    again cannot help; what else it raises is tried again, but for 4xx answers of other services.

    `give_up` takes away what a task left that ended without success, once that is recorded. It may be missed, as when
    its worker is killed, and what it raises is logged only: so what was left bears its task's id, for the next task
    that meets it, or for a person.
    `retry` is how its tasks are tried again that want nothing else, by the names of `RetryPolicy`; what it
    leaves out is the installation's.
    `retention_days` is how long its tasks are kept after their end, where the operator says nothing of it; the
    installation's when absent.
    `at_once` is how many of its tasks run at once, in all workers together; as many as there is room for when absent.
    `beyond_share` says that its tasks may run beyond their owner's share of a worker's slots while others need none. It
    is for what waits for something outside, and stands being broken off for others; what works on this machine would be
    slower by it, and meet its timeout.
    `told` is what a success is to be told of for the audit log, in the transaction that records it.
    """

    name: str
    description: str
    input_model: type[Input]
    run: Callable[[Context, Input], Awaitable[Result]] = field(repr=False)
    scopes: tuple[str, ...] = ()
    max_attempts: int = 3
    timeout_seconds: float = 300
    retry: Mapping[str, Any] | None = None
    retention_days: float | None = None
    at_once: int | None = None
    beyond_share: bool = False
    give_up: Callable[[Context, Input], Awaitable[None]] | None = field(default=None, repr=False)
    told: Callable[[Input, Result], Told] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError for a kind of which none could ever run."""
        if self.at_once is not None and self.at_once < 1:
            raise ValueError(f"{self.name}: at_once is at least 1")

    async def execute(self, context: Context, raw: dict[str, Any]) -> Result:
        """Run the handler on `raw`. Raises pydantic.ValidationError when the input no longer fits the model."""
        return await self.run(context, self.input_model.model_validate(raw))

    async def take_away(self, context: Context, raw: dict[str, Any]) -> None:
        """Have `give_up` do what it does, where there is one. Raises as `execute`."""
        if self.give_up is not None:
            await self.give_up(context, self.input_model.model_validate(raw))

    def tells(self, raw: dict[str, Any], result: Result) -> Told | None:
        """What `told` says of a success."""
        return None if self.told is None else self.told(self.input_model.model_validate(raw), result)
