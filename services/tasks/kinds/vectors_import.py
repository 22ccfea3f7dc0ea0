"""`vectors.import`: the records of a file are stored in a collection."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from services.tasks.confined.room import Program
from services.tasks.dumps.failures import DumpDimension, DumpUnnamed, MetricMismatch, ModelMismatch
from services.tasks.dumps.form import MAX_FILE_BYTES, broken
from services.tasks.dumps.places import turn
from services.tasks.dumps.program import opened, scratch
from services.tasks.errors import PermanentFailure
from services.tasks.events import Done, Told
from services.tasks.kinds.collections import CollectionName, EngineName
from services.tasks.kinds.halving import in_halves
from services.tasks.kinds.kind import Context, Kind
from services.tasks.kinds.patience import patiently
from shared.errors import ServiceError
from shared.schemas import Id, LargeModel, Text

_STORE_SECONDS = 120.0
_INVALID = 422
_THERE = frozenset({"vectors.collection_exists", "vectors.alias_exists"})
_GOING = "deleting"
_ITEM = re.compile(r"/items/(\d+)/?(.*)", re.DOTALL)
Name = Annotated[Text, Field(min_length=1, max_length=64)]


class ImportInput(LargeModel):
    """Which file, and where to put its records."""

    file_id: Id
    collection: CollectionName | None = Field(
        default=None, description="made when there is none; without it the one that the file's header names"
    )
    engine: EngineName | None = Field(
        default=None, description="of a collection that is made; without it that of the header, or the default"
    )
    metric: Literal["cosine", "dot", "l2"] | None = Field(default=None, description="likewise")
    format: Literal["jsonl", "parquet", "chroma", "qdrant"] | None = Field(
        default=None, description="what the file must be; without it told by its content"
    )
    if_absent: bool = Field(default=False, description="leave records as they are whose ids are there already")
    text_field: Name | None = Field(default=None, description="of a Qdrant dump: which member of a payload is the text")
    vector_name: Name | None = Field(default=None, description="of a Qdrant dump: which of a point's vectors to keep")


async def _import(context: Context, given: ImportInput) -> dict[str, Any]:
    """Read all of the file, and only then store it; an attempt goes on where the one before had got to."""
    async with turn(context.ticket), scratch() as path:
        content = f"/api/v1/vectors/files/{given.file_id}/content"
        await context.download(content, path, most_bytes=MAX_FILE_BYTES)
        options = given.model_dump(include={"format", "text_field", "vector_name"})
        async with opened("read", path, options) as program:
            survey = await program.receive_json()
            assert survey is not None  # noqa: S101 - it is said before the end is
            context.log(f"the file is {survey['format']} and has {survey['records']} records")
            name, kept = await _collection(context, given, survey)
            start = min(context.done_before, survey["records"])
            if kept < start:  # it was made anew since, or holds an id of several lines once
                start = 0
            if start:
                context.log(f"going on behind {start} records that are stored already")
            context.progress(start, survey["records"], "storing")
            await _store_all(context, name, program, start, survey["records"], if_absent=given.if_absent)
    return {"collection": name, "format": survey["format"], "records": survey["records"]}


def _told(given: ImportInput, result: dict[str, Any]) -> Told:
    return Told(Done.IMPORTED, result["collection"], {"file_id": given.file_id})


async def _collection(context: Context, given: ImportInput, survey: dict[str, Any]) -> tuple[str, int]:
    """The collection's name, and how many records it has. Raises PermanentFailure when the one there is another."""
    header = survey["collection"] or {}
    wanted = {
        "name": given.collection or header.get("name"),
        "engine": given.engine or header.get("engine"),
        "metric": given.metric or header.get("metric"),
        "dimension": survey["dimension"],
        "model": header.get("model"),
    }
    if wanted["name"] is None:
        raise PermanentFailure(DumpUnnamed.code, "The file names no collection; name one in the input.")
    body = {member: value for member, value in wanted.items() if value is not None}
    try:
        await patiently(context, lambda: context.call("vectors", "POST", "/api/v1/vectors/collections", json=body))
    except ServiceError as error:
        if error.code not in _THERE:
            raise
        place = f"/api/v1/vectors/collections/{body['name']}"
        existing = (await patiently(context, lambda: context.call("vectors", "GET", place))).json()
        if existing["status"] == _GOING:
            raise
        _require_alike(existing, given, survey, header)
        return body["name"], existing["count"] or 0
    return body["name"], 0


def _require_alike(
    existing: dict[str, Any], given: ImportInput, survey: dict[str, Any], header: dict[str, Any]
) -> None:
    """Raises PermanentFailure where the collection that is there cannot take the records, or is not what was asked."""
    asked = {
        "engine": (given.engine, "tasks.engine_mismatch"),
        "metric": (given.metric, MetricMismatch.code),
        "dimension": (survey["dimension"], DumpDimension.code),
        "model": (header.get("model") if existing["model"] else None, ModelMismatch.code),
    }
    for member, (wanted, code) in asked.items():
        if wanted is not None and existing[member] != wanted:
            detail = (
                f"The collection {existing['name']!r} exists and its {member} is {existing[member]!r}, not {wanted!r}."
            )
            raise PermanentFailure(code, detail)


async def _store_all(
    context: Context, collection: str, program: Program, start: int, total: int, *, if_absent: bool
) -> None:
    while batch := await program.receive_json():
        skipped = max(0, start - batch["first"])
        items, places = batch["items"][skipped:], batch["places"][skipped:]
        if items:
            body = {"collection": collection, "if_absent": if_absent}
            await _store(context, body, items, places)
            context.progress(batch["first"] + len(batch["items"]), total, "storing")


async def _store(context: Context, body: dict[str, Any], items: list[Any], places: list[str]) -> None:
    """In as many requests as the model of `vectors` has time for. Raises PermanentFailure naming a refused record."""

    async def store(some: Sequence[tuple[Any, str]]) -> None:
        asked = body | {"items": [item for item, _ in some]}
        try:
            await patiently(context, lambda: _store_at_once(context, asked))
        except ServiceError as error:
            raise _named(error, [place for _, place in some]) or error from error

    await in_halves(list(zip(items, places, strict=True)), store)


async def _store_at_once(context: Context, body: dict[str, Any]) -> None:
    await context.call(
        "vectors",
        "POST",
        "/api/v1/vectors/store",
        json=body,
        timeout_seconds=_STORE_SECONDS,
        idempotent=True,  # same ids replace, or are there
    )


def _named(error: ServiceError, places: list[str]) -> PermanentFailure | None:
    """The refusal in the file's words, where it is about one record."""
    if error.status != _INVALID:
        return None
    for problem in error.errors:
        if found := _ITEM.fullmatch(problem.pointer):
            refused = broken(places[int(found[1])], ": ".join(filter(None, [found[2], problem.detail])))
            return PermanentFailure(refused.code, refused.detail)
    return None


VECTORS_IMPORT = Kind(
    name="vectors.import",
    description="Stores the records of a file in a collection: a dump of ours, of Chroma or of Qdrant.",
    input_model=ImportInput,
    run=_import,
    told=_told,
    scopes=("vectors:read", "vectors:write"),
    timeout_seconds=3600,
)
