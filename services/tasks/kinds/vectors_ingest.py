"""`vectors.ingest`: documents are split into chunks and stored in a collection, where they are embedded."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from services.tasks.errors import PermanentFailure
from services.tasks.kinds.kind import Context, Kind
from shared.errors import ServiceError
from shared.schemas import LargeModel, PathText, Text

_BATCH = 64
_DOCUMENTS_A_DELETE = 32  # each takes two leaves of a filter, and a filter has at most 64
_STORE_SECONDS = 120.0
_CONFLICT = 409
_TEXT_BYTES = 2**20  # counted as the input is that it stands in, `MAX_INPUT_BYTES`
_BUSY, _TOO_MUCH_TEXT = "vectors.embeddings_busy", "vectors.too_much_text"

# The bounds of `vectors`, so that what it would refuse later is refused at once.
CollectionName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["handbook"])]
_OURS = frozenset({"document_id", "chunk"})
_Scalar = StrictBool | StrictInt | StrictFloat | Annotated[Text, Field(max_length=4096)]
MetadataValue = _Scalar | Annotated[list[_Scalar], Field(max_length=64)]
Metadata = dict[Annotated[Text, Field(min_length=1, max_length=64)], MetadataValue]


def _without_ours(metadata: Metadata) -> Metadata:
    if taken := _OURS & metadata.keys():
        raise ValueError(f"{', '.join(sorted(taken))}: set by the ingestion itself")
    return metadata


def _within_bytes(text: str) -> str:
    if (given := len(text.encode())) > _TEXT_BYTES:
        raise PydanticCustomError(
            "text_too_long", "Has {given} bytes in UTF-8; may have {most}.", {"given": given, "most": _TEXT_BYTES}
        )
    return text


DocumentText = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=_TEXT_BYTES,
        description=f"at most {_TEXT_BYTES} bytes in UTF-8, which is what the whole input may have as JSON",
        examples=["Refunds are paid within 14 days."],
    ),
    AfterValidator(_within_bytes),
]


class Document(LargeModel):
    """One text. Storing a document under the same id again replaces its chunks."""

    id: Annotated[PathText, Field(min_length=1, max_length=112)] | None = Field(
        default=None, description="made from the task's id when absent", examples=["refunds.md"]
    )
    text: DocumentText
    metadata: Annotated[Metadata, Field(max_length=62), AfterValidator(_without_ours)] = Field(
        default_factory=dict,
        description="of each chunk, beside its `document_id` and `chunk`",
        examples=[{"year": 2026}],
    )


class IngestInput(LargeModel):
    """Documents and where to put them."""

    collection: CollectionName
    engine: Literal["qdrant", "chroma", "faiss"] | None = Field(
        default=None, description="makes the collection with this engine when there is none", examples=["qdrant"]
    )
    documents: list[Document] = Field(min_length=1, max_length=1000)
    chunk_size: int = Field(default=1000, ge=100, le=8000, description="most characters of a chunk")
    chunk_overlap: int = Field(default=100, ge=0, le=4000, description="characters that neighbours share")

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> "IngestInput":
        if self.chunk_overlap * 2 > self.chunk_size:
            raise ValueError("chunk_overlap must be at most half of chunk_size")
        ids = [document.id for document in self.documents if document.id is not None]
        if len(set(ids)) < len(ids):
            raise ValueError("document ids must differ")
        return self


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document; its id is the same however often the document is split."""

    id: str
    document_id: str
    text: str
    metadata: dict[str, Any]

    def as_item(self) -> dict[str, Any]:
        return {"id": self.id, "text": self.text, "metadata": self.metadata}


def split(given: IngestInput, task_id: str) -> list[Chunk]:
    """All chunks, in order. Splits at the largest boundaries that fit: paragraphs, sentences, words."""
    from semantic_text_splitter import TextSplitter  # here: the API process does not need it

    splitter = TextSplitter(given.chunk_size, overlap=given.chunk_overlap)
    return [
        chunk
        for index, document in enumerate(given.documents)
        for chunk in _chunks_of(document, document.id or f"{task_id}-{index}", splitter.chunks(document.text))
    ]


def _chunks_of(document: Document, document_id: str, texts: list[str]) -> Iterator[Chunk]:
    for number, text in enumerate(texts):
        metadata = {**document.metadata, "document_id": document_id, "chunk": number}
        yield Chunk(f"{document_id}#{number}", document_id, text, metadata)


async def _ingest(context: Context, given: IngestInput) -> dict[str, Any]:
    """Store every chunk. A repeated attempt replaces what the one before had stored."""
    chunks = await asyncio.to_thread(split, given, context.task_id)
    if given.engine is not None:
        await _ensure_collection(context, given.collection, given.engine)
    context.progress(0, len(chunks), "storing")
    for start in range(0, len(chunks), _BATCH):
        batch = chunks[start : start + _BATCH]
        await _store(context, given.collection, batch)
        context.progress(start + len(batch), len(chunks), "storing")
    if chunks:
        await _delete_leftovers(context, given, chunks)
    return {"collection": given.collection, "documents": len(given.documents), "chunks": len(chunks)}


async def _delete_leftovers(context: Context, given: IngestInput, chunks: list[Chunk]) -> None:
    """What a longer text left behind that was stored under the same document id before."""
    counts = Counter(chunk.document_id for chunk in chunks)
    named = [document.id for document in given.documents if document.id is not None]
    for start in range(0, len(named), _DOCUMENTS_A_DELETE):
        beyond = [_beyond(name, counts[name]) for name in named[start : start + _DOCUMENTS_A_DELETE]]
        body = {"collection": given.collection, "filter": {"or": beyond}}
        await context.call("vectors", "POST", "/api/v1/vectors/delete", json=body, idempotent=True)


def _beyond(document_id: str, count: int) -> dict[str, Any]:
    """The chunks of a document from number `count` on."""
    return {
        "and": [
            {"field": "document_id", "op": "eq", "value": document_id},
            {"field": "chunk", "op": "gte", "value": count},
        ]
    }


async def _store(context: Context, collection: str, chunks: list[Chunk]) -> None:
    """In as many requests as the model of `vectors` has time for."""
    try:
        await _store_at_once(context, collection, chunks)
    except ServiceError as error:
        if error.code == _BUSY:  # nothing was done, and it says when there is room
            await asyncio.sleep(min(float(error.headers.get("Retry-After", 1)), context.remaining_seconds))
            await _store(context, collection, chunks)
        elif error.code == _TOO_MUCH_TEXT and len(chunks) > 1:
            middle = len(chunks) // 2
            await _store(context, collection, chunks[:middle])
            await _store(context, collection, chunks[middle:])
        else:
            raise


async def _store_at_once(context: Context, collection: str, chunks: list[Chunk]) -> None:
    await context.call(
        "vectors",
        "POST",
        "/api/v1/vectors/store",
        json={"collection": collection, "items": [chunk.as_item() for chunk in chunks]},
        timeout_seconds=_STORE_SECONDS,
        idempotent=True,  # same ids replace
    )


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
    description="Splits documents into chunks, embeds them and stores them in a collection.",
    input_model=IngestInput,
    run=_ingest,
    scopes=("vectors:write",),
    timeout_seconds=900,
)
