"""`vectors.ingest`: how documents become chunks, and what is asked of the vectors service."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from pydantic import ValidationError

from services.tasks.documents import process
from services.tasks.documents.bounds import AT_ONCE
from services.tasks.domain import Ticket
from services.tasks.errors import PermanentFailure
from services.tasks.kinds.ingest_input import IngestInput
from services.tasks.kinds.vectors_ingest import VECTORS_INGEST
from shared.errors import Relayed
from tests.data.documents.make import documents
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.tasks.fakes import RecordingContext, conflict

FILE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
STORE, COLLECTIONS = "POST /api/v1/vectors/store", "POST /api/v1/vectors/collections"
DELETE, TOKENS = "POST /api/v1/vectors/delete", "POST /api/v1/vectors/tokens"
NAMED = "/api/v1/vectors/collections/handbook"
TEXT = "\n\n".join(f"Paragraph {n}. " + "It says something about refunds. " * 8 for n in range(40))


def ingest(**fields: Any) -> dict[str, Any]:
    return {"collection": "handbook", "documents": [{"id": "refunds.md", "text": TEXT}], **fields}


def stores(call: str, body: Any) -> Any:
    """What vectors answers when nothing is there: a token is a word."""
    if call == TOKENS:
        return {"model": "m", "window_tokens": 500, "tokens": [len(text.split()) for text in body["texts"]]}
    return {"items": [], "name": "handbook"} if call.startswith("GET") else {}


async def test_every_chunk_is_stored_once_in_batches_with_progress() -> None:
    context = RecordingContext(stores)

    result = await VECTORS_INGEST.execute(context, ingest(chunk_size=100, chunk_overlap=0))

    batches = [body["items"] for body in context.bodies(STORE)]
    ids = [item["id"] for batch in batches for item in batch]
    assert ids == [f"refunds.md#{n}" for n in range(result["chunks"])]
    assert all(len(batch) <= 64 for batch in batches)
    assert len(batches) > 1
    assert context.reports[:2] == [(0, None), (0, len(ids))]  # how many they are is known once all is read
    assert context.reports[-1] == (len(ids), len(ids))
    assert result == {"collection": "handbook", "documents": 1, "chunks": len(ids), "unchanged": 0}


async def test_a_model_that_is_slow_or_busy_is_asked_for_less_or_later() -> None:
    busy = [True]

    def slow(call: str, body: Any) -> Any:
        if call == STORE and busy:
            busy.clear()
            raise Relayed(503, "vectors.embeddings_busy", "Busy", "later", headers={"Retry-After": "0"})
        if call == STORE and len(body["items"]) > 10:
            raise Relayed(422, "vectors.too_much_text", "Too much", "less")
        return stores(call, body)

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

    [item] = context.bodies(STORE)[0]["items"]
    assert (item["id"], item["text"]) == ("b#0", "short")
    assert item["metadata"].pop("digest")
    assert item["metadata"] == {"tags": ["x"], "draft": True, "document_id": "b", "chunk": 0}


async def test_named_documents_are_its_own_while_it_works() -> None:
    """By whatever name the collection is called; what only this task knows nobody else can ingest."""

    def answer(call: str, body: Any) -> Any:
        return {"name": "blue"} if call == f"GET {NAMED}" else stores(call, body)

    context = RecordingContext(answer)

    await VECTORS_INGEST.execute(context, ingest(documents=[{"id": "a/b", "text": "x"}, {"text": "nameless"}]))

    assert context.held == ["document:blue/a/b"]


async def test_a_collection_that_is_still_to_be_made_is_held_by_its_name() -> None:
    def answer(call: str, body: Any) -> Any:
        if call == f"GET {NAMED}":
            raise Relayed(404, "vectors.collection_not_found", "Not found", "none yet")
        return stores(call, body)

    context = RecordingContext(answer)

    await VECTORS_INGEST.execute(context, ingest())

    assert context.held == ["document:handbook/refunds.md"]


async def test_what_is_ingested_of_an_attached_file_is_brought_as_what_it_is_attached() -> None:
    about = {"id": FILE_ID, "name": "a.txt", "status": "ready", "media_type": "text/plain"}
    content = {f"/api/v1/vectors/files/{FILE_ID}/content": b"Refunds are paid within 14 days."}

    def kept(call: str, body: Any) -> Any:
        return about if call == f"GET /api/v1/vectors/files/{FILE_ID}" else stores(call, body)

    context = RecordingContext(kept, files=content)
    document, version = {"id": FILE_ID, "file_id": FILE_ID}, "01890a5d-ac96-774b-bcce-b302099a8058"

    await VECTORS_INGEST.execute(context, ingest(documents=[document], attached_as=version))

    brought = [body["attached_as"] for body in [*context.bodies(STORE), *context.bodies(DELETE)]]
    assert brought == [{"file_id": FILE_ID, "version": version}] * 2


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
    def exists(call: str, body: Any) -> Any:
        if call == COLLECTIONS:
            raise conflict("vectors.collection_exists")
        return {"name": "handbook", "engine": engine} if call == f"GET {NAMED}" else stores(call, body)

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


async def test_chunks_respect_the_bound_and_overlap() -> None:
    context = RecordingContext(stores)

    await VECTORS_INGEST.execute(context, ingest(chunk_size=200, chunk_overlap=50))

    texts = [item["text"] for body in context.bodies(STORE) for item in body["items"]]
    assert all(len(text) <= 200 for text in texts)
    assert "".join(TEXT.split())[:50] in "".join("".join(text.split()) for text in texts)
    assert texts[1].startswith("It says something about refunds.")
    assert texts[0].endswith("It says something about refunds.")
    assert context.bodies(TOKENS) == []


async def test_chunks_are_as_large_as_the_model_counts() -> None:
    context = RecordingContext(stores)

    await VECTORS_INGEST.execute(context, ingest(chunk_tokens=60, overlap_tokens=0))

    words = [len(item["text"].split()) for body in context.bodies(STORE) for item in body["items"]]
    assert max(words) <= 60
    assert sum(words) == len(TEXT.split())
    assert sum(words) / len(words) > 40
    assert len(context.bodies(TOKENS)) < len(words) / 5


async def test_chunks_that_the_model_would_not_read_at_once_are_refused() -> None:
    context = RecordingContext(stores)

    with pytest.raises(PermanentFailure) as refused:
        await VECTORS_INGEST.execute(context, ingest(chunk_tokens=501))

    assert refused.value.code == "tasks.chunks_too_large"
    assert context.bodies(STORE) == []


async def test_what_is_there_is_not_stored_again() -> None:
    there: dict[str, str] = {}

    def remembers(call: str, body: Any) -> Any:
        if call == STORE:
            there.update({item["id"]: item["metadata"]["digest"] for item in body["items"]})
        if call.startswith("GET") and "filter" in call:
            asked = orjson.loads(parse_qs(urlsplit(call).query)["filter"][0])["value"]
            return {"items": [{"id": one} for one, digest in there.items() if digest in asked]}
        return stores(call, body)

    first, second, third = (RecordingContext(remembers, attempt=n) for n in (1, 2, 1))
    changed = TEXT.replace("Paragraph 39", "Paragraph forty")

    done = await VECTORS_INGEST.execute(first, ingest())
    again = await VECTORS_INGEST.execute(second, ingest())
    other = await VECTORS_INGEST.execute(third, ingest(documents=[{"id": "refunds.md", "text": changed}]))

    assert (done["unchanged"], again["unchanged"]) == (0, again["chunks"])
    assert second.bodies(STORE) == []
    assert second.reports[-1] == (again["chunks"], again["chunks"])
    assert other["chunks"] - other["unchanged"] == 1


async def test_an_empty_document_takes_away_what_it_had() -> None:
    context = RecordingContext(stores)

    result = await VECTORS_INGEST.execute(context, ingest(documents=[{"id": "gone", "text": ""}]))

    assert result["chunks"] == 0
    [body] = context.bodies(DELETE)
    assert body["filter"]["or"][0]["and"][1] == {"field": "chunk", "op": "gte", "value": 0}


async def test_many_small_documents_are_measured_together() -> None:
    context = RecordingContext(stores)
    many = [{"id": f"d{n}", "text": f"# Title\n\nText {n}." if n % 2 else f"Text {n}."} for n in range(450)]

    result = await VECTORS_INGEST.execute(context, ingest(documents=many))

    items = [item for body in context.bodies(STORE) for item in body["items"]]
    assert len(context.bodies(TOKENS)) <= 5
    assert result["chunks"] == 450
    assert [(item["id"], f"Text {n}." in item["text"]) for n, item in enumerate(items)] == [
        (f"d{n}#0", True) for n in range(450)
    ]


async def test_a_section_is_a_chunk_with_the_titles_that_it_stands_under() -> None:
    context = RecordingContext(stores)
    text = "# Guide\n\n## Refunds\n\nWithin 14 days.\n\n## Returns\n\nBy post."

    await VECTORS_INGEST.execute(context, ingest(documents=[{"id": "g", "text": text, "type": "markdown"}]))

    items = context.bodies(STORE)[0]["items"]
    assert [item["metadata"]["headings"] for item in items] == [["Guide", "Refunds"], ["Guide", "Returns"]]
    assert [item["text"] for item in items] == ["Guide\n\nRefunds\n\nWithin 14 days.", "Returns\n\nBy post."]


async def test_a_file_is_fetched_read_and_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    about = {"id": FILE_ID, "name": "museum.pdf", "status": "ready", "media_type": "application/pdf"}

    def kept(call: str, body: Any) -> Any:
        return about if call == f"GET /api/v1/vectors/files/{FILE_ID}" else stores(call, body)

    context = RecordingContext(kept, files={f"/api/v1/vectors/files/{FILE_ID}/content": documents()["museum.pdf"]})
    await VECTORS_INGEST.execute(context, ingest(documents=[{"id": "m", "file_id": FILE_ID}]))

    items = context.bodies(STORE)[0]["items"]
    assert [item["metadata"].get("page") for item in items] == [1, 1, 2]
    assert items[2]["metadata"]["headings"] == ["Tickets"]
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_a_file_that_is_not_there_whole_ends_the_task() -> None:
    about = {"id": FILE_ID, "name": "a.txt", "status": "uploading", "media_type": "text/plain"}

    with pytest.raises(PermanentFailure) as refused:
        await VECTORS_INGEST.execute(
            RecordingContext(lambda *_: about), ingest(documents=[{"id": "m", "file_id": FILE_ID}])
        )

    assert refused.value.code == "tasks.file_not_ready"


@pytest.mark.parametrize(
    "change",
    [
        {"collection": "No Spaces"},
        {"engine": "lucene"},
        {"documents": []},
        {"documents": [{"text": "x"}] * 1001},
        {"documents": [{"id": "same", "text": "x"}, {"id": "same", "text": "y"}]},
        {"documents": [{"text": "x", "metadata": {"chunk": 1}}]},
        {"documents": [{"text": "x", "metadata": {"headings": ["mine"]}}]},
        {"documents": [{"text": "x", "metadata": {"page": 1}}]},
        {"documents": [{"text": "x", "metadata": {str(n): n for n in range(60)}}]},
        {"documents": [{"text": "x", "file_id": FILE_ID}]},
        {"documents": [{"metadata": {}}]},
        {"documents": [{"file_id": "../etc/passwd"}]},
        {"documents": [{"text": "x", "type": "pdf"}]},
        {"documents": [{"text": "x", "type": "epub"}]},
        {"attached_as": FILE_ID, "documents": [{"text": "x"}]},
        {"attached_as": FILE_ID, "documents": [{"id": "a", "file_id": FILE_ID}]},
        {"attached_as": FILE_ID, "documents": [{"id": FILE_ID, "file_id": FILE_ID}, {"text": "x"}]},
        {"chunk_tokens": 31},
        {"chunk_tokens": 200, "chunk_size": 1000},
        {"overlap_tokens": 30, "chunk_overlap": 100},
        {"chunk_tokens": 100, "overlap_tokens": 51},
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


async def test_a_tenants_many_tasks_do_not_keep_anothers_from_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read, turn, turns = list[str](), process.turn, list[str]()

    @asynccontextmanager
    async def noted(tenant: str) -> AsyncIterator[None]:
        async with turn(tenant):
            turns.append(tenant)
            yield

    async def ingest_json(task: str, tenant: str) -> None:
        given = ingest(documents=[{"id": "a", "text": '["x"]', "type": "json"}], chunk_size=100)
        context = RecordingContext(stores, task_id=task, ticket=Ticket(task, tenant, "user"))
        await VECTORS_INGEST.execute(context, given)
        read.append(task)

    monkeypatch.setattr(process, "turn", noted)
    async with AsyncExitStack() as held:
        for _ in range(AT_ONCE):
            await held.enter_async_context(turn("before"))
        tasks = [*((str(number), "many") for number in range(8)), ("other", "one")]
        running = [asyncio.create_task(ingest_json(*task)) for task in tasks]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(process._TURNS) < len(tasks):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
    await asyncio.gather(*running)

    assert "one" in turns[:AT_ONCE]  # with the first; how long it takes then is its own
    assert "other" in read
