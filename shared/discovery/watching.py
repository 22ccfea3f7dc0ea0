"""The one reading of Consul's answers: who the instances of a service are, for services and for the gateway alike."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import httpx
from pydantic import BaseModel, Field, TypeAdapter

from shared.discovery.consul import CONSUL_ERRORS, ConsulClient, TokenRefused
from shared.loops import keep

_log = logging.getLogger("shared.discovery")
_BLOCKING_QUERY_SECONDS = 30.0
# Consul may answer a blocking query up to a sixteenth later than asked.
_ANSWER_SECONDS = _BLOCKING_QUERY_SECONDS * 17 / 16 + 5
_GRACE_SECONDS = 30.0
_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


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
        self._consul = ConsulClient(url, client, token, _ANSWER_SECONDS)
        self._service, self._take = service, take
        self._is_known, self._grace_seconds = is_known, grace_seconds
        self._empty_since: float | None = None
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

        Raises what Consul's client or `take` raises.
        """
        started = time.monotonic()
        wait = f"{self._wait_seconds():.0f}s"
        said, nodes = await self._consul.health.service(self._service, index=self._index, wait=wait, passing=True)
        index = int(said)
        await self._consider([entry.instance for entry in _ENTRIES.validate_python(nodes)])
        # An index that went backwards means that Consul started anew: ask for the whole state again.
        unchanged, self._index = index == self._index, index if index >= self._index else 0
        self._failures, self._trouble = 0, ""
        self.answered.set()
        return not unchanged or time.monotonic() - started >= 1  # else it does not block: not to be asked in a loop

    def _wait_seconds(self) -> float:
        if self._empty_since is None:
            return _BLOCKING_QUERY_SECONDS
        return max(1.0, self._empty_since + self._grace_seconds - time.monotonic())

    async def _consider(self, instances: list[Instance]) -> None:
        if self._is_known and not instances:
            self._empty_since = self._empty_since or time.monotonic()
            if time.monotonic() - self._empty_since < self._grace_seconds:
                return
        await self._take(instances)
        self._empty_since, self._is_known = None, bool(instances)

    async def _back_off(self, error: Exception) -> None:
        trouble = error.found if isinstance(error, TokenRefused) else "consul is away"
        if trouble != self._trouble:
            _log.warning(trouble, extra={"fields": {"upstream": self._service, "cause": repr(error)}})
        self._trouble = trouble
        ceiling = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        await asyncio.sleep(random.uniform(0.05, ceiling))
