"""Services at fixed addresses."""

from collections.abc import Mapping

from shared.discovery.balancer import Balancer
from shared.errors import Unavailable


class StaticDiscovery:
    """Fixed addresses: for tests, and for machines without Consul."""

    def __init__(self, services: Mapping[str, str]) -> None:
        self._balancers = {name: Balancer(urls.split(",")) for name, urls in services.items()}

    async def choose(self, service: str) -> str:
        address = self._balancers.get(service, Balancer()).choose()
        if address is None:
            raise Unavailable(service)
        return address

    def eject(self, service: str, address: str) -> None:
        if service in self._balancers:
            self._balancers[service].eject(address)

    async def instances(self, service: str) -> list[str]:
        return self._balancers.get(service, Balancer()).addresses
