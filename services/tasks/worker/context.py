"""What a handler is given: implements `kinds.kind.Context` for one attempt."""

from typing import Any, Protocol

import httpx

from services.tasks.domain import Claim, storable
from services.tasks.worker.attempt import Attempt, ProgressReport, Stop
from shared.calls import ServiceClient
from shared.errors import Unauthenticated, UpstreamTimeout

_MAX_MESSAGE_CHARS = 500
_MAX_COUNT = 2**53  # beyond it JavaScript rounds
_DEFAULT_CALL_SECONDS = 60.0


class Tokens(Protocol):
    """Where access tokens of submitting users come from."""

    async def get(self, claim: Claim) -> str:
        """Raises PermanentFailure when what the task was submitted with has ended, Unavailable."""

    def forget(self, claim: Claim) -> None:
        """Have the next `get` ask anew."""


class AttemptContext:
    """One attempt, as its handler sees it."""

    def __init__(self, attempt: Attempt, services: ServiceClient, tokens: Tokens) -> None:
        self._attempt, self._tokens = attempt, tokens
        self.services = services
        self.task_id = attempt.claim.id
        self.attempt = attempt.claim.attempt

    @property
    def cancelled(self) -> bool:
        return self._attempt.stopped.done()

    @property
    def was_cancelled(self) -> bool:
        return self._attempt.stop_reason is Stop.CANCELLED

    @property
    def remaining_seconds(self) -> float:
        return self._attempt.remaining_seconds

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        report = ProgressReport(
            done=_bounded(done),
            total=None if total is None else _bounded(total),
            message=None if message is None else storable(message, _MAX_MESSAGE_CHARS),
        )
        self._attempt.report(report)

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
        """A refused token is replaced once: auth may have rotated its keys."""
        for is_last in (False, True):
            seconds = min(timeout_seconds or _DEFAULT_CALL_SECONDS, self.remaining_seconds)
            if seconds <= 0:
                raise UpstreamTimeout(service)
            try:
                return await self.services.call(
                    service,
                    method,
                    path,
                    token=await self.token(),
                    json=json,
                    headers=headers,
                    timeout_seconds=seconds,
                    idempotent=idempotent,
                )
            except Unauthenticated:
                if is_last:
                    raise
                self._tokens.forget(self._attempt.claim)
        raise AssertionError("unreachable")


def _bounded(count: int) -> int:
    return max(0, min(count, _MAX_COUNT))


class ContextFactory:
    """Makes the context of each attempt."""

    def __init__(self, services: ServiceClient, tokens: Tokens) -> None:
        self._services, self._tokens = services, tokens

    def make(self, attempt: Attempt) -> AttemptContext:
        return AttemptContext(attempt, self._services, self._tokens)
