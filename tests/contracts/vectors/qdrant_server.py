"""Just enough of a Qdrant server to come, go and refuse: over gRPC or REST it says whether a collection exists."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import grpc  # type: ignore[import-untyped]
from qdrant_client.grpc import collections_service_pb2_grpc as services
from qdrant_client.grpc.collections_pb2 import CollectionExists, CollectionExistsRequest, CollectionExistsResponse

from tests.fixtures.patience import PATIENCE_SECONDS

GRPC_PORT = 6334  # the adapter speaks gRPC to this port only


def free_host() -> str:
    """An address of this machine that nobody else uses: the port is given."""
    return f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"


class Collections(services.CollectionsServicer):
    """Has every collection, for whoever brings the key."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def CollectionExists(  # noqa: N802 - the name of the call
        self, request: CollectionExistsRequest, context: grpc.ServicerContext
    ) -> CollectionExistsResponse:
        if self._key and dict(context.invocation_metadata()).get("api-key") != self._key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key or JWT")
        return CollectionExistsResponse(result=CollectionExists(exists=True))


@asynccontextmanager
async def grpc_server(host: str, key: str | None = None) -> AsyncIterator[None]:
    """In threads: a server of `grpc.aio` leaves calls behind whose end may fail in whichever test runs then."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        server = grpc.server(threads)
        services.add_CollectionsServicer_to_server(Collections(key), server)  # type: ignore[no-untyped-call] # generated
        server.add_insecure_port(f"{host}:{GRPC_PORT}")
        server.start()
        try:
            yield
        finally:
            await asyncio.to_thread(server.stop(grace=None).wait, PATIENCE_SECONDS)


@asynccontextmanager
async def rest_server(status: int) -> AsyncIterator[str]:
    """Answers everything with `status`; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} Refused\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
