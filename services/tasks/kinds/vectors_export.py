"""`vectors.export`: a collection is written into a file of the tenant's, page by page."""

from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson
from pydantic import Field, model_validator

from services.tasks.confined.room import Program
from services.tasks.dumps.failures import DumpTooLarge
from services.tasks.dumps.form import MAX_FILE_BYTES
from services.tasks.dumps.places import turn
from services.tasks.dumps.program import opened, scratch
from services.tasks.errors import PermanentFailure
from services.tasks.events import Done, Told
from services.tasks.kinds.collections import CollectionName
from services.tasks.kinds.kind import Context, Kind
from services.tasks.kinds.listing import listed
from services.tasks.kinds.patience import patiently
from shared.errors import ServiceError
from shared.schemas import LargeModel

_FILES = "/api/v1/vectors/files"
_PAGE_RECORDS = 100
_PAGE_NUMBERS = 100_000  # of the vectors of a page: what is read in a few milliseconds
_TOO_LARGE = "vectors.answer_too_large"
_HEADER = ("name", "engine", "dimension", "metric", "model")
_ENDINGS = {
    ("jsonl", False): (".jsonl", "application/jsonl"),
    ("jsonl", True): (".jsonl.gz", "application/gzip"),
    ("parquet", False): (".parquet", "application/vnd.apache.parquet"),
}


class ExportInput(LargeModel):
    """What to write, and how."""

    collection: CollectionName
    format: Literal["jsonl", "parquet"] = Field(default="jsonl", description="JSON Lines, or Parquet")
    gzip: bool = Field(default=False, description="compress JSON Lines; Parquet is compressed by itself")
    vectors: Literal["list", "base64"] = Field(
        default="list", description="in JSON Lines: numbers, or the base64 of little-endian 32-bit floats"
    )

    @model_validator(mode="after")
    def _fits_the_format(self) -> "ExportInput":
        if self.format == "parquet" and (self.gzip or self.vectors != "list"):
            raise ValueError("gzip and vectors are for the format 'jsonl'")
        return self


async def _export(context: Context, given: ExportInput) -> dict[str, Any]:
    """Write all records as they are found, and upload the file under a name that is the task's alone."""
    place = f"/api/v1/vectors/collections/{quote(given.collection)}"
    read = (await patiently(context, lambda: context.call("vectors", "GET", place))).json()
    collection = {member: read[member] for member in _HEADER}
    options = {"collection": collection, **given.model_dump(include={"format", "gzip", "vectors"})}
    ending, media_type = _ENDINGS[given.format, given.gzip]
    if context.attempt > 1:
        await _delete_leftovers(context)
    most = await _most_bytes(context)
    _require_possible(given, collection["dimension"], read["count"] or 0, most)
    async with turn(context.ticket), scratch() as path:
        async with opened("write", path, options) as program:
            records = await _write(context, place, program, collection["dimension"], most)
        context.log(f"{records} records written into a file")
        name = f"{collection['name']}-{context.task_id}{ending}"
        made = await context.upload(_FILES, name, path, media_type)
    return {"collection": collection["name"], "file_id": made["id"], "records": records, "bytes": made["bytes"]}


async def _most_bytes(context: Context) -> int:
    """That the file may have: of a worker's disk, of what vectors take as a file, and of the tenant's quota."""
    usage = (await patiently(context, lambda: context.call("vectors", "GET", "/api/v1/vectors/usage"))).json()
    limits, kept = usage["limits"], usage["file_bytes"]
    most = [MAX_FILE_BYTES, limits.get("one_file_bytes") or MAX_FILE_BYTES]  # vectors of before tell none
    if limits["file_bytes"] is not None and kept is not None:
        most.append(max(0, limits["file_bytes"] - kept))
    return min(most)


def _require_possible(given: ExportInput, dimension: int, records: int, most: int) -> None:
    """Raises PermanentFailure where the vectors alone take more, whatever they are; packed ones may take less."""
    if given.format == "jsonl" and not given.gzip:
        least = records * (dimension * 4 * 4 // 3 if given.vectors == "base64" else dimension * 2)
        if least > most:
            raise _too_large(most)


def _too_large(most: int) -> PermanentFailure:
    detail = f"The file would have more than the {most} bytes that may be kept of it; other formats are smaller."
    return PermanentFailure(DumpTooLarge.code, detail)


async def _delete_leftovers(context: Context) -> None:
    """The file of an attempt that was killed after its upload: the only one of a name with the task's id in it."""

    async def get(path: str) -> httpx.Response:
        return await patiently(context, lambda: context.call("vectors", "GET", path))

    async for file in listed(get, _FILES):
        if context.task_id in file["name"]:
            await context.call("vectors", "DELETE", f"{_FILES}/{file['id']}", idempotent=True)


async def _give_up(context: Context, _given: ExportInput) -> None:
    """Nothing is left of a task that ended without telling which file it made."""
    await _delete_leftovers(context)


def _told(_given: ExportInput, result: dict[str, Any]) -> Told:
    return Told(Done.EXPORTED, result["collection"], {"file_id": result["file_id"]})


async def _write(context: Context, place: str, program: Program, dimension: int, most: int) -> int:
    """The number of records. Raises PermanentFailure as soon as the file has more than `most` bytes."""
    limit = max(1, min(_PAGE_RECORDS, _PAGE_NUMBERS // dimension))
    cursor, done, total = None, 0, None
    while True:
        page, limit = await _page(context, place, cursor, limit, counted=total is None)
        found = orjson.loads(page)
        if total is None:
            total = found["count"]
        await program.send(page)
        written = await program.receive_json()
        if written and written["bytes"] > most:
            raise _too_large(most)
        done += len(found["items"])
        context.progress(done, max(done, total), "writing")
        cursor = found["next_cursor"]
        if cursor is None:
            break
    await program.end()
    await program.receive()
    return done


async def _page(context: Context, place: str, cursor: str | None, limit: int, *, counted: bool) -> tuple[bytes, int]:
    """A page as it was answered, and with how many records: fewer where their texts are long."""
    while True:
        query = f"limit={limit}&include_vectors=true&count={'true' if counted else 'false'}"
        path = f"{place}/records?{query}" + (f"&cursor={quote(cursor)}" if cursor else "")
        try:
            answer = await patiently(context, lambda: context.call("vectors", "GET", path))  # noqa: B023 - awaited here
        except ServiceError as error:
            if error.code != _TOO_LARGE or limit == 1:
                raise
            limit //= 2
        else:
            return answer.content, limit


VECTORS_EXPORT = Kind(
    name="vectors.export",
    description="Writes a collection into a file, as JSON Lines or Parquet; the result names the file.",
    input_model=ExportInput,
    run=_export,
    give_up=_give_up,
    told=_told,
    scopes=("vectors:read", "vectors:write"),
    timeout_seconds=3600,
)
