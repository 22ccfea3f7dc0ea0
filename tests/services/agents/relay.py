"""A TCP relay before a real server, so that a test can take the server away, freeze it and give it back."""

import asyncio
import contextlib
import socket
from urllib.parse import urlsplit


class Relay:
    """Listens on a port of its own once `open`ed, and passes bytes to `upstream` unless `frozen`."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self._upstream = (address.hostname, address.port)
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self._last_asked: bytes | None = None
        self._of = b""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"bolt://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Refuse connections and cut those there are."""
        if self._listener:
            self._listener.close()
            self._listener = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def freeze(self) -> None:
        """Keep connections open and accept more, but let nothing through."""
        self._flowing.clear()

    def lose_answers_after(self, asked: bytes, of: bytes) -> None:
        """Let the request with these bytes through as the last one that is answered to nobody, until thawed.

        Of a connection on which `of` was asked since now: others are used in the background.
        """
        self._last_asked, self._of = asked, of

    def thaw(self) -> None:
        self._last_asked = None
        self._flowing.set()
        self._answering.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
            with contextlib.closing(writer), contextlib.closing(upstream_writer):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._ask(reader, upstream_writer))
                    group.create_task(self._answer(upstream_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # an end of the connection went away, or the relay closes
        finally:
            self._connections.discard(task)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_meant = False
        while chunk := await reader.read(65536):
            await self._flowing.wait()
            if self._last_asked:
                is_meant |= self._of in chunk
                if is_meant and self._last_asked in chunk:
                    self._answering.clear()
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            await self._flowing.wait()
            await self._answering.wait()
            writer.write(chunk)
            await writer.drain()
        writer.close()
