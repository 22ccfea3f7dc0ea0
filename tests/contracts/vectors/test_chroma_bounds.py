"""ChromaDB answers with all that is asked for in one piece: what is long is asked for in parts, too much not read."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import psutil
import pytest

from local.suite import Suite
from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.chroma_api import ChromaApi
from services.vectors.adapters.chroma_metadata import where_of
from services.vectors.adapters.chroma_paging import count_of
from services.vectors.domain import MAX_ANSWER_BYTES, EngineName, Metric, Record, ranked
from services.vectors.errors import AnswerTooLarge
from services.vectors.records.filters import parse
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.contracts.vectors.language import leaf
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.stores import given_stores

_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_SENT_AHEAD = 8 * 2**20  # what lies in buffers between the two


@pytest.fixture
async def engine(suite: Suite) -> AsyncIterator[ChromaEngine]:
    suite.up(["chromadb"])
    opened = ChromaEngine(suite.url("chromadb"), 30, suite.environment("vectors").get("CHROMADB_TENANT"))
    yield opened
    await opened.aclose()


async def test_short_and_long_records_are_found_and_listed_whole(engine: ChromaEngine) -> None:
    """The first part is too long to be read, those of short records grow."""
    collection = a_collection(engine=EngineName.CHROMA)
    await engine.create_collection(collection)
    letters = np.random.default_rng(5)

    def note(at: int) -> dict[str, object]:
        """Of some, half a megabyte that cannot be packed to less than two thirds."""
        return {"note": [letters.bytes(2048).hex() for _ in range(128)]} if at < 64 and at % 4 == 0 else {}

    records = [COSINE.record(f"{at:03}", 1, at, 0, 0, text=f"text {at}", **note(at)) for at in range(300)]
    await engine.upsert(collection, records)

    found = ranked(await engine.search(collection, COSINE.vector(1, 0, 0, 0), 300, None))
    listed = await engine.page(collection, None, 300, None, with_vectors=True)

    assert [(match.id, match.text, match.metadata) for match in found] == [
        (record.id, record.text, record.metadata) for record in records
    ]
    assert {one.id: (one.text, one.metadata) for one in listed} == {one.id: (one.text, one.metadata) for one in records}
    assert {one.vector.shape for one in listed} == {(4,)}
    await engine.drop_collection(collection)


async def test_what_meets_a_filter_is_counted_some_at_a_time(engine: ChromaEngine, suite: Suite) -> None:
    collection = a_collection(engine=EngineName.CHROMA)
    await engine.create_collection(collection)
    await engine.upsert(collection, [COSINE.record(f"{at}", 1, at, 0, 0, even=at % 2 == 0) for at in range(300)])
    api = ChromaApi(suite.url("chromadb"), 30, suite.environment("vectors").get("CHROMADB_TENANT"))
    chroma_id, _ = await api.collection(f"sutazai-{collection.id}")
    even = where_of(parse(leaf("even", "eq", True)))

    for at_once in (7, 150, 151, 1000):
        assert await count_of(api, chroma_id, even, is_placed=True, at_once=at_once) == 150

    await api.aclose()
    await engine.drop_collection(collection)


class Endless:
    """A server that has every collection, and answers everything else without end; `sent` is what was taken of it."""

    def __init__(self, *, tells: bool) -> None:
        self._tells = tells
        self.sent = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if asked.startswith(b"GET"):
            body = json.dumps({"id": "one", "metadata": {"has_places": "yes"}})
            writer.write(f"{_HEAD}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        else:
            told = f"Content-Length: {2**40}" if self._tells else "Transfer-Encoding: chunked"
            writer.write(f"{_HEAD}{told}\r\n\r\n".encode())
            await self._go_on(writer)
        writer.close()

    async def _go_on(self, writer: asyncio.StreamWriter) -> None:
        piece = b"[" * 2**16
        try:
            while self.sent < 4 * MAX_ANSWER_BYTES:
                writer.write(piece if self._tells else b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                self.sent += len(piece)
        except ConnectionError:
            return  # whoever asked has gone


@pytest.mark.parametrize("tells", [True, False], ids=["that says how long it is", "that does not"])
async def test_an_answer_is_read_no_further_than_one_of_ours_may_be(tells: bool) -> None:
    server, collection = Endless(tells=tells), a_collection(engine=EngineName.CHROMA)
    async with server.running() as url:
        engine = ChromaEngine(url, PATIENCE_SECONDS)
        with pytest.raises(AnswerTooLarge):
            await engine.find(collection, "1")
        with pytest.raises(AnswerTooLarge):
            await engine.search(collection, COSINE.vector(1, 0, 0, 0), 10, parse(leaf("a", "eq", 1)))
        await engine.aclose()

    assert server.sent <= 2 * ((0 if tells else MAX_ANSWER_BYTES) + _SENT_AHEAD)


async def test_bodies_and_answers_of_megabytes_come_through(engine: ChromaEngine) -> None:
    """Sent in one piece, a body of more than a MiB is warned of, and holds up everybody else."""
    collection = a_collection(4096, Metric.DOT, EngineName.CHROMA)
    await engine.create_collection(collection)
    large = Record(
        "large", COSINE.vector(*range(1, 4097)), "é" * 16_384, {f"k{at}": ["\\" * 4096] * 64 for at in range(7)}
    )
    await engine.upsert(collection, [large])

    found = await engine.find(collection, "large")

    assert found is not None
    assert (found.text, found.metadata, found.vector.tolist()) == (large.text, large.metadata, large.vector.tolist())
    await engine.drop_collection(collection)


def server_seconds(suite: Suite) -> float:
    """That the server has had a processor."""
    pid = suite.pids()["chromadb"]
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


@pytest.mark.skipif("CHROMADB_URL" in given_stores(os.environ), reason="the server's processor is elsewhere")
async def test_metadata_in_any_script_costs_the_server_no_seconds(engine: ChromaEngine, suite: Suite) -> None:
    """A hundred records of 180 KB of Chinese took it twenty seconds of processor: longer than a request may last."""
    collection = a_collection(engine=EngineName.CHROMA)
    await engine.create_collection(collection)
    note = "".join(chr(0x4E00 + at % 20_000) for at in range(4000))
    records = [COSINE.record(f"{at}", 1, at, 0, 0, **{f"note {n}": note for n in range(15)}) for at in range(30)]

    before = server_seconds(suite)
    await engine.upsert(collection, records)

    assert server_seconds(suite) - before < 3  # it took six
    found = await engine.find(collection, "7")
    assert found is not None
    assert found.metadata == records[7].metadata
    await engine.drop_collection(collection)
