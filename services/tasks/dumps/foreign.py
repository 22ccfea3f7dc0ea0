"""Other databases' dumps, as far as their forms are documented.

Chroma has no dump, but documents what `Collection.get` answers: lists beside each other
(https://docs.trychroma.com/docs/querying-collections/query-and-get). Qdrant documents the answer of `points/scroll`
(https://api.qdrant.tech/api-reference/points/scroll-points); its snapshots are archives of its own files, and those
are not.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.tasks.dumps import lines
from services.tasks.dumps.failures import DumpSnapshot
from services.tasks.dumps.form import DumpFormat, Options, Row, broken
from services.tasks.dumps.rows import made, packed, parsed

_DEPTH = 32  # a path of more has no name that a record takes
Page = Callable[[str, dict[str, Any], Options], Iterator[Row]]


def format_of(value: Any) -> DumpFormat | None:
    """Whose answer `value` is, None when nobody's."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("ids"), list) and value.keys() & {"embeddings", "documents"}:
        return DumpFormat.CHROMA
    return None if _points(value) is None else DumpFormat.QDRANT


def rows(path: Path, kind: DumpFormat, options: Options, *, is_one_value: bool) -> Iterator[Row]:
    """Of one JSON value, or of a line for each page. Raises DumpRefused."""
    read = _chroma if kind is DumpFormat.CHROMA else _qdrant
    pages = iter([(1, lines.whole(path))]) if is_one_value else lines.read(path)
    for number, text in pages:
        place = "the file" if is_one_value else f"line {number}"
        value = parsed(place, text)
        if format_of(value) is not kind:
            raise broken(place, f"Is no answer of {kind.title()}.")
        yield from read(place, value, options)


def _chroma(place: str, value: dict[str, Any], _options: Options) -> Iterator[Row]:
    ids = value["ids"]
    for member in ("uris", "data"):
        if any(one is not None for one in _column(place, value, member, len(ids))):
            raise broken(place, f"{member!r} has no place in a record; leave it out of 'include'.")
    texts, vectors, metadatas = (
        _column(place, value, member, len(ids)) for member in ("documents", "embeddings", "metadatas")
    )
    for at, record_id in enumerate(ids):
        where = f"{place}, record {at + 1}"
        flat = _flat(where, {} if metadatas[at] is None else metadatas[at])
        yield made(where, record_id, _text(texts[at]), flat, packed(where, vectors[at]))


def _column(place: str, value: dict[str, Any], member: str, count: int) -> list[Any]:
    """What stands in `member` for each of `count` ids; nothing for any where it is null, or empty."""
    column = value.get(member)
    if column is None or column == []:
        return [None] * count
    if not isinstance(column, list) or len(column) != count:
        raise broken(place, f"{member!r} must be a list as long as 'ids'.")
    return column


def _text(value: Any) -> Any:
    """Others keep empty texts; here a record has a text or none."""
    return None if value == "" else value


def _qdrant(place: str, value: dict[str, Any], options: Options) -> Iterator[Row]:
    for at, point in enumerate(_points(value) or []):
        where = f"{place}, point {at + 1}"
        if not isinstance(point, dict) or type(point.get("id")) not in (int, str):
            raise broken(where, "A point must be an object with an 'id'.")
        payload = point.get("payload")
        flat = _flat(where, {} if payload is None else payload)
        text = _text(flat.pop(options.text_field, None)) if options.text_field else None
        vector = packed(where, _dense(where, point.get("vector"), options.vector_name))
        yield made(where, str(point["id"]), text, flat, vector)


def _points(value: dict[str, Any]) -> list[Any] | None:
    """Of an answer as it is sent, or as its `result` alone."""
    result = value.get("result", value)
    points = result.get("points") if isinstance(result, dict) else None
    return points if isinstance(points, list) else None


def _dense(place: str, vector: Any, name: str | None) -> Any:
    """The one vector that a record keeps, of those that a point has by name."""
    if not isinstance(vector, dict):
        if name:
            raise broken(place, f"There is no vector named {name!r}: its vector has no name.")
        return vector
    if name is None and len(vector) == 1:
        return next(iter(vector.values()))
    if name not in vector:
        named = ", ".join(sorted(map(repr, vector))) or "none"
        raise broken(place, f"Name one of its vectors in 'vector_name'; there are {named[:200]}.")
    return vector[name]


def _flat(place: str, members: Any, above: str = "", depth: int = 0) -> dict[str, Any]:
    """Metadata of one level: what lies deeper is named by its path, as Qdrant's own filters do; null is left out."""
    if not isinstance(members, dict):
        raise broken(place, "Its metadata must be an object.")
    if depth > _DEPTH:
        raise broken(place, f"Its metadata has more than {_DEPTH} objects within one another.")
    found: dict[str, Any] = {}
    for key, value in members.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            found |= _flat(place, value, f"{name}.", depth + 1)
        elif isinstance(value, list) and any(one is None or isinstance(one, dict | list) for one in value):
            raise broken(place, f"The list {name[:64]!r} may hold text, numbers and booleans only.")
        elif value is not None:
            found[name] = value
    return found


def refuse_archive(head: bytes) -> None:
    """Raises DumpRefused for a Qdrant snapshot, which is a tar archive."""
    if head[257:262] == b"ustar":
        detail = (
            "The file is a tar archive, as Qdrant's snapshots are: only Qdrant reads those. "
            "Send the answers of its points/scroll."
        )
        raise DumpSnapshot(detail)
