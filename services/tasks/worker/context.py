"""What a handler is given: implements `kinds.kind.Context` for one attempt."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx

from services.tasks.domain import Claim, LogLevel, Ticket, storable
from services.tasks.filters import TaskFilter
from services.tasks.worker.attempt import Attempt, ProgressReport
from services.tasks.worker.files import FileForm, written
from services.tasks.worker.holds import Holds
from services.tasks.worker.replaying import Replaying
from shared.calls import ServiceClient
from shared.errors import Unauthenticated, UpstreamTimeout

_MAX_MESSAGE_CHARS = 500
_MAX_COUNT = 2**53  # beyond it JavaScript rounds
_DEFAULT_CALL_SECONDS = 60.0
_FILES = "vectors"  # the service that keeps the files which tasks read
T = TypeVar("T")


class Tokens(Protocol):
    """Where access tokens of submitting users come from."""

    async def get(self, claim: Claim) -> str:
        """Raises PermanentFailure when what the task was submitted with has ended, Unavailable."""

    def forget(self, claim: Claim) -> None:
        """Have the next `get` ask anew."""


class AttemptContext:
    """One attempt, as its handler sees it."""

    def __init__(
        self, attempt: Attempt, services: ServiceClient, tokens: Tokens, holds: Holds, replaying: Replaying
    ) -> None:
        self._attempt, self._tokens, self._holds, self._replaying = attempt, tokens, holds, replaying
        self.services = services
        self.task_id = attempt.claim.id
        self.attempt = attempt.claim.attempt

    @property
    def cancelled(self) -> bool:
        return self._attempt.stopped.done()

    @property
    def remaining_seconds(self) -> float:
        return self._attempt.remaining_seconds

    @property
    def ticket(self) -> Ticket:
        return self._attempt.claim.ticket

    @property
    def done_before(self) -> int:
        return self._attempt.claim.progress_done

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        report = ProgressReport(
            done=_bounded(done),
            total=None if total is None else _bounded(total),
            message=None if message is None else storable(message, _MAX_MESSAGE_CHARS),
        )
        self._attempt.report(report)

    def log(self, message: str, *, level: LogLevel = LogLevel.INFO) -> None:
        self._attempt.log.add(message, level)

    def holding(self, names: Sequence[str]) -> AbstractAsyncContextManager[None]:
        return self._holds.holding(self._attempt.claim, names)

    async def has_ended(self, task_id: str) -> bool:
        return await self._holds.has_ended(self._attempt.claim.tenant_id, task_id)

    async def failed_tasks(self, wanted: TaskFilter, *, after: str | None, limit: int) -> list[str]:
        return await self._replaying.failed_tasks(self._attempt.claim, wanted, after=after, limit=limit)

    async def replay(self, task_id: str) -> str:
        return await self._replaying.replay(self._attempt.claim, task_id)

    async def token(self) -> str:
        return await self._tokens.get(self._attempt.claim)

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
        async def send(token: str) -> httpx.Response:
            return await self.services.call(
                service,
                method,
                path,
                token=token,
                json=json,
                headers=headers,
                timeout_seconds=self._seconds(service, timeout_seconds or _DEFAULT_CALL_SECONDS),
                idempotent=idempotent,
            )

        return await self._with_token(send)

    async def download(self, path: str, to: Path, *, most_bytes: int) -> int:
        async def receive(token: str) -> int:
            seconds = self._seconds(_FILES, self.remaining_seconds)
            async with self.services.stream(_FILES, path, token=token, timeout_seconds=seconds) as pieces:
                return await written(pieces, to, most_bytes=most_bytes)

        return await self._with_token(receive)

    async def upload(self, path: str, name: str, source: Path, media_type: str) -> dict[str, Any]:
        form = await asyncio.to_thread(FileForm, name, source, media_type)

        async def send(token: str) -> httpx.Response:
            seconds = self._seconds(_FILES, self.remaining_seconds)
            return await self.services.call(
                _FILES, "POST", path, token=token, content=form, headers=form.headers, timeout_seconds=seconds
            )

        made: dict[str, Any] = (await self._with_token(send)).json()
        return made

    def _seconds(self, service: str, wanted: float) -> float:
        """What is left for a call. Raises UpstreamTimeout when that is nothing."""
        seconds = min(wanted, self.remaining_seconds)
        if seconds <= 0:
            raise UpstreamTimeout(service)
        return seconds

    async def _with_token(self, call: Callable[[str], Awaitable[T]]) -> T:
        """A refused token is replaced once: auth may have rotated its keys."""
        try:
            return await call(await self.token())
        except Unauthenticated:
            self._tokens.forget(self._attempt.claim)
            return await call(await self.token())


def _bounded(count: int) -> int:
    return max(0, min(count, _MAX_COUNT))


class ContextFactory:
    """Makes the context of each attempt."""

    def __init__(self, services: ServiceClient, tokens: Tokens, holds: Holds, replaying: Replaying) -> None:
        self._services, self._tokens, self._holds, self._replaying = services, tokens, holds, replaying

    def make(self, attempt: Attempt) -> AttemptContext:
        return AttemptContext(attempt, self._services, self._tokens, self._holds, self._replaying)
