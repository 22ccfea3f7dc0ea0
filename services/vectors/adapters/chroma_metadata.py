"""How records lie in ChromaDB's metadata, and conditions in its language of filters."""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from services.vectors.domain import MAX_ANSWER_BYTES, EngineName, Metadata, Op, Record
from services.vectors.errors import UnsupportedCapability
from services.vectors.terms import (
    AllOf,
    AnyOf,
    Condition,
    HasAnyTerm,
    HasTerm,
    NoneOf,
    NumberPast,
    has_numbers,
    terms_of,
)

METADATA = "metadata"
PLACE = "place"
_PLACE_BYTES = 6
PLACES = 2 ** (8 * _PLACE_BYTES)
_TERMS, _HAS_TEXT = "terms", "has_text"
_ABSENT = "!"  # a term no record has
_SHORT_BYTES = 2048
_MAX_COMPARISONS = 500  # SQLite under it parses expressions of a thousand
_OPPOSITES = {Op.GT: Op.LTE, Op.GTE: Op.LT, Op.LT: Op.GTE, Op.LTE: Op.GT}


def metadata_of(record: Record) -> dict[str, Any]:
    """What ChromaDB keeps beside the text and the vector of `record`."""
    return {
        PLACE: place_of(record.id),
        _HAS_TEXT: record.text is not None,
        **indexed_metadata(record.metadata),
    }


def place_of(record_id: str) -> int:
    """Where the record stands among all: anywhere, but always there."""
    return int.from_bytes(hashlib.blake2b(record_id.encode(), digest_size=_PLACE_BYTES).digest())


def indexed_metadata(metadata: Metadata) -> dict[str, Any]:
    """The part that is made of the record's own metadata, and what filters ask for.

    ChromaDB merges metadata: a number of a replaced record stays behind, so its filter asks for a term too. A list may
    not be empty, and its numbers cannot be compared, so the least and the greatest stand beside it.
    """
    indexed = terms_of(metadata)
    kept: dict[str, Any] = {_TERMS: indexed.terms or [_ABSENT], METADATA: _packed(metadata)}
    for key, numbers in indexed.numbers.items():
        kept[f"least.{key}"], kept[f"greatest.{key}"] = min(numbers), max(numbers)
    return kept


def _packed(metadata: Metadata) -> str:
    """JSON where it is short and ASCII, compressed where not.

    The server writes each text three times, and takes microseconds of processor for each letter that is not ASCII.
    """
    written = orjson.dumps(metadata)
    if written.isascii() and len(written) <= _SHORT_BYTES:
        return written.decode()
    return base64.b64encode(zlib.compress(written, 1)).decode()


def _unpacked(packed: str) -> bytes:
    if packed.startswith("{"):
        return packed.encode()
    return zlib.decompressobj().decompress(base64.b64decode(packed), MAX_ANSWER_BYTES)


def content_of(text: str, kept: Mapping[str, Any]) -> tuple[str | None, bytes]:
    """The text and metadata, as JSON, of the record of which `metadata_of` made `kept`."""
    return (text if kept[_HAS_TEXT] else None), _unpacked(kept[METADATA])


def where_of(condition: Condition) -> dict[str, Any]:
    """`condition` as a `where`. Raises UnsupportedCapability for one larger than ChromaDB's own bound."""
    if _comparisons(condition) > _MAX_COMPARISONS:
        raise UnsupportedCapability(
            "/filter", engine=EngineName.CHROMA, capability=f"filters of more than {_MAX_COMPARISONS} values"
        )
    return _where(condition, negated=False)


def _comparisons(condition: Condition) -> int:
    match condition:
        case AllOf(of) | AnyOf(of):
            return sum(map(_comparisons, of))
        case NoneOf(of):
            return _comparisons(of)
        case HasAnyTerm(terms):
            return len(terms)
        case _:
            return 2


def _where(condition: Condition, *, negated: bool) -> dict[str, Any]:
    """The language has no negation: it is pushed down to the leaves."""
    match condition:
        case NoneOf(of):
            return _where(of, negated=not negated)
        case AllOf(of) | AnyOf(of):
            conjunction = isinstance(condition, AllOf) is not negated
            return _joined("$and" if conjunction else "$or", [_where(part, negated=negated) for part in of])
        case HasTerm(term):
            return {_TERMS: {"$not_contains" if negated else "$contains": term}}
        case HasAnyTerm(terms):
            return _where(AnyOf(tuple(map(HasTerm, terms))), negated=negated)
        case NumberPast(key, op, bound):
            return _past(key, op, bound, negated=negated)


def _past(key: str, op: Op, bound: float, *, negated: bool) -> dict[str, Any]:
    numeric = _where(HasTerm(has_numbers(key)), negated=negated)
    edge = f"greatest.{key}" if op in (Op.GT, Op.GTE) else f"least.{key}"
    compared = {edge: {f"${_OPPOSITES[op] if negated else op}": bound}}
    return _joined("$or" if negated else "$and", [numeric, compared])


def _joined(word: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {word: parts}
