"""Virtual hosts of the suite's RabbitMQ that rows have for themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx


class Broker:
    """One broker, by its address and that of its management."""

    def __init__(self, url: str, management_url: str) -> None:
        self._url, self._management_url = url, management_url

    @contextmanager
    def virtual_host(self, name: str) -> Iterator[str]:
        """The URL of an empty one, which goes with all its queues at the end of the block."""
        address = urlsplit(self._management_url)
        credentials = (address.username or "", address.password or "")
        root = f"{address.scheme}://{address.hostname}:{address.port}/api"
        with httpx.Client(auth=credentials, timeout=30) as client:
            client.delete(f"{root}/vhosts/{name}")
            client.put(f"{root}/vhosts/{name}").raise_for_status()
            may = {"configure": ".*", "write": ".*", "read": ".*"}
            client.put(f"{root}/permissions/{name}/{credentials[0]}", json=may).raise_for_status()
            try:
                yield f"{self._url.rpartition('/')[0]}/{name}"
            finally:
                client.delete(f"{root}/vhosts/{name}").raise_for_status()
