"""Follows services in Consul."""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any

import httpx

from shared.discovery.balancer import Balancer
from shared.discovery.consul import CONSUL_ERRORS, ConsulClient
from shared.errors import Unavailable

_log = logging.getLogger("shared.discovery")
_FIRST_ANSWER_SECONDS = 2.0
_BLOCKING_QUERY_SECONDS = 30


class ConsulDiscovery:
    """Follows services in Consul; when Consul is away the last known addresses go on serving."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._consul = ConsulClient(url, client)
        self._blocking = ConsulClient(url, client, _BLOCKING_QUERY_SECONDS + 5)
        self._balancers: dict[str, Balancer] = {}
        self._answered: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def choose(self, service: str) -> str:
        balancer = await self._followed(service)
        address = balancer.choose()
        if address is None:
            raise Unavailable(service)
        return address

    def eject(self, service: str, address: str) -> None:
        if service in self._balancers:
            self._balancers[service].eject(address)

    async def instances(self, service: str) -> list[str]:
        return (await self._followed(service)).addresses

    async def _followed(self, service: str) -> Balancer:
        if service not in self._tasks:
            self._balancers[service] = Balancer()
            self._answered[service] = asyncio.Event()
            self._tasks[service] = asyncio.create_task(self._follow(service), name=f"consul:{service}")
        if not self._answered[service].is_set():
            try:
                async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
                    await self._answered[service].wait()
            except TimeoutError as error:
                raise Unavailable(service) from error
        return self._balancers[service]

    async def _follow(self, service: str) -> None:
        index: str | None = None
        while True:
            try:
                index, nodes = await self._blocking.health.service(
                    service, index=index, wait=f"{_BLOCKING_QUERY_SECONDS}s", passing=True
                )
            except CONSUL_ERRORS as error:
                _log.warning("consul is away", extra={"fields": {"service": service, "cause": repr(error)}})
                index = None
                await asyncio.sleep(random.uniform(0.5, 1.5))
                continue
            self._balancers[service].replace([_base_url(node) for node in nodes])
            self._answered[service].set()

    async def ping(self) -> None:
        """Raises an error when Consul has no leader or does not answer."""
        if not await self._consul.status.leader():
            raise Unavailable("consul")

    async def aclose(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _base_url(node: Mapping[str, Any]) -> str:
    return f"http://{node['Service']['Address'] or node['Node']['Address']}:{node['Service']['Port']}"
