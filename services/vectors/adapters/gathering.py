"""What is asked while the same is being asked, is asked together when that has ended: nobody waits for a crowd."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_CROWD = 16
"""So many waiting are worth another call beside those under way; fewer are quicker done together."""


class Gathering(Generic[Question, Answer]):
    """Calls `ask` with one question, or with those that came meanwhile; its answers stand in their order.

    A call belongs to nobody: whoever leaves takes no answer from the others, and one that is under way ends.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]],
        *,
        most: Callable[[], int],
        calls: int,
    ) -> None:
        """Up to `most` questions in a call, and `calls` at once."""
        self._ask, self._most, self._calls = ask, most, calls
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._callers: set[asyncio.Task[None]] = set()  # which else nobody would hold
        self._calling = 0

    def __len__(self) -> int:
        """How many wait for a call."""
        return len(self._waiting)

    async def answer(self, question: Question) -> Answer:
        """Raises what `ask` raises for this question alone."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answered))
        if self._calling < (self._calls if len(self._waiting) >= _CROWD else 1):
            self._calling += 1
            caller = asyncio.get_running_loop().create_task(self._call(), context=contextvars.Context())
            self._callers.add(caller)
            caller.add_done_callback(self._callers.discard)
        return await answered

    async def _call(self) -> None:
        try:
            while together := self._next():
                await self._answer(together)
        finally:
            self._calling -= 1

    def _next(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        """Of those who still wait."""
        found: list[tuple[Question, asyncio.Future[Answer]]] = []
        most = self._most()
        while self._waiting and len(found) < most:
            one = self._waiting.popleft()
            if not one[1].done():
                found.append(one)
        return found

    async def _answer(self, together: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._ask([question for question, _ in together])
        except Exception as error:  # noqa: BLE001 - it is raised where the question was asked
            if len(together) > 1:  # each is told of its own failure, and of no other's
                for one in together:
                    await self._answer([one])
            elif not together[0][1].done():
                together[0][1].set_exception(error)
        except asyncio.CancelledError:
            for _, answered in together:
                answered.cancel()
            raise
        else:
            for (_, answered), answer in zip(together, answers, strict=True):
                if not answered.done():
                    answered.set_result(answer)
