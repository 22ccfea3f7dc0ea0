"""What may stand in metadata, and so in filters: text, numbers and booleans that every store keeps as they are."""

import math

import orjson

from services.vectors.domain import (
    MAX_INTEGER,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_KEYS,
    MAX_METADATA_LIST,
    MAX_METADATA_STRING_CHARS,
    MAX_RECORD_BYTES,
    Metadata,
    MetadataChanges,
)
from services.vectors.errors import MetadataTooLarge


def merged(metadata: Metadata, changes: MetadataChanges) -> Metadata:
    """`metadata` with `changes`, of which None takes a member away (RFC 7396).

    Raises MetadataTooLarge for more than a record may be stored with; what had more before may be made less.
    """
    made = {key: value for key, value in {**metadata, **changes}.items() if value is not None}
    if len(made) > MAX_METADATA_KEYS:
        raise MetadataTooLarge(len(made), MAX_METADATA_KEYS, "members")
    size = _bytes(made)
    if size > MAX_RECORD_BYTES and size > _bytes(metadata):
        raise MetadataTooLarge(size, MAX_RECORD_BYTES, "bytes as JSON")
    return made


def member_problem(key: str, value: object) -> str | None:
    """Why `key: value` may not be a member of metadata, None when it may."""
    if problem := key_problem(key):
        return problem
    if not isinstance(value, list):
        return scalar_problem(value)
    if len(value) > MAX_METADATA_LIST:
        return f"a list may have {MAX_METADATA_LIST} elements"
    return next((problem for one in value if (problem := scalar_problem(one))), None)


def key_problem(key: str) -> str | None:
    """Why `key` may not name a member of metadata, None when it may."""
    if not 1 <= len(key) <= MAX_METADATA_KEY_CHARS:
        return f"a name has 1 to {MAX_METADATA_KEY_CHARS} characters"
    return None if _is_storable(key) else "a name may hold neither NUL nor lone surrogates"


def scalar_problem(value: object) -> str | None:
    """Why `value` may not stand in metadata or in a filter, None when it may."""
    match value:
        case bool():
            return None
        case str():
            return _text_problem(value)
        case int():
            return None if abs(value) <= MAX_INTEGER else "an integer beyond 2^53 - 1 must be sent as text"
        case float():
            return None if math.isfinite(value) else "a number must be finite"
    return f"{'null' if value is None else type(value).__name__} is not allowed"


def is_number(value: object) -> bool:
    """Whether it is a number: a boolean is none, though Python says so."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bytes(metadata: Metadata) -> int:
    return len(orjson.dumps(metadata))


def _text_problem(value: str) -> str | None:
    if len(value) > MAX_METADATA_STRING_CHARS:
        return f"text may have {MAX_METADATA_STRING_CHARS} characters"
    return None if _is_storable(value) else "text may hold neither NUL nor lone surrogates"


def _is_storable(text: str) -> bool:
    """Whether every store can keep `text`: no NUL, and it encodes as UTF-8."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
