"""Makes a record of any dump what `POST /vectors/store` takes; what that would refuse is refused by its place."""

import base64
import math
import sys
from array import array
from typing import Any

import orjson

from services.tasks.dumps.form import MAX_DIMENSION, MAX_ID_CHARS, MAX_TEXT_CHARS, Row, broken

_NUMBERS = frozenset({int, float})


def made(place: str, record_id: Any, text: Any, metadata: Any, vector: bytes | None) -> Row:
    """The row of a record whose vector is `packed`. Raises DumpRefused."""
    if not isinstance(record_id, str) or not 1 <= len(record_id) <= MAX_ID_CHARS:
        raise broken(place, f"'id' must be text of 1 to {MAX_ID_CHARS} characters.")
    if text is not None and not (isinstance(text, str) and 1 <= len(text) <= MAX_TEXT_CHARS):
        raise broken(place, f"'text' must be null or text of 1 to {MAX_TEXT_CHARS} characters.")
    if not isinstance(metadata, dict):
        raise broken(place, "'metadata' must be an object.")
    if text is None and vector is None:
        raise broken(place, "A record needs a text or a vector.")
    item: dict[str, Any] = {"id": record_id, "metadata": metadata}
    if text is not None:
        item["text"] = text
    if vector is not None:
        item["vector"] = base64.b64encode(vector).decode()
    return Row(place, item, len(vector or b"") // 4)


def packed(place: str, value: Any) -> bytes | None:
    """A vector given as a list of numbers, or as their base64, in little-endian 32-bit floats. Raises DumpRefused."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return finite(place, base64.b64decode(value, validate=True))
        except ValueError:
            raise broken(place, "'vector' is text, but no base64 of RFC 4648.") from None
    if not isinstance(value, list) or not set(map(type, value)) <= _NUMBERS:
        raise broken(place, "'vector' must be a list of numbers, or their base64.")
    try:
        return finite(place, little_endian(array("f", value)))
    except OverflowError:
        raise broken(place, "Every number of 'vector' must be finite in 32 bits.") from None


def finite(place: str, coded: bytes) -> bytes:
    """`coded`, when it is a vector. Raises DumpRefused."""
    if len(coded) % 4 or not 1 <= len(coded) // 4 <= MAX_DIMENSION:
        raise broken(place, f"'vector' must be 1 to {MAX_DIMENSION} numbers of 32 bits; it is {len(coded)} bytes.")
    numbers = array("f")
    numbers.frombytes(coded)
    if sys.byteorder == "big":
        numbers.byteswap()
    if not all(map(math.isfinite, numbers)):
        raise broken(place, "Every number of 'vector' must be finite in 32 bits.")
    return coded


def little_endian(numbers: "array[float]") -> bytes:
    """The bytes of `numbers`, which are turned round where this machine has them the other way."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def parsed(place: str, text: str | bytes) -> Any:
    """Raises DumpRefused for what is no JSON: NaN is none either."""
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise broken(place, f"Is no JSON ({error}).") from None
