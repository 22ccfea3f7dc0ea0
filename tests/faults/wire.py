"""The way between a process and a store: a relay that reads what passes, and stops everything at a stated message."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from tests.faults.talk import PostgresTalk, RabbitTalk, Said, Talk

_TALKS: dict[str, Callable[[], Talk]] = {"postgresql+asyncpg": PostgresTalk, "amqp": RabbitTalk}
_PIECE = 65536


class Wire:
    """To the store at `address`, by an address of its own, `url`, while it is open."""

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._moment, self._number, self._reached = "", 0, asyncio.Event()

    @property
    def url(self) -> str:
        """As a process is given it."""
        assert self._listener is not None
        port = self._listener.sockets[0].getsockname()[1]
        return self._address._replace(netloc=f"{self._address.netloc.rpartition(':')[0]}:{port}").geturl()

    async def __aenter__(self) -> "Wire":
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        await self.cut()

    def stop_at(self, moment: str, number: int) -> asyncio.Event:
        """Set once the message that is this moment for the `number`th time from now has come.

        It does not pass, nor does anything after it, on any connection, until all of them are `cut`.
        """
        self._moment, self._number, self._reached = moment, number, asyncio.Event()
        return self._reached

    async def cut(self) -> None:
        """Ends every connection, with what it held; new ones are taken."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        self._moment = ""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.closing(writer):
                await self._connect(reader, writer)
        except* (OSError, asyncio.CancelledError, _Ended):
            pass  # an end of the connection went away, or all are cut
        finally:
            self._connections.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, upstream = await asyncio.open_connection(self._address.hostname, self._address.port)
        talk = _TALKS[self._address.scheme]()
        with contextlib.closing(upstream):
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, upstream, talk.asked))
                both.create_task(self._pass(answers, writer, talk.answered))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, messages: Callable[[bytes], Iterator[Said]]
    ) -> None:
        while chunk := await reader.read(_PIECE):
            passing = bytearray()  # at once, as it came: piece by piece it would be as many calls and wakings
            for said in messages(chunk):
                self._look_at(said)
                if not self._flowing.is_set():
                    writer.write(bytes(passing))
                    passing.clear()
                    await self._flowing.wait()
                passing += said.raw
            writer.write(bytes(passing))
            await writer.drain()
        raise _Ended

    def _look_at(self, said: Said) -> None:
        if not said.moment or said.moment != self._moment or not self._flowing.is_set():
            return
        self._number -= 1
        if self._number <= 0:
            self._flowing.clear()
            self._reached.set()


class _Ended(Exception):
    """One end hung up: then the other is told, as if they had been connected."""
