"""The client: resolves, judges, connects to what was judged, and asks once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared import deadlines
from shared.hosts import is_address
from shared.outbound.addresses import Allowed
from shared.outbound.answer import Answer, Content
from shared.outbound.failures import AddressRefused, AnswerBroken, HostUnknown, NotReached, OutboundTimeout
from shared.outbound.names import Owner, Resolve, open_names
from shared.outbound.request import OutboundRequest, require_header, require_url

_MOST_ADDRESSES: Final = 32
_AGENT: Final = "SutazAI"
_NOBODY: Final = Owner("", "")
_MOST_INTERIM: Final = 16
"""Answers (1xx) before the one that counts."""


class OutboundClient:
    """Asks addresses that users wrote; keeps nothing from one request to the next: no connection, cookie or name."""

    def __init__(self, allowed: Allowed, resolve: Resolve, owner: Owner = _NOBODY) -> None:
        self._allowed, self._resolve, self._owner = allowed, resolve, owner

    def of(self, owner: Owner) -> "OutboundClient":
        """The same for the requests of one user, who waits for nobody else's names, and nobody for theirs."""
        return OutboundClient(self._allowed, self._resolve, owner)

    async def ask(self, request: OutboundRequest) -> Content:
        """The answer with its body, cut at its bound. Raises OutboundError."""
        answer = await self.start(request)
        try:
            return await answer.content()
        finally:
            await answer.close()

    async def start(self, request: OutboundRequest) -> Answer:
        """The answer as soon as its head is there, to be read and closed. Raises OutboundError."""
        url = require_url(request.url)
        for name, value in request.headers.items():
            require_header(name, value)
        end_at = asyncio.get_running_loop().time() + deadlines.remaining(request.seconds)
        with _translated():
            async with asyncio.timeout_at(end_at):
                addresses = await self._judged(url.raw_host or "")
                session = _session(addresses)
                try:
                    response = await session.request(
                        request.method,
                        url,
                        data=request.body,
                        headers={"user-agent": _AGENT, **request.headers, "accept-encoding": "identity"},
                        allow_redirects=False,
                    )
                except BaseException:
                    await session.close()
                    raise
        return Answer(session, response, end_at=end_at, most_bytes=request.most_bytes)

    async def _judged(self, host: str) -> list[str]:
        """The host's addresses, each of which may be connected to. Raises AddressRefused, HostUnknown, NamesBusy."""
        addresses = [host] if is_address(host) else await self._resolved(host)
        if not self._allowed.names(host) and not self._allowed.takes_all(addresses):
            raise AddressRefused
        return addresses

    async def _resolved(self, host: str) -> list[str]:
        try:
            addresses = list(await self._resolve(host, self._owner))[:_MOST_ADDRESSES]
        except (OSError, UnicodeError) as error:
            raise HostUnknown from error
        if not addresses:
            raise HostUnknown
        return addresses


@asynccontextmanager
async def open_outbound(allowed: Allowed) -> AsyncIterator[OutboundClient]:
    """A client that resolves names as the system does."""
    async with open_names() as names:
        yield OutboundClient(allowed, names.resolve)


class _Judged(AbstractResolver):
    """Knows the addresses that were judged, and asks nobody again."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - all that were judged, of either
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        return None


class _Response(aiohttp.ClientResponse):
    """Comes to its point: a server may send interim answers for ever, of 25 bytes each, and a core reads but 3 MB/s."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Raises ClientPayloadError for too many of them."""
        protocol = connection.protocol  # of this request alone
        read, left = protocol.read, iter(range(1 + _MOST_INTERIM))

        async def counted() -> Any:
            if next(left, None) is None:
                raise aiohttp.ClientPayloadError
            return await read()

        protocol.read = counted
        return await super().start(connection)


def _session(addresses: Sequence[str]) -> aiohttp.ClientSession:
    """For one request to one of `addresses`."""

    def connecting(info: Any) -> socket.socket:
        """The last gate: whatever the library resolved itself, or took for an address, does not pass."""
        family, kind, protocol, _, address = info
        if address[0] not in addresses:
            raise OSError("no address that was judged")
        return socket.socket(family=family, type=kind, proto=protocol)

    connector = aiohttp.TCPConnector(
        resolver=_Judged(addresses), use_dns_cache=False, force_close=True, limit=1, socket_factory=connecting
    )
    return aiohttp.ClientSession(
        connector=connector,
        response_class=_Response,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        trust_env=False,
    )


@contextmanager
def _translated() -> Iterator[None]:
    """Raises OutboundError for what the library raises inside the block."""
    try:
        yield
    except TimeoutError as error:
        raise OutboundTimeout from error
    except aiohttp.ClientSSLError as error:
        raise NotReached("The server does not prove to be who it should be.") from error
    except (aiohttp.ClientConnectorError, aiohttp.ClientOSError, OSError) as error:
        raise NotReached from error
    except (aiohttp.ClientError, ValueError) as error:
        raise AnswerBroken from error
