"""Follows what stands below one prefix in Consul's store of keys and values."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import httpx
from pydantic import BaseModel, Field, TypeAdapter

from shared.discovery.blocking import ANSWER_SECONDS, BLOCKING_SECONDS, BlockingQuery
from shared.discovery.consul import ConsulClient


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
    """Hands on all keys below `prefix` whenever one of them changed, and again with each answer that says the same.

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
        self._consul = ConsulClient(url, client, token, ANSWER_SECONDS)
        self._prefix, self._take = prefix, take
        self._query = BlockingQuery(
            self._ask, self._consider, away="settings cannot be read from consul", about={"prefix": prefix}
        )

    async def run(self) -> None:
        """Never returns. What is wrong is logged when it begins, and tried again."""
        await self._query.run()

    async def follow_once(self) -> bool:
        """As `BlockingQuery.follow_once`."""
        return await self._query.follow_once()

    async def _ask(self, index: int) -> Any:
        return await self._consul.kv.get(self._prefix, index=index, wait=f"{BLOCKING_SECONDS:.0f}s", recurse=True)

    async def _consider(self, found: Any, _is_changed: bool) -> None:
        if not found:
            return
        entries = _ENTRIES.validate_python(found)
        await self._take([Kept(one.key.removeprefix(self._prefix), one.value or b"", one.version) for one in entries])
