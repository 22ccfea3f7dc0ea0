"""Keeps Envoy's endpoints current: follows services in Consul and rewrites the files that Envoy watches.

Envoy takes a new list the moment a file is replaced; nothing is restarted. Whatever happens to Consul, the last known
endpoints stay in the file, also over a restart of this process.
"""

import asyncio
import ipaddress
import json
import logging
import os
import random
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, Field, TypeAdapter

from gateway.envoy.messages import typed

_log = logging.getLogger("gateway.endpoints")
_BLOCKING_QUERY_SECONDS = 30.0
# Consul may answer a blocking query up to a sixteenth later than asked.
_ANSWER_SECONDS = _BLOCKING_QUERY_SECONDS * 17 / 16 + 5
# A Consul that was restarted knows nobody until all have registered again: for this long, nobody is not believed.
_EMPTY_GRACE_SECONDS = 30.0
_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Endpoint(NamedTuple):
    """Where one instance listens; `address` is numeric once it is in a file."""

    address: str
    port: int


class EndpointFile:
    """The endpoints of one cluster in the form Envoy watches. Starts with what the file held before, if anything."""

    def __init__(self, path: Path, cluster: str) -> None:
        self._path, self._cluster = path, cluster
        self.endpoints = self._previous()
        self._write()

    async def replace(self, endpoints: Iterable[Endpoint]) -> bool:
        """Put `endpoints` in force, each name resolved. False when they already were. Raises OSError."""
        wanted = sorted({await _numeric(endpoint) for endpoint in endpoints})
        if wanted == self.endpoints:
            return False
        self.endpoints = wanted
        await asyncio.to_thread(self._write)
        return True

    def _previous(self) -> list[Endpoint]:
        try:
            known = json.loads(self._path.read_text())["resources"][0]["endpoints"][0]["lb_endpoints"]
            addresses = [entry["endpoint"]["address"]["socket_address"] for entry in known]
            return sorted(Endpoint(address["address"], address["port_value"]) for address in addresses)
        except FileNotFoundError:
            return []
        except (ValueError, LookupError, TypeError) as error:
            _log.warning("endpoint file ignored", extra={"fields": {"path": str(self._path), "cause": repr(error)}})
            return []

    def _write(self) -> None:
        """Envoy looks at a file when it is moved into place, so it never sees half of one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._document()))
        os.replace(part, self._path)  # noqa: PTH105 - the function's name says that it is atomic

    def _document(self) -> dict[str, object]:
        hosts = [
            {"endpoint": {"address": {"socket_address": {"address": endpoint.address, "port_value": endpoint.port}}}}
            for endpoint in self.endpoints
        ]
        assignment = typed(
            "config.endpoint.v3.ClusterLoadAssignment", cluster_name=self._cluster, endpoints=[{"lb_endpoints": hosts}]
        )
        return {"version_info": str(time.time_ns()), "resources": [assignment]}


async def _numeric(endpoint: Endpoint) -> Endpoint:
    """Envoy resolves no names in endpoints."""
    try:
        ipaddress.ip_address(endpoint.address)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_STREAM)
        return Endpoint(str(min(found)[4][0]), endpoint.port)
    return endpoint


def parse_addresses(urls: str) -> list[Endpoint]:
    """The endpoints of `http://a:1,http://b:2`. Raises ValueError for anything but http and an explicit port."""
    endpoints = []
    for url in urls.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise ValueError(f"{url!r} is not of the form http://host:port")
        endpoints.append(Endpoint(parts.hostname, parts.port))
    return endpoints


class _Node(BaseModel):
    address: str = Field(alias="Address")


class _Instance(BaseModel):
    address: str = Field(alias="Address")
    port: int = Field(alias="Port", ge=1, le=65535)


class _Entry(BaseModel):
    node: _Node = Field(alias="Node")
    instance: _Instance = Field(alias="Service")


_ENTRIES = TypeAdapter(list[_Entry])


class ConsulWatch:
    """Follows one service by blocking queries, for ever."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        service: str,
        file: EndpointFile,
        *,
        grace_seconds: float = _EMPTY_GRACE_SECONDS,
    ) -> None:
        self._client, self._service, self._file = client, service, file
        self._grace_seconds = grace_seconds
        self._empty_since: float | None = None
        self._index = 0
        self._failures = 0
        self.answered = asyncio.Event()

    async def run(self) -> None:
        """Never returns. Consul being away, or saying nonsense, is logged and tried again."""
        while True:
            try:
                await self.follow_once()
            except (httpx.HTTPError, ValueError, OSError) as error:
                self._index = 0
                await self._back_off(error)

    async def follow_once(self) -> None:
        """Ask once, blocking until something changed or the wait is over, and put the answer in force."""
        started = time.monotonic()
        parameters = {"passing": "1", "index": str(self._index), "wait": f"{self._wait_seconds():.0f}s"}
        response = await self._client.get(f"/v1/health/service/{self._service}", params=parameters)
        response.raise_for_status()
        index = int(response.headers.get("X-Consul-Index", "0"))
        await self._take([_endpoint(entry) for entry in _ENTRIES.validate_json(response.content)])
        # An index that went backwards means that Consul started anew: ask for the whole state again.
        unchanged, self._index = index == self._index, index if index >= self._index else 0
        self._failures = 0
        self.answered.set()
        if unchanged and time.monotonic() - started < 1:  # a server that does not block must not be asked in a loop
            await asyncio.sleep(1)

    def _wait_seconds(self) -> float:
        if self._empty_since is None:
            return _BLOCKING_QUERY_SECONDS
        return max(1.0, self._empty_since + self._grace_seconds - time.monotonic())

    async def _take(self, endpoints: list[Endpoint]) -> None:
        if endpoints:
            self._empty_since = None
        elif self._file.endpoints:
            self._empty_since = self._empty_since or time.monotonic()
            if time.monotonic() - self._empty_since < self._grace_seconds:
                return
        if await self._file.replace(endpoints):
            known = [f"{endpoint.address}:{endpoint.port}" for endpoint in self._file.endpoints]
            _log.info("endpoints changed", extra={"fields": {"upstream": self._service, "endpoints": known}})

    async def _back_off(self, error: Exception) -> None:
        if not self._failures:
            _log.warning("consul is away", extra={"fields": {"upstream": self._service, "cause": repr(error)}})
        ceiling = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        await asyncio.sleep(random.uniform(0.05, ceiling))


def _endpoint(entry: _Entry) -> Endpoint:
    return Endpoint(entry.instance.address or entry.node.address, entry.instance.port)


def open_consul_client(url: str, services: int) -> httpx.AsyncClient:
    """A pool that holds one blocking query open per service."""
    return httpx.AsyncClient(
        base_url=url,
        timeout=httpx.Timeout(_ANSWER_SECONDS, connect=2.0),
        limits=httpx.Limits(max_connections=services + 1, max_keepalive_connections=services + 1),
    )
