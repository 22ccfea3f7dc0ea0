"""One request and what became of it: the word for every kind of answer, and a caller that repeats until it knows."""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

LONGEST_ANSWER_SECONDS: Final = 10.0
HUNG_SECONDS: Final = 60.0
# A caller tells what it did once it knows; after this it gives up, and what it asked for is neither kept nor lost.
PATIENCE_SECONDS: Final = 120.0
# What a caller is asked to repeat: the rest of the API's refusals would answer the same again.
_TRANSIENT_CODES: Final = frozenset({"common.idempotency_key_in_use", "chat.run_active", "chat.interrupted"})
_NEEDS_RETRY_AFTER: Final = frozenset({429, 503})
_DECLARED: Final = frozenset({429, 502, 503, 504, 507})


class Unanswered(Exception):
    """Refused, or cut off: whether it took effect is open, and the same request may be sent again."""


class GaveUp(Exception):
    """No decisive answer within the caller's patience."""


@dataclass
class Tally:
    """How every answer of a load was, and in what time."""

    clock: Callable[[], float] = time.monotonic
    """By which an answer is judged to be slow."""
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0

    def asked(self) -> Callable[[str], None]:
        """To be told, once the answer has begun, to what it is one."""
        began, judged_from = time.monotonic(), self.clock()

        def took(what: str) -> None:
            seconds = time.monotonic() - began
            self.longest_seconds = max(self.longest_seconds, seconds)
            if self.clock() - judged_from > LONGEST_ANSWER_SECONDS:
                self.slow.append(f"{what}: {seconds:.1f} s")

        return took

    def is_wrong(self, what: str) -> None:
        self.counts["wrong"] += 1
        self.wrong.append(what)


@dataclass
class Caller:
    """One user's requests through the gateway, all of them in one tally. Given no patience, it asks each thing once."""

    http: httpx.AsyncClient
    tally: Tally
    headers: dict[str, str] = field(default_factory=dict)
    patience_seconds: float = PATIENCE_SECONDS

    async def ask(self, method: str, path: str, *expected: int, **given: Any) -> httpx.Response:
        """The answer, with one of the statuses `expected`. Raises Unanswered; what is neither goes into the tally."""
        what, began, took = f"{method} {path}", time.monotonic(), self.tally.asked()
        headers = self.headers | given.pop("headers", {})
        try:
            answer = await self.http.request(method, path, headers=headers, **given)
        except httpx.HTTPError as error:
            raise self._without_answer(what, began, error) from error
        took(f"{what} {answer.status_code}")
        return self._judged(what, answer, expected)

    async def insist(self, method: str, path: str, *expected: int, **given: Any) -> httpx.Response:
        """The same, sent again after every answer that leaves it open. Raises Unanswered when asked once, or GaveUp."""
        give_up_at = time.monotonic() + self.patience_seconds
        while True:
            try:
                return await self.ask(method, path, *expected, **given)
            except Unanswered as error:
                await self.wait_a_moment(give_up_at, error)

    async def create(self, path: str, *expected: int, **given: Any) -> httpx.Response:
        """A POST under a key of its own, which has its effect once however often it is sent."""
        return await self.insist("POST", path, *expected, headers={"Idempotency-Key": secrets.token_hex(12)}, **given)

    async def wait_a_moment(self, give_up_at: float, because: Unanswered) -> None:
        """Before the same is sent again."""
        if not self.patience_seconds:
            raise because
        if time.monotonic() > give_up_at:
            raise GaveUp(str(because)) from because
        await asyncio.sleep(random.uniform(0.2, 0.5))

    @asynccontextmanager
    async def stream(self, path: str, key: str, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """An answer that is read as it comes; reading it may raise Unanswered too."""
        what, began, took = f"POST {path}", time.monotonic(), self.tally.asked()
        headers = self.headers | {"Idempotency-Key": key}
        try:
            async with self.http.stream("POST", path, headers=headers, json=body) as answer:
                took(f"{what} {answer.status_code}")
                if answer.status_code != 200:
                    await answer.aread()
                yield self._judged(what, answer, (200,))
        except httpx.HTTPError as error:
            raise self._without_answer(what, began, error) from error

    def wrong_unless(self, holds: bool, what: str) -> None:
        """An answer that came, and does not say what it should."""
        if not holds:
            self.tally.is_wrong(what)

    def _judged(self, what: str, answer: httpx.Response, expected: tuple[int, ...]) -> httpx.Response:
        if answer.status_code in expected:
            self.tally.counts["ok"] += 1
            return answer
        problem = _problem(answer)
        told = f"{what}: {answer.status_code} {problem.get('code')} {problem.get('detail')}"
        if not is_declared(answer.status_code, problem, "retry-after" in answer.headers):
            self.tally.is_wrong(f"{told} {problem.get('trace_id')} {problem.get('errors', '')}")
        self.tally.counts["refused"] += 1
        raise Unanswered(told)

    def _without_answer(self, what: str, began: float, error: httpx.HTTPError) -> Unanswered:
        told = f"{what}: {type(error).__name__} after {time.monotonic() - began:.1f} s"
        if isinstance(error, httpx.ReadTimeout):
            self.tally.hung.append(told)
        else:
            self.tally.counts["cut"] += 1
            self.tally.cut.append(told)
        return Unanswered(told)


def _problem(answer: httpx.Response) -> dict[str, Any]:
    if answer.headers.get("content-type") != "application/problem+json":
        return {"detail": answer.text[:200]}
    return dict(answer.json())


def is_declared(status: int, problem: dict[str, Any], has_retry_after: bool) -> bool:
    """Whether a caller may read from it that it should try again."""
    if problem.get("code") in _TRANSIENT_CODES:
        return True
    return bool(status in _DECLARED and problem.get("code") and (has_retry_after or status not in _NEEDS_RETRY_AFTER))
