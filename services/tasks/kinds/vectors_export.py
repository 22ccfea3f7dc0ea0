"""`vectors.export`: a collection is written into a file of the tenant's, page by page."""

from typing import Any, Literal
from urllib.parse import quote

import orjson
from pydantic import Field, model_validator

from services.tasks.dumps.failures import DumpTooLarge
from services.tasks.dumps.places import PLACES
from services.tasks.dumps.program import Program, running, scratch
from services.tasks.errors import PermanentFailure
from services.tasks.kinds.collections import CollectionName
from services.tasks.kinds.kind import Context, Kind
from services.tasks.kinds.patience import patiently
from shared.errors import ServiceError
from shared.schemas import LargeModel

_PAGE_RECORDS = 100
_PAGE_NUMBERS = 100_000  # of the vectors of a page: what is read in a few milliseconds
_MAX_BYTES = 2**30  # of the disk; what a tenant may keep as a file is for `vectors` to say
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
    """Write all records as they are found, and upload the file. Nothing is left of an attempt that breaks off."""
    place = f"/api/v1/vectors/collections/{quote(given.collection)}"
    read = (await patiently(context, lambda: context.call("vectors", "GET", place))).json()
    collection = {member: read[member] for member in _HEADER}
    options = {"collection": collection, **given.model_dump(include={"format", "gzip", "vectors"})}
    ending, media_type = _ENDINGS[given.format, given.gzip]
    async with PLACES.take(context.ticket), scratch() as path:
        async with running("write", path, options) as program:
            records = await _write(context, place, program, collection["dimension"])
        made = await context.upload("/api/v1/vectors/files", f"{collection['name']}{ending}", path, media_type)
    return {"file_id": made["id"], "records": records, "bytes": made["bytes"]}


async def _write(context: Context, place: str, program: Program, dimension: int) -> int:
    """The number of records. Raises PermanentFailure for a file beyond the bound."""
    limit = max(1, min(_PAGE_RECORDS, _PAGE_NUMBERS // dimension))
    cursor, done, total = None, 0, None
    while True:
        page, limit = await _page(context, place, cursor, limit, counted=total is None)
        found = orjson.loads(page)
        if total is None:
            total = found["count"]
        await program.send(page)
        written = await program.receive()
        if written and written["bytes"] > _MAX_BYTES:
            raise PermanentFailure(DumpTooLarge.code, f"The file would have more than {_MAX_BYTES} bytes.")
        done += len(found["items"])
        context.progress(done, max(done, total), "writing")
        cursor = found["next_cursor"]
        if cursor is None:
            break
    await program.send(b"")
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
    scopes=("vectors:read", "vectors:write"),
    timeout_seconds=3600,
)
