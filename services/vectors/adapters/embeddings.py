"""What both models of embeddings share: windows, batches, turns, a bound on the wait, and the vectors of recent texts.

A store of many texts may take longer than a request may last: when neighbours come meanwhile, or before the pace of the
model is known. What was embedded by then is kept, so that repeating the request goes on where it stopped.
"""

import asyncio
import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from services.vectors.adapters.embeddings_backlog import TEXT_BYTES, Backlog, Work
from services.vectors.adapters.embeddings_weight import weight
from services.vectors.adapters.embeddings_windows import averaged, is_short, windows_of
from services.vectors.domain import Embedded, Vector
from shared import telemetry
from shared.errors import Unavailable, UpstreamTimeout
from shared.identity import Caller
from shared.limits import Shares, Turns
from shared.telemetry import conventions

COMPONENT = "embeddings"
_PLACES = 64  # requests of either line; more would only wait for their timeouts
_SHORT_CHARS = 32 * 2**10
_TELLING = 0.1  # of a full batch, from which on the time that it takes says how fast the model is

Key = bytes


class Line:
    """Those who wait for the same lanes: single queries, or everybody else."""

    def __init__(self, lanes: int, seconds: float) -> None:
        self.lanes = lanes
        self.shares = Shares("embeddings", _PLACES)
        self.turns = Turns(lanes, waiting=_PLACES * lanes, per_source=_PLACES * lanes)
        self.backlog = Backlog(lanes=lanes, seconds=seconds)


@dataclass(frozen=True, slots=True)
class Job:
    """What one request wants of a line, and what it has of it so far."""

    tenant_id: str
    line: Line
    is_query: bool
    is_interactive: bool
    work: Work
    found: dict[Key, Embedded]


class BatchingEmbedder(ABC):
    """Embedder over `embed_batch`, of which `lanes` run at once, and `query_lanes` for single queries.

    Tenants take turns, batch by batch: who stores a thousand texts keeps a neighbour waiting for one batch of theirs.
    A search waits for other searches only.
    """

    def __init__(
        self,
        *,
        model: str,
        dimension: int,
        window_tokens: int,
        lanes: int,
        query_lanes: int,
        batch_texts: int,
        batch_bytes: int,
        timeout_seconds: float,
        cached: int,
    ) -> None:
        self.model = model
        self.dimension = dimension
        self.window_tokens = window_tokens
        self._batch_texts, self._batch_bytes = batch_texts, batch_bytes
        self._timeout_seconds = timeout_seconds
        self._cache: LRUCache[Key, Embedded] = LRUCache(maxsize=cached)
        self.passages, self.queries = Line(lanes, timeout_seconds), Line(query_lanes, timeout_seconds)

    async def make_ready(self) -> None:  # noqa: B027 - most need nothing
        """Whatever the first batch would have to wait for."""

    @abstractmethod
    def tokens_of(self, text: str, *, is_query: bool) -> int:
        """How many tokens the model reads for `text`, rather too many than too few. Called on any thread."""

    @abstractmethod
    async def embed_batch(self, texts: Sequence[str], *, is_query: bool, is_interactive: bool) -> list[Embedded]:
        """The vectors of a few texts, none longer than a window, in their order."""

    async def embed_query(self, text: str, caller: Caller) -> Vector:
        return (await self.embed([text], caller, is_query=True))[0].vector

    async def embed_queries(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        return [embedded.vector for embedded in await self.embed(texts, caller, is_query=True)]

    async def embed_passages(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        return [embedded.vector for embedded in await self.embed(texts, caller, is_query=False)]

    async def embed(self, texts: Sequence[str], caller: Caller, *, is_query: bool) -> list[Embedded]:
        is_interactive = is_query and len(texts) == 1
        line = self.queries if is_interactive else self.passages
        place = line.shares.take(caller.tenant_id, caller.subject)
        if place is None:
            raise Unavailable(COMPONENT)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                with self._span_of(len(texts)):
                    return await self._all(texts, caller, line, is_query=is_query, is_interactive=is_interactive)
        except TimeoutError as error:
            raise UpstreamTimeout(COMPONENT) from error
        finally:
            place.give_back()

    def _span_of(self, texts: int) -> telemetry.Span:
        attributes: dict[str, telemetry.Value] = {
            conventions.GEN_AI_OPERATION: "embeddings",
            conventions.GEN_AI_PROVIDER: COMPONENT,
            conventions.GEN_AI_REQUEST_MODEL: self.model,
            conventions.GEN_AI_DIMENSIONS: self.dimension,
            conventions.TEXTS: texts,
        }
        return telemetry.span(f"embeddings {self.model}", telemetry.SpanKind.CLIENT, attributes)

    async def _all(
        self, texts: Sequence[str], caller: Caller, line: Line, *, is_query: bool, is_interactive: bool
    ) -> list[Embedded]:
        keys = [_key(text, is_query=is_query) for text in texts]
        found = {key: kept for key in keys if (kept := self._cache.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        owner, size = (caller.tenant_id, caller.subject), await _sizes(missing.values())
        with line.backlog.taking_on(owner, size) as work:
            cut = await self._cut(missing, is_query=is_query)
            windows = {key: window for parts in cut.values() for key, window in parts}
            found |= {key: self._cache[key] for key in windows if key in self._cache}
            await self._windows(windows, Job(caller.tenant_id, line, is_query, is_interactive, work, found))
        for key, parts in cut.items():
            found[key] = averaged([found[part] for part, _ in parts])
            self._keep(key, found[key])
        return [found[key] for key in keys]

    async def _cut(self, texts: dict[Key, str], *, is_query: bool) -> dict[Key, list[tuple[Key, str]]]:
        """Each text in windows. Counting tokens takes a hundredth of what embedding them does, and so a thread."""

        def cut(key: Key, text: str) -> list[tuple[Key, str]]:
            windows = windows_of(text, lambda part: self.tokens_of(part, is_query=is_query), self.window_tokens)
            return [(_key(one, is_query=is_query), one) for one in windows] if len(windows) > 1 else [(key, text)]

        if all(is_short(text, self.window_tokens) for text in texts.values()):  # a query need not wait for a thread
            return {key: [(key, text)] for key, text in texts.items()}
        return await asyncio.to_thread(lambda: {key: cut(key, text) for key, text in texts.items()})

    async def _windows(self, windows: dict[Key, str], job: Job) -> None:
        batches = self._batches({key: window for key, window in windows.items() if key not in job.found})
        lanes = [asyncio.create_task(self._lane(batches, job)) for _ in range(job.line.lanes)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()

    async def _lane(self, batches: Iterator[list[tuple[Key, str]]], job: Job) -> None:
        for batch in batches:
            async with job.line.turns.turn(job.tenant_id, lambda: Unavailable(COMPONENT)):
                await self.make_ready()
                embedded = await self._timed([text for _, text in batch], job)
            for (key, _), one in zip(batch, embedded, strict=True):
                job.found[key] = one
                self._keep(key, one)

    async def _timed(self, texts: list[str], job: Job) -> list[Embedded]:
        started, size = time.monotonic(), sum(map(_size, texts))
        embedded = await self.embed_batch(texts, is_query=job.is_query, is_interactive=job.is_interactive)
        job.work.done(size)
        if size >= self._batch_bytes * _TELLING or len(texts) == self._batch_texts:
            job.line.backlog.pace.note(size, time.monotonic() - started)
        return embedded

    def _keep(self, key: Key, embedded: Embedded) -> None:
        if self._cache.maxsize:
            self._cache[key] = embedded

    def _batches(self, texts: dict[Key, str]) -> Iterator[list[tuple[Key, str]]]:
        batch: list[tuple[Key, str]] = []
        size = 0
        for key, text in texts.items():
            more = weight(text)
            if batch and (len(batch) == self._batch_texts or size + more > self._batch_bytes):
                yield batch
                batch, size = [], 0
            batch.append((key, text))
            size += more
        if batch:
            yield batch


def _key(text: str, *, is_query: bool) -> Key:
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"query" if is_query else b"passage").digest()


def _size(text: str) -> int:
    """Texts of one letter would else tell of a model that is ten times slower than it is, and keep neighbours out."""
    return weight(text) + TEXT_BYTES


async def _sizes(texts: Collection[str]) -> int:
    """Of all together; of much text on a thread. Raises TextExpands."""
    if sum(map(len, texts)) <= _SHORT_CHARS:
        return sum(map(_size, texts))
    return await asyncio.to_thread(lambda: sum(map(_size, texts)))
