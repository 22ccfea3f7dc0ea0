"""`vectors.ingest`: documents are read, cut into chunks and stored in a collection, where they are embedded."""

import asyncio
from collections.abc import Sequence, Set
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from services.tasks.documents.blocks import Block
from services.tasks.documents.chunking import Chunk, Chunker, Measured
from services.tasks.documents.measuring import Measure, measured
from services.tasks.documents.sources import Sources
from services.tasks.documents.spool import Spool, folder
from services.tasks.documents.storing import delete_leftovers, item_of, missing, store
from services.tasks.errors import PermanentFailure
from services.tasks.kinds.ingest_input import IngestInput
from services.tasks.kinds.kind import Context, Kind
from shared.errors import ServiceError

_BATCH = 64
_BLOCKS_MEASURED = 200
_TEXTS_COUNTED, _CHARS_COUNTED = 500, 200_000  # in one request
_CONFLICT, _NONE = 409, "vectors.collection_not_found"


async def _ingest(context: Context, given: IngestInput) -> dict[str, Any]:
    """Store every chunk that is not there yet, just as it is.

    So a repeated attempt goes on where the one before ended, and a document that did not change costs no embedding.
    """
    with ExitStack() as stack:
        own = await asyncio.to_thread(stack.enter_context, folder())
        try:
            return await _Ingestion(context, given, own).run()
        finally:
            await asyncio.to_thread(stack.pop_all().close)


class _Ingestion:
    """One attempt."""

    def __init__(self, context: Context, given: IngestInput, own: Path) -> None:
        self._context, self._given, self._own = context, given, own
        self._documents = [
            (document.id or f"{context.task_id}-{index}", document) for index, document in enumerate(given.documents)
        ]
        self._items = Spool(own / "chunks")
        self._chunker, self._at = self._new_chunker(), 0
        self._counts = dict.fromkeys((document_id for document_id, _ in self._documents), 0)

    async def run(self) -> dict[str, Any]:
        if self._given.engine is not None:
            await _ensure_collection(self._context, self._given.collection, self._given.engine)
        named = {document.id for document in self._given.documents if document.id is not None}
        async with self._context.holding(await self._held(named)):
            self._context.progress(0, None, "reading")
            await self._read()
            self._context.log(f"{len(self._documents)} documents read: {self._items.count} chunks")
            unchanged = await self._store()
            self._context.log(f"{self._items.count - unchanged} chunks stored, {unchanged} were there already")
            counts = {one: count for one, count in self._counts.items() if one in named}
            await delete_leftovers(self._context, self._given.place, counts)
        return {
            "collection": self._given.collection,
            "documents": len(self._documents),
            "chunks": self._items.count,
            "unchanged": unchanged,
        }

    async def _held(self, named: Set[str]) -> list[str]:
        """What no other task may ingest meanwhile: documents in their collection, by whatever name that is called."""
        if not named:
            return []
        collection = await _name_of(self._context, self._given.collection)
        return [f"document:{collection}/{document_id}" for document_id in named]

    async def _read(self) -> None:
        """Every document's chunks, into the spool. Small documents are measured together: a request costs its turn."""
        waiting: list[tuple[int, Block]] = []
        async for index, blocks in Sources(self._context, self._own).blocks(self._documents):
            waiting += [(index, block) for block in blocks]
            if len(waiting) >= _BLOCKS_MEASURED:
                await self._cut(waiting)
                waiting = []
        await self._cut(waiting)
        await asyncio.to_thread(self._end)

    async def _cut(self, blocks: Sequence[tuple[int, Block]]) -> None:
        measure: Measure = _characters if self._given.counts_characters else self._tokens
        found = await measured([block for _, block in blocks], measure, self._given.most)
        await asyncio.to_thread(self._pack, [index for index, _ in blocks], found)

    def _pack(self, places: Sequence[int], found: Sequence[Measured]) -> None:
        """For a thread, as all that makes chunks: a block of megabytes has ten thousands of them."""
        chunks: list[Chunk] = []
        for index, one in zip(places, found, strict=True):
            if index != self._at:
                self._keep([*chunks, *self._chunker.end()])
                chunks, self._chunker, self._at = [], self._new_chunker(), index
            chunks += self._chunker.add(one)
        self._keep(chunks)

    def _end(self) -> None:
        self._keep(list(self._chunker.end()))

    def _new_chunker(self) -> Chunker:
        return Chunker(self._given.most, self._given.overlap, glue_counts=self._given.counts_characters)

    def _keep(self, chunks: Sequence[Chunk]) -> None:
        """The next chunks of the document under way."""
        document_id, document = self._documents[self._at]
        first = self._counts[document_id]
        items = [item_of(chunk, document_id, first + n, document.metadata) for n, chunk in enumerate(chunks)]
        self._counts[document_id] += len(items)
        self._items.append(items)

    async def _store(self) -> int:
        """How many chunks were there already."""
        context, total, done, stored = self._context, self._items.count, 0, 0
        context.progress(0, total, "storing")
        batches = self._items.batches(_BATCH)
        while batch := await asyncio.to_thread(next, batches, None):
            new = await missing(context, self._given.collection, batch) if self._may_be_there() else batch
            if new:
                await store(context, self._given.place, new)
            done, stored = done + len(batch), stored + len(new)
            context.progress(done, total, "storing")
        return total - stored

    def _may_be_there(self) -> bool:
        """Documents without a name of their own have one that only this task knows."""
        return self._context.attempt > 1 or any(document.id is not None for document in self._given.documents)

    async def _tokens(self, texts: Sequence[str]) -> list[int]:
        """As the model that embeds them counts. Raises PermanentFailure for chunks larger than it reads at once."""
        sizes: list[int] = []
        for some in _requests(texts):
            answer = await self._context.call(
                "vectors", "POST", "/api/v1/vectors/tokens", json={"texts": some}, idempotent=True
            )
            counted = answer.json()
            if self._given.most > (window := counted["window_tokens"]):
                detail = f"Chunks of {self._given.most} tokens were asked for; the model reads {window} at once."
                raise PermanentFailure("tasks.chunks_too_large", detail)
            sizes += counted["tokens"]
        return sizes


async def _characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def _requests(texts: Sequence[str]) -> list[list[str]]:
    """`texts` in as many requests as they need."""
    requests: list[list[str]] = []
    chars = _CHARS_COUNTED
    for text in texts:
        if chars + len(text) > _CHARS_COUNTED or len(requests[-1]) == _TEXTS_COUNTED:
            requests.append([])
            chars = 0
        requests[-1].append(text)
        chars += len(text)
    return requests


async def _name_of(context: Context, name: str) -> str:
    """Its own, where `name` is an alias; `name` where there is no such collection yet."""
    try:
        found: str = (await context.call("vectors", "GET", f"/api/v1/vectors/collections/{name}")).json()["name"]
    except ServiceError as error:
        if error.code != _NONE:
            raise
        return name
    return found


async def _ensure_collection(context: Context, name: str, engine: str) -> None:
    """Raises PermanentFailure when a collection of that name lives in another engine."""
    try:
        await context.call("vectors", "POST", "/api/v1/vectors/collections", json={"name": name, "engine": engine})
    except ServiceError as error:
        if error.status != _CONFLICT:
            raise
    else:
        return
    existing = (await context.call("vectors", "GET", f"/api/v1/vectors/collections/{name}")).json()
    if existing["engine"] != engine:
        detail = f"The collection {name!r} exists and its engine is {existing['engine']!r}, not {engine!r}."
        raise PermanentFailure("tasks.engine_mismatch", detail)


VECTORS_INGEST = Kind(
    name="vectors.ingest",
    description="Reads documents, cuts them into chunks, embeds them and stores them in a collection.",
    input_model=IngestInput,
    run=_ingest,
    scopes=("vectors:write", "vectors:read"),
    timeout_seconds=900,
)
