"""Reads JSON with the faster parser where that reads the same: a vector takes it a fifth of the time.

It refuses what Python's own takes (NaN, halves of characters), so that one is asked again, which also
says what is wrong as it always did. And it rounds an integer beyond 64 bits, which is to be refused as the integer it
is; in a vector it would be rounded anyway.
"""

from typing import Any

import orjson

from shared.door import json_of

_ROUNDED_FROM = 2.0**63
_VECTOR = "vector"


def loads(body: bytes) -> Any:
    """What JSON says, as `json_of`. Raises json.JSONDecodeError, ValueError."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return json_of(body)
    return json_of(body) if not isinstance(found, dict) or _may_be_rounded(found) else found


def _may_be_rounded(found: dict[str, Any]) -> bool:
    left = [value for key, value in found.items() if key != _VECTOR]
    for value in left:
        if isinstance(value, float):
            if abs(value) >= _ROUNDED_FROM:
                return True
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False
