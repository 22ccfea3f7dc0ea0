"""The kinds of work of the load: each does a turn again and again, knows what it was told, and reads it back."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, Final

from tests.faults.answers import Caller
from tests.faults.ledger import Findings

API: Final = "/api/v1"


class Trade(ABC):
    """Work of one user, one request after the other."""

    def __init__(self, caller: Caller, mark: str) -> None:
        self.caller, self.mark = caller, mark
        self._numbers = itertools.count(1)

    def next_mark(self) -> str:
        """A name that nothing else of the whole run has."""
        return f"{self.mark}-{next(self._numbers)}"

    async def prepare(self) -> None:  # noqa: B027 - most need nothing
        """What the first turn needs; while everything works."""

    @abstractmethod
    async def turn(self) -> None:
        """A few requests. Raises Unanswered or GaveUp, after which another turn may be begun."""

    @abstractmethod
    async def read_back(self) -> Findings:
        """Everything that was acknowledged, read again; while everything works."""


async def pages(caller: Caller, path: str, **query: Any) -> AsyncIterator[dict[str, Any]]:
    """All items of a list."""
    cursor: dict[str, str] = {}
    while True:
        page = (await caller.insist("GET", path, 200, params={"limit": 100, **query, **cursor})).json()
        for item in page["items"]:
            yield item
        if not page["next_cursor"]:
            return
        cursor = {"cursor": page["next_cursor"]}
