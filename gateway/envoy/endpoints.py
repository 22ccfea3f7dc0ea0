"""Keeps Envoy's endpoints in the files that Envoy watches.

Envoy takes a new list the moment a file is replaced; nothing is restarted. Whatever happens to Consul, the last known
endpoints stay in the file, also over a restart of this process.
"""

import asyncio
import ipaddress
import json
import logging
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from gateway.envoy.messages import typed
from shared.discovery import Instance

_log = logging.getLogger("gateway.endpoints")


class EndpointFile:
    """The endpoints of one cluster in the form Envoy watches. Starts with what the file held before, if anything."""

    def __init__(self, path: Path, cluster: str) -> None:
        self._path, self._cluster = path, cluster
        self.endpoints = self._previous()
        self._write()

    async def replace(self, endpoints: Iterable[Instance]) -> bool:
        """Put `endpoints` in force, each name resolved. False when they already were. Raises OSError."""
        wanted = sorted({await _numeric(endpoint) for endpoint in endpoints})
        if wanted == self.endpoints:
            return False
        self.endpoints = wanted
        await asyncio.to_thread(self._write)
        return True

    async def take(self, instances: list[Instance]) -> None:
        """The same, and tells the log. Raises OSError."""
        if await self.replace(instances):
            known = [f"{endpoint.address}:{endpoint.port}" for endpoint in self.endpoints]
            _log.info("endpoints changed", extra={"fields": {"upstream": self._cluster, "endpoints": known}})

    def _previous(self) -> list[Instance]:
        try:
            known = json.loads(self._path.read_text())["resources"][0]["endpoints"][0]["lb_endpoints"]
            addresses = [entry["endpoint"]["address"]["socket_address"] for entry in known]
            return sorted(Instance(address["address"], address["port_value"]) for address in addresses)
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


async def _numeric(endpoint: Instance) -> Instance:
    """Envoy resolves no names in endpoints."""
    try:
        ipaddress.ip_address(endpoint.address)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_STREAM)
        return Instance(str(min(found)[4][0]), endpoint.port)
    return endpoint


def parse_addresses(urls: str, scheme: str = "http") -> list[Instance]:
    """The endpoints of `http://a:1,http://b:2`. Raises ValueError for another scheme or without an explicit port."""
    endpoints = []
    for url in urls.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme != scheme or not parts.hostname or not parts.port:
            raise ValueError(f"{url!r} is not of the form {scheme}://host:port")
        endpoints.append(Instance(parts.hostname, parts.port))
    return endpoints
