"""The one reading of Consul's answers: who the instances of a service are, for services and for the gateway alike."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx
from pydantic import BaseModel, Field, TypeAdapter

from shared.discovery.blocking import ANSWER_SECONDS, BLOCKING_SECONDS, BlockingQuery
from shared.discovery.consul import ConsulClient

_GRACE_SECONDS = 30.0


class Instance(NamedTuple):
    """Where one instance of a service listens."""

    address: str
    port: int


class _Node(BaseModel):
    address: str = Field(alias="Address")


class _Registered(BaseModel):
    address: str = Field(alias="Address")
    port: int = Field(alias="Port", ge=1, le=65535)


class _Entry(BaseModel):
    node: _Node = Field(alias="Node")
    registered: _Registered = Field(alias="Service")

    @property
    def instance(self) -> Instance:
        return Instance(self.registered.address or self.node.address, self.registered.port)


_ENTRIES = TypeAdapter(list[_Entry])


class ConsulWatch:
    """Follows one service by blocking queries, and hands on every list of its instances that it believes.

    A Consul that is away changes nothing. One that knows nobody, while somebody `is_known`, may have been restarted,
    and then knows nobody until all have registered again: it is believed after `grace_seconds` of that answer.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        service: str,
        take: Callable[[list[Instance]], Awaitable[None]],
        *,
        token: str | None = None,
        is_known: bool = False,
        grace_seconds: float = _GRACE_SECONDS,
    ) -> None:
        self._consul = ConsulClient(url, client, token, ANSWER_SECONDS)
        self._service, self._take = service, take
        self._is_known, self._grace_seconds = is_known, grace_seconds
        self._empty_since: float | None = None
        self._query = BlockingQuery(self._ask, self._consider, away="consul is away", about={"upstream": service})
        self.answered = self._query.answered

    async def run(self) -> None:
        """Never returns. Consul being away, refusing us or saying nonsense is logged when it begins and tried again."""
        await self._query.run()

    async def follow_once(self) -> bool:
        """As `BlockingQuery.follow_once`."""
        return await self._query.follow_once()

    async def _ask(self, index: int) -> Any:
        wait = f"{self._wait_seconds():.0f}s"
        return await self._consul.health.service(self._service, index=index, wait=wait, passing=True)

    def _wait_seconds(self) -> float:
        if self._empty_since is None:
            return BLOCKING_SECONDS
        return max(1.0, self._empty_since + self._grace_seconds - time.monotonic())

    async def _consider(self, nodes: Any, is_changed: bool) -> None:  # noqa: ARG002 - time alone changes what is believed
        instances = [entry.instance for entry in _ENTRIES.validate_python(nodes)]
        if self._is_known and not instances:
            self._empty_since = self._empty_since or time.monotonic()
            if time.monotonic() - self._empty_since < self._grace_seconds:
                return
        await self._take(instances)
        self._empty_since, self._is_known = None, bool(instances)
