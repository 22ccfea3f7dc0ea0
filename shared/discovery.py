"""Finding services: registration in Consul, last known addresses by blocking query, and ejection of what fails.

The only file that imports `consul` (python-consul2 speaks the protocol; our own pool does the talking, because the
library's asyncio client opens a session per call).
"""

import asyncio
import itertools
import logging
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from shared.errors import Unavailable

# The library's blocking client, which nobody uses here, would bring `requests`: 5 MB in every process.
_stand_in = sys.modules.setdefault("requests", ModuleType("requests"))
import consul.base  # noqa: E402 - after the line above

if not hasattr(_stand_in, "session"):
    del sys.modules["requests"]  # whoever does want it gets the real one

_log = logging.getLogger("shared.discovery")
_EJECTED_SECONDS = 5.0
_FIRST_ANSWER_SECONDS = 2.0
_BLOCKING_QUERY_SECONDS = 30
_HEARTBEAT_SECONDS = 3.0
_CALL_SECONDS = 3.0


class Discovery(Protocol):
    """Where a service can be reached right now."""

    async def choose(self, service: str) -> str:
        """The base URL to try next. Raises Unavailable when none was ever known."""

    def eject(self, service: str, address: str) -> None:
        """Avoid `address` for a few seconds, unless it is the only one."""

    async def instances(self, service: str) -> list[str]:
        """All known base URLs."""


class Balancer:
    """Turns over the addresses of one service, passing by those that just failed."""

    def __init__(self, addresses: list[str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.addresses: list[str] = []
        self._turn: Iterator[int] = itertools.count()
        self._ejected: dict[str, float] = {}
        self._clock = clock
        self.replace(addresses or [])

    def replace(self, addresses: list[str]) -> None:
        """Take over a new list. An empty one is ignored: the last known addresses are better than none."""
        if addresses:
            self.addresses = sorted(addresses)
            self._ejected = {address: until for address, until in self._ejected.items() if address in addresses}

    def choose(self) -> str | None:
        now = self._clock()
        healthy = [address for address in self.addresses if self._ejected.get(address, 0) <= now] or self.addresses
        return healthy[next(self._turn) % len(healthy)] if healthy else None

    def eject(self, address: str) -> None:
        self._ejected[address] = self._clock() + _EJECTED_SECONDS


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


class _Http(consul.base.HTTPClient):  # type: ignore[misc] # the library is untyped
    """The transport python-consul2 asks for, on our pool."""

    client: httpx.AsyncClient
    seconds: float = _CALL_SECONDS

    async def _send(self, callback: Callable[[Any], Any], method: str, path: str, params: Any, data: Any) -> Any:
        response = await self.client.request(method, self.uri(path, params), content=data or None, timeout=self.seconds)
        return callback(consul.base.Response(response.status_code, response.headers, response.text, response.content))

    def get(self, callback: Any, path: str, params: Any = None, headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "GET", path, params, None)

    def put(self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "PUT", path, params, data)

    def post(self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "POST", path, params, data)

    def delete(self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None) -> Any:  # noqa: ARG002
        return self._send(callback, "DELETE", path, params, data)


class _Consul(consul.base.Consul):  # type: ignore[misc] # the library is untyped
    def __init__(self, url: str, client: httpx.AsyncClient, seconds: float = _CALL_SECONDS) -> None:
        self._client, self._seconds = client, seconds
        parts = urlsplit(url)
        with warnings.catch_warnings():  # it warns of its own legacy ACL calls, which nobody makes
            warnings.simplefilter("ignore", DeprecationWarning)
            super().__init__(host=parts.hostname, port=parts.port or 8500, scheme=parts.scheme)

    def http_connect(self, host: str, port: int, scheme: str, verify: bool = True, cert: Any = None) -> _Http:
        transport = _Http(host, port, scheme, verify, cert)
        transport.client, transport.seconds = self._client, self._seconds
        return transport


_CONSUL_ERRORS = (consul.base.ConsulException, httpx.HTTPError, ValueError)


class ConsulDiscovery:
    """Follows services in Consul; when Consul is away the last known addresses go on serving."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._consul = _Consul(url, client)
        self._blocking = _Consul(url, client, _BLOCKING_QUERY_SECONDS + 5)
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
            except _CONSUL_ERRORS as error:
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


class Registration:
    """Keeps one instance registered: from when it answers, again whenever the agent forgot it, until it drains.

    Consul checks `/health/live`: an instance whose store is down still gives a better answer (503 naming the store)
    than a gateway that was told there is nobody.
    """

    def __init__(
        self, url: str, client: httpx.AsyncClient, *, service: str, instance_id: str, host: str, port: int
    ) -> None:
        self._consul = _Consul(url, client)
        self._client = client
        self._service, self._id, self._host, self._port = service, instance_id, host, port
        self._live_url = f"http://{host}:{port}/health/live"
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_registered(), name="consul:registration")

    async def _keep_registered(self) -> None:
        while not await self._is_listening():  # noqa: ASYNC110 - an HTTP answer has no event to wait on
            await asyncio.sleep(0.05)
        while True:
            try:
                if self._id not in await self._consul.agent.services():
                    await self._register()
            except _CONSUL_ERRORS as error:
                _log.warning("cannot register", extra={"fields": {"cause": repr(error)}})
            await asyncio.sleep(random.uniform(0.8, 1.2) * _HEARTBEAT_SECONDS)

    async def _is_listening(self) -> bool:
        try:
            return (await self._client.get(self._live_url, timeout=1)).is_success
        except httpx.HTTPError:
            return False

    async def _register(self) -> None:
        check = consul.base.Check.http(self._live_url, interval="2s", timeout="2s", deregister="1m")
        await self._consul.agent.service.register(
            self._service,
            service_id=self._id,
            address=self._host,
            port=self._port,
            check={**check, "status": "passing"},  # it answered us just now: no need to wait for the first check
        )
        _log.info("registered", extra={"fields": {"instance": self._id}})

    async def deregister(self) -> None:
        """Leave Consul, and stop coming back. Safe to call twice; a Consul that is away is logged, not raised."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        try:
            await self._consul.agent.service.deregister(self._id)
        except _CONSUL_ERRORS as error:
            _log.warning("cannot deregister", extra={"fields": {"cause": repr(error)}})
