"""What a dump is: its formats, its header, its bounds, and how one is refused. The worker imports it: nothing heavy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from services.tasks.dumps.failures import DumpRecordInvalid, DumpUnknown, DumpVersion
from shared.words import Word

NAME: Final = "sutazai.vectors"
VERSION: Final = 1

# The bounds of `vectors`, so that what it would refuse later is refused before anything is stored.
MAX_ID_CHARS: Final = 128
MAX_TEXT_CHARS: Final = 16_384
MAX_DIMENSION: Final = 4096
MAX_RECORD_BYTES: Final = 4 * 2**20  # as JSON
# Of a dump, unpacked and as a file. A line holds any record that a store takes, and a page of another's dump.
MAX_LINE_BYTES: Final = 32 * 2**20
MAX_BYTES: Final = 4 * 2**30
MAX_FILE_BYTES: Final = 2**30  # of a worker's disk; what a tenant may keep as a file is for `vectors` to say
MAX_RECORDS: Final = 10_000_000


class DumpFormat(Word):
    """What a dump is written in."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    CHROMA = "chroma"
    QDRANT = "qdrant"


def broken(place: str, problem: str) -> DumpRecordInvalid:
    """What is wrong with one record, by its place."""
    return DumpRecordInvalid(f"{place[:1].upper()}{place[1:]}: {problem}")


class Row(NamedTuple):
    """A record as `POST /vectors/store` takes it, and where in the file it stands; `dimension` 0: without a vector."""

    place: str
    item: dict[str, Any]
    dimension: int


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may say about another's dump."""

    text_field: str | None = None
    vector_name: str | None = None


@dataclass(frozen=True, slots=True)
class Dump:
    """A file that was opened: `rows` goes through it from its beginning each time. It raises DumpRefused."""

    format: DumpFormat
    collection: dict[str, Any] | None
    """What the header says of the collection; None where there is none."""
    rows: Callable[[], Iterator[Row]]


def header(collection: dict[str, Any]) -> dict[str, Any]:
    """Of our own dumps: the first line of JSON Lines, the metadata of a Parquet schema."""
    return {"format": NAME, "version": VERSION, "collection": collection}


def collection_of(given: Any) -> dict[str, Any]:
    """What a header says of the collection. Raises DumpRefused, by name for a version that is not known here."""
    if not isinstance(given, dict) or given.get("format") != NAME:
        raise DumpUnknown(f"The file's header does not say that its format is {NAME!r}.")
    version, collection = given.get("version"), given.get("collection")
    if version != VERSION:
        raise DumpVersion(f"The dump is of version {version!r}; this installation reads {VERSION}.")
    if not isinstance(collection, dict):
        raise DumpUnknown("The file's header says nothing of its collection.")
    for member, kind in {"name": str, "engine": str, "metric": str, "model": str, "dimension": int}.items():
        value = collection.get(member)
        if value is not None and type(value) is not kind:
            raise DumpUnknown(f"The {member} in the file's header must be {'text' if kind is str else 'an integer'}.")
    return collection
