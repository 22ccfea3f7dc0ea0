"""One statement for what many ask of the database at once, since a commit costs the same for one row as for many."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

_AT_ONCE: Final = 2  # one more than one: what comes alone while another commits has not to wait for it

Given = TypeVar("Given")
Answer = TypeVar("Answer")


class Gathering(Generic[Given, Answer]):
    """What comes while others are under way goes together with whatever else does, up to `most`.

    What comes alone goes at once. `do` answers in the order of what it is given.
    """

    def __init__(self, do: Callable[[Sequence[Given]], Awaitable[Sequence[Answer]]], most: int) -> None:
        self._do, self._most = do, most
        self._waiting: list[tuple[Given, asyncio.Future[Answer]]] = []
        self._under_way: set[asyncio.Task[None]] = set()  # which else nobody would hold
        self._going = 0  # counted down as one ends, and not after: who joins in between would wait for nobody

    async def join(self, given: Given) -> Answer:
        """What `do` answers to this; raises what it raises, as to all that went together.

        Who is cancelled meanwhile takes nobody along: what was asked may still be done.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((given, future))
        if self._going < _AT_ONCE:
            self._going += 1
            task = asyncio.create_task(self._go(), name="gathering")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return await future

    async def _go(self) -> None:
        """Until nothing waits."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer(batch)
        finally:
            self._going -= 1

    async def _answer(self, batch: Sequence[tuple[Given, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._do([given for given, _ in batch])
        except BaseException as error:
            self._fail(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    def _fail(self, batch: Sequence[tuple[Given, asyncio.Future[Answer]]], error: BaseException) -> None:
        for _, future in batch:
            if future.done():
                continue
            if isinstance(error, Exception):
                future.set_exception(error)
            else:
                future.cancel()
