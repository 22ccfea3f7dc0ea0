"""`vectors.export`: what is asked of vectors, and what becomes of its pages."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from services.tasks.errors import PermanentFailure
from services.tasks.events import Done, Told
from services.tasks.kinds.vectors_export import VECTORS_EXPORT, ExportInput
from shared.errors import Relayed
from tests.unit.tasks.dumping import FilesContext, read
from tests.unit.tasks.fakes import RecordingContext

COLLECTION = {"name": "cats", "engine": "faiss", "dimension": 2, "metric": "l2", "model": "m", "status": "ready"}


def record(number: int) -> dict[str, Any]:
    return {"id": f"{number:03}", "text": None, "metadata": {}, "vector": [number, 1]}


def pages(
    records: int,
    *,
    refuse: list[Exception] | None = None,
    most: int = 100,
    one_file: int = 2**30,
    quota: int | None = None,
    files: list[dict[str, Any]] | None = None,
) -> Any:
    """A collection of so many records; `refuse` is what the next pages meet, `most` what one may have.

    A file may have `one_file` bytes, the tenant's `quota`; `files` are there.
    """
    waiting = refuse or []

    def answer(call: str, _body: Any) -> Any:
        if call.startswith("GET /api/v1/vectors/usage"):
            return {"limits": {"file_bytes": quota, "one_file_bytes": one_file}, "file_bytes": 0}
        if "/vectors/files" in call:
            return {"items": files or [], "next_cursor": None}
        asked = urlsplit(call.removeprefix("GET "))
        if not asked.path.endswith("/records"):
            return COLLECTION | {"count": records}
        if waiting:
            raise waiting.pop()
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if int(query["limit"]) > most:
            raise Relayed(422, "vectors.answer_too_large", "Too large", "less")
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        end = min(start + limit, records)
        count = records if query["count"] == "true" else None
        items = [record(number) for number in range(start, end)]
        return {"items": items, "next_cursor": str(end) if end < records else None, "count": count}

    return answer


async def export(context: FilesContext, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """The result, and the ids in the file."""
    result = await VECTORS_EXPORT.execute(context, {"collection": "cats", **fields})
    return result, [item["id"] for item in (await read(context.uploaded[-1][2]))[1]]


async def test_every_page_is_in_the_file_with_progress() -> None:
    context = FilesContext(pages(250))

    result, ids = await export(context)

    name, media_type, content = context.uploaded[0]
    assert result == {"collection": "cats", "file_id": "made", "records": 250, "bytes": len(content)}
    assert ids == [f"{number:03}" for number in range(250)]
    assert context.reports == [(100, 250), (200, 250), (250, 250)]
    assert (name, media_type) == (f"cats-{context.task_id}.jsonl", "application/jsonl")


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"gzip": True}, "jsonl.gz"), ({"format": "parquet"}, "parquet")],
    ids=["gzip", "parquet"],
)
async def test_the_file_is_what_was_asked_for(fields: dict[str, Any], name: str) -> None:
    context = FilesContext(pages(3))

    _, ids = await export(context, **fields)

    assert (ids, context.uploaded[0][0]) == (["000", "001", "002"], f"cats-{context.task_id}.{name}")


async def test_an_empty_collection_is_a_file_too() -> None:
    context = FilesContext(pages(0))

    result, ids = await export(context)

    assert (result["records"], ids, context.reports) == (0, [], [(0, 0)])


async def test_long_texts_are_asked_for_in_smaller_pages() -> None:
    _, ids = await export(FilesContext(pages(60, most=25)))

    assert len(ids) == 60


async def test_vectors_that_are_away_for_a_moment_cost_nothing() -> None:
    away = Relayed(503, "vectors.unavailable", "Unavailable", "later", headers={"Retry-After": "0"})
    context = FilesContext(pages(150, refuse=[away]))

    _, ids = await export(context)

    assert len(ids) == 150


async def test_what_vectors_refuse_ends_it_and_nothing_is_uploaded() -> None:
    lost = Relayed(404, "vectors.collection_not_found", "Not found", "gone")
    context = FilesContext(pages(150, refuse=[lost]))

    with pytest.raises(Relayed):
        await export(context)

    assert context.uploaded == []


@pytest.mark.parametrize("bound", ["one_file", "quota"])
async def test_what_may_not_be_kept_is_refused_while_it_is_written(bound: str) -> None:
    bounds: dict[str, Any] = {bound: 9_000}
    context = FilesContext(pages(1000, **bounds))

    with pytest.raises(PermanentFailure, match="more than the 9000 bytes") as refused:
        await export(context)

    asked = [call for call, _, _ in context.calls if "/records" in call]
    assert (refused.value.code, context.uploaded) == ("tasks.dump_too_large", [])
    assert len(asked) < 10


@pytest.mark.parametrize("fields", [{}, {"vectors": "base64"}], ids=["list", "base64"])
async def test_what_its_vectors_alone_make_too_large_is_not_begun(fields: dict[str, Any]) -> None:
    context = FilesContext(pages(10_000, one_file=39_999))

    with pytest.raises(PermanentFailure) as refused:
        await export(context, **fields)

    assert refused.value.code == "tasks.dump_too_large"
    assert [call for call, _, _ in context.calls if "/records" in call] == []


def left_behind() -> list[dict[str, Any]]:
    """The file of a former attempt, among others."""
    names = ["cats.jsonl", f"cats-{RecordingContext.task_id}.jsonl", "cats-01890a5d-0000.jsonl"]
    return [{"id": f"file-{at}", "name": name} for at, name in enumerate(names)]


def deleted(context: FilesContext) -> list[str]:
    return [call for call, _, _ in context.calls if call.startswith("DELETE")]


@pytest.mark.parametrize(("attempt", "expected"), [(1, []), (2, ["DELETE /api/v1/vectors/files/file-1"])])
async def test_the_file_of_a_killed_attempt_is_replaced(attempt: int, expected: list[str]) -> None:
    context = FilesContext(pages(3, files=left_behind()), attempt=attempt)

    await export(context)

    assert deleted(context) == expected


async def test_what_ended_in_vain_leaves_no_file() -> None:
    context = FilesContext(pages(3, files=left_behind()))

    await VECTORS_EXPORT.take_away(context, {"collection": "cats"})

    assert deleted(context) == ["DELETE /api/v1/vectors/files/file-1"]


def test_an_export_is_told() -> None:
    told = VECTORS_EXPORT.tells({"collection": "now"}, {"collection": "cats", "file_id": "made"})

    assert told == Told(Done.EXPORTED, "cats", {"file_id": "made"})


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "csv"},
        {"format": "parquet", "gzip": True},
        {"format": "parquet", "vectors": "base64"},
        {"filter": {}},
    ],
    ids=["format", "gzip", "base64", "unknown"],
)
def test_what_means_nothing_is_refused_at_submit(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExportInput.model_validate({"collection": "cats", **fields})
