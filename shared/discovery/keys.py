"""Follows what stands below one prefix in Consul's store of keys and values."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import httpx
from pydantic import BaseModel, Field, TypeAdapter

from shared.discovery.consul import CONSUL_ERRORS, ConsulClient, TokenRefused
from shared.loops import keep

_log = logging.getLogger("shared.discovery")
_BLOCKING_QUERY_SECONDS = 30.0
_ANSWER_SECONDS = 45.0
_RETRY_SECONDS = (0.5, 2.0)


class Kept(NamedTuple):
    """One key, without the prefix; `version` is another with each change."""

    name: str
    value: bytes
    version: int


class _Entry(BaseModel):
    key: str = Field(alias="Key")
    value: bytes | None = Field(alias="Value")
    version: int = Field(alias="ModifyIndex")


_ENTRIES = TypeAdapter(list[_Entry])


class ConsulKeys:
    """Hands on all keys below `prefix` whenever one of them changed.

    A Consul that is away changes nothing. Neither does one that knows none of them: it may have lost its store, or may
    not let us read. So whoever keeps keys there keeps one more, which stays when the last is deleted.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        prefix: str,
        take: Callable[[Sequence[Kept]], Awaitable[None]],
        token: str | None = None,
    ) -> None:
        self._consul = ConsulClient(url, client, token, _ANSWER_SECONDS)
        self._prefix, self._take = prefix, take
        self._index = 0
        self._trouble = ""

    async def run(self) -> None:
        """Never returns. What is wrong is logged when it begins, and tried again."""
        await keep(self._step, log=_log, every_seconds=1.0)

    async def _step(self) -> bool:
        try:
            return await self._follow_once()
        except (*CONSUL_ERRORS, OSError) as error:
            self._index = 0
            trouble = error.found if isinstance(error, TokenRefused) else "settings cannot be read from consul"
            if trouble != self._trouble:
                _log.warning(trouble, extra={"fields": {"prefix": self._prefix, "cause": repr(error)}})
            self._trouble = trouble
            await asyncio.sleep(random.uniform(*_RETRY_SECONDS))
            return True

    async def _follow_once(self) -> bool:
        started = time.monotonic()
        wait = f"{_BLOCKING_QUERY_SECONDS:.0f}s"
        said, found = await self._consul.kv.get(self._prefix, index=self._index, wait=wait, recurse=True)
        index = int(said)
        if found and index != self._index:
            entries = _ENTRIES.validate_python(found)
            await self._take(
                [Kept(one.key.removeprefix(self._prefix), one.value or b"", one.version) for one in entries]
            )
        unchanged, self._index = index == self._index, index if index >= self._index else 0
        self._trouble = ""
        return not unchanged or time.monotonic() - started >= 1
