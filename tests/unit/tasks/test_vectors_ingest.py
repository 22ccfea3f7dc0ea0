"""`vectors.ingest`: how documents become chunks, and what is asked of the vectors service."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.tasks.errors import PermanentFailure
from services.tasks.kinds.vectors_ingest import VECTORS_INGEST, IngestInput, split
from shared.errors import Relayed
from tests.unit.tasks.fakes import RecordingContext, conflict

STORE, COLLECTIONS = "POST /api/v1/vectors/store", "POST /api/v1/vectors/collections"
DELETE = "POST /api/v1/vectors/delete"
TEXT = "\n\n".join(f"Paragraph {n}. " + "It says something about refunds. " * 8 for n in range(40))


def ingest(**fields: Any) -> dict[str, Any]:
    return {"collection": "handbook", "documents": [{"id": "refunds.md", "text": TEXT}], **fields}


def stores(_call: str, _body: Any) -> Any:
    return {}


async def test_every_chunk_is_stored_once_in_batches_with_progress() -> None:
    context = RecordingContext(stores)

    result = await VECTORS_INGEST.execute(context, ingest(chunk_size=100, chunk_overlap=0))

    batches = [body["items"] for body in context.bodies(STORE)]
    ids = [item["id"] for batch in batches for item in batch]
    assert ids == [f"refunds.md#{n}" for n in range(result["chunks"])]
    assert all(len(batch) <= 64 for batch in batches)
    assert len(batches) > 1
    assert context.reports[0] == (0, len(ids))
    assert context.reports[-1] == (len(ids), len(ids))
    assert result == {"collection": "handbook", "documents": 1, "chunks": len(ids)}


async def test_a_model_that_is_slow_or_busy_is_asked_for_less_or_later() -> None:
    busy = [True]

    def slow(call: str, body: Any) -> Any:
        if call == STORE and busy:
            busy.clear()
            raise Relayed(503, "vectors.embeddings_busy", "Busy", "later", headers={"Retry-After": "0"})
        if call == STORE and len(body["items"]) > 10:
            raise Relayed(422, "vectors.too_much_text", "Too much", "less")
        return {}

    context = RecordingContext(slow)

    result = await VECTORS_INGEST.execute(context, ingest(chunk_size=100, chunk_overlap=0))

    stored = [item["id"] for body in context.bodies(STORE) if len(body["items"]) <= 10 for item in body["items"]]
    assert stored == [f"refunds.md#{n}" for n in range(result["chunks"])]


async def test_a_repetition_stores_the_same_chunks() -> None:
    first, second = RecordingContext(stores), RecordingContext(stores, attempt=2)
    given = ingest(documents=[{"text": TEXT}, {"id": "b", "text": "short", "metadata": {"year": 2026}}])

    await VECTORS_INGEST.execute(first, given)
    await VECTORS_INGEST.execute(second, given)

    assert first.calls == second.calls
    assert first.bodies(STORE)[0]["items"][0]["id"] == f"{first.task_id}-0#0"


async def test_chunks_carry_where_they_are_from() -> None:
    context = RecordingContext(stores)

    await VECTORS_INGEST.execute(
        context, ingest(documents=[{"id": "b", "text": "short", "metadata": {"tags": ["x"], "draft": True}}])
    )

    assert context.bodies(STORE)[0]["items"] == [
        {"id": "b#0", "text": "short", "metadata": {"tags": ["x"], "draft": True, "document_id": "b", "chunk": 0}}
    ]


async def test_what_a_longer_text_left_behind_is_deleted() -> None:
    context = RecordingContext(stores)
    documents = [{"id": f"d{n}", "text": "short"} for n in range(40)] + [{"text": "nameless"}]

    await VECTORS_INGEST.execute(context, ingest(documents=documents))

    filters = [body["filter"]["or"] for body in context.bodies(DELETE)]
    assert [len(one) for one in filters] == [32, 8]
    assert filters[0][0] == {
        "and": [
            {"field": "document_id", "op": "eq", "value": "d0"},
            {"field": "chunk", "op": "gte", "value": 1},
        ]
    }


async def test_the_collection_is_made_first_with_the_engine_asked_for() -> None:
    context = RecordingContext(stores)

    await VECTORS_INGEST.execute(context, ingest(engine="faiss"))

    assert context.calls[0][:2] == (COLLECTIONS, {"name": "handbook", "engine": "faiss"})


@pytest.mark.parametrize(("engine", "works"), [("faiss", True), ("chroma", False)])
async def test_a_collection_that_exists_must_have_the_engine_asked_for(engine: str, works: bool) -> None:
    def exists(call: str, _body: Any) -> Any:
        if call == COLLECTIONS:
            raise conflict("vectors.collection_exists")
        return {"name": "handbook", "engine": engine}

    context = RecordingContext(exists)
    run = VECTORS_INGEST.execute(context, ingest(engine="faiss"))

    if works:
        assert (await run)["documents"] == 1
    else:
        with pytest.raises(PermanentFailure, match="'chroma', not 'faiss'"):
            await run


async def test_a_document_of_blanks_has_no_chunks() -> None:
    context = RecordingContext(stores)

    result = await VECTORS_INGEST.execute(context, ingest(documents=[{"text": "  \n\n "}]))

    assert (result["chunks"], context.calls) == (0, [])


def test_chunks_respect_the_bound_and_overlap() -> None:
    given = IngestInput.model_validate(ingest(chunk_size=200, chunk_overlap=50))

    chunks = split(given, "task")

    assert all(len(chunk.text) <= 200 for chunk in chunks)
    assert "".join(TEXT.split())[:50] in "".join("".join(chunk.text.split()) for chunk in chunks)


@pytest.mark.parametrize(
    "change",
    [
        {"collection": "No Spaces"},
        {"engine": "lucene"},
        {"documents": []},
        {"documents": [{"text": "x"}] * 1001},
        {"documents": [{"id": "same", "text": "x"}, {"id": "same", "text": "y"}]},
        {"documents": [{"text": "x", "metadata": {"chunk": 1}}]},
        {"documents": [{"text": "x", "metadata": {"nested": {"a": 1}}}]},
        {"documents": [{"text": "nul \x00"}]},
        {"documents": [{"id": "i" * 113, "text": "x"}]},
        {"chunk_size": 99},
        {"chunk_size": 200, "chunk_overlap": 101},
        {"unknown": 1},
    ],
)
def test_what_vectors_would_refuse_is_refused_at_submit(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestInput.model_validate(ingest(**change))


def test_a_text_is_bounded_in_bytes_as_the_input_is_that_it_stands_in() -> None:
    def given(text: str) -> dict[str, Any]:
        return ingest(documents=[{"text": text}])

    assert IngestInput.model_validate(given("語" * (2**20 // 3))).documents[0].text
    with pytest.raises(ValidationError, match="1048577 bytes in UTF-8; may have 1048576"):
        IngestInput.model_validate(given("語" * (2**20 // 3) + "xy"))
