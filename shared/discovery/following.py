"""Finds services in Consul."""

import asyncio

import httpx

from shared.discovery.balancer import Balancer
from shared.discovery.consul import ConsulClient, TokenRefused
from shared.discovery.ports import Scheme
from shared.discovery.watching import ConsulWatch, Instance
from shared.ending import end
from shared.errors import Unavailable

_FIRST_ANSWER_SECONDS = 2.0


class ConsulDiscovery:
    """Follows in Consul each service that was asked for once.

    The last known addresses go on serving while Consul is away and while it starts anew. Callers of a service that
    nobody offers any more, by a Consul that has said so for half a minute, get Unavailable at once.
    """

    def __init__(
        self, url: str, client: httpx.AsyncClient, token: str | None = None, *, scheme: Scheme = "http"
    ) -> None:
        self._url, self._client, self._token, self._scheme = url, client, token, scheme
        self._consul = ConsulClient(url, client, token)
        self._followed: dict[str, _Followed] = {}

    async def choose(self, service: str) -> str:
        address = (await self._balancer(service)).choose()
        if address is None:
            raise Unavailable(service)
        return address

    def eject(self, service: str, address: str) -> None:
        if service in self._followed:
            self._followed[service].balancer.eject(address)

    async def instances(self, service: str) -> list[str]:
        return (await self._balancer(service)).addresses

    async def _balancer(self, service: str) -> Balancer:
        if service not in self._followed:
            self._followed[service] = followed = _Followed(self._scheme)
            followed.follow(ConsulWatch(self._url, self._client, service, followed.take, token=self._token), service)
        followed = self._followed[service]
        if not followed.watch.answered.is_set():
            try:
                async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
                    await followed.watch.answered.wait()
            except TimeoutError as error:
                raise Unavailable(service) from error
        return followed.balancer

    async def ping(self) -> None:
        """Raises an error when Consul has no leader, does not answer, or does not let us see who is there.

        Where it asks for no token, this asks the same. TokenRefused says that it is ours which is wrong.
        """
        _, servers = await self._consul.health.service("consul")
        if not servers:  # to a token that may not read, everything is there and empty
            raise TokenRefused(self._token, "it shows nothing")

    async def aclose(self) -> None:
        await end(*(followed.task for followed in self._followed.values()))


class _Followed:
    """One service: its addresses, and what keeps them current."""

    watch: ConsulWatch
    task: asyncio.Task[None]

    def __init__(self, scheme: Scheme) -> None:
        self.balancer, self._scheme = Balancer(), scheme

    def follow(self, watch: ConsulWatch, service: str) -> None:
        """From now on, by `watch`, which hands on to `take`."""
        self.watch = watch
        self.task = asyncio.create_task(watch.run(), name=f"consul:{service}")

    async def take(self, instances: list[Instance]) -> None:
        self.balancer.replace([f"{self._scheme}://{instance.address}:{instance.port}" for instance in instances])
