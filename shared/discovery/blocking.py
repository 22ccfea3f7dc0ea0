"""A question to Consul that is asked again and again, each time waiting for another answer."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from shared.discovery.consul import CONSUL_ERRORS, TokenRefused
from shared.loops import keep

BLOCKING_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = BLOCKING_SECONDS * 17 / 16 + 5
"""Consul may answer a blocking query up to a sixteenth later than asked."""
_RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_log = logging.getLogger("shared.discovery")


class BlockingQuery:
    """Hands what `ask` finds on to `take`, and is never tired of a Consul that is away.

    `ask` is given the index after which it is to wait, and returns that of its answer beside the answer; `take` is told
    whether there is another index than before. `away` is logged, with `about`, when Consul does not answer any more.
    """

    def __init__(
        self,
        ask: Callable[[int], Awaitable[tuple[str, Any]]],
        take: Callable[[Any, bool], Awaitable[None]],
        *,
        away: str,
        about: Mapping[str, str],
    ) -> None:
        self._ask, self._take = ask, take
        self._away, self._about = away, about
        self._index = 0
        self._failures = 0
        self._trouble = ""
        self.answered = asyncio.Event()

    async def run(self) -> None:
        """Never returns. Consul being away, refusing us or saying nonsense is logged when it begins and tried again."""
        await keep(self._step, log=_log, every_seconds=1.0)

    async def _step(self) -> bool:
        try:
            return await self.follow_once()
        except (*CONSUL_ERRORS, OSError) as error:
            self._index = 0
            await self._back_off(error)
            return True

    async def follow_once(self) -> bool:
        """Ask once, blocking until something changed or the wait is over. Whether to ask again without a pause.

        Raises what `ask` and `take` raise.
        """
        started = time.monotonic()
        said, found = await self._ask(self._index)
        index = int(said)
        unchanged = index == self._index
        await self._take(found, not unchanged)
        # An index that went backwards means that Consul started anew: ask for the whole state again.
        self._index = index if index >= self._index else 0
        self._failures, self._trouble = 0, ""
        self.answered.set()
        return not unchanged or time.monotonic() - started >= 1  # else it does not block: not to be asked in a loop

    async def _back_off(self, error: Exception) -> None:
        trouble = error.found if isinstance(error, TokenRefused) else self._away
        if trouble != self._trouble:
            _log.warning(trouble, extra={"fields": {**self._about, "cause": repr(error)}})
        self._trouble = trouble
        ceiling = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        await asyncio.sleep(random.uniform(0.05, ceiling))
