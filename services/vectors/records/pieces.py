"""Parses a large body record by record, so that whoever else runs in this process goes on in between.

A parser holds the interpreter from the first byte to the last: a tenth of a second for ten megabytes. A record takes it
a tenth of a millisecond. Where records begin and end is found by brackets outside of texts.
"""

import json
import re
from typing import Any

import orjson

from services.vectors.domain import MAX_RECORD_BYTES
from shared.door import TooComplex

_REST_KIB = 64
_RECORD_DEPTH = 3  # in the list of the object
# A stretch of neither and then a bracket, a text, or nothing where the stretch goes on. A text that is longer than any
# may be, or is full of escapes, is cut off too: no step may be long.
_SIGNS = re.compile(
    rb'[^"\[\]{}]{0,1048576}+(?:([\[{])|([\]}])|"[^"\\]{0,1048576}+(?:\\.[^"\\]{0,1048576}+){0,65536}+("?)|)', re.DOTALL
)


def loads(body: bytes) -> Any:
    """What JSON says, as `orjson.loads`. Raises TooComplex, json.JSONDecodeError, ValueError for what is no UTF-8.

    What stands in lists of the outermost object is parsed one by one; to the rest it is left by its number.
    """
    whole, records, rest, kept = memoryview(body), list[Any](), list[bytes | memoryview](), 0
    for start, end in _records(body):
        if end - start > MAX_RECORD_BYTES:
            raise TooComplex(f"A record may have {MAX_RECORD_BYTES // 2**10:,} KiB here.")
        records.append(_parsed(whole[start:end], start))
        rest += whole[kept:start], b"[%d]" % (len(records) - 1)
        kept = end
    rest.append(whole[kept:])
    if sum(map(len, rest)) > (_REST_KIB + len(records)) * 2**10:
        raise TooComplex(f"Beside its records the body may have {_REST_KIB} KiB here.")
    return _put_back(orjson.loads(b"".join(rest)), records)


def _records(body: bytes) -> list[tuple[int, int]]:
    """Where what stands three levels deep begins and ends, as far as brackets tell. Raises TooComplex."""
    depth, start, found = 0, 0, []
    for sign in _SIGNS.finditer(body):
        opens, closes, quote = sign.groups()
        if opens:
            depth += 1
            if depth == _RECORD_DEPTH:
                start = sign.end() - 1
        elif closes:
            if depth == _RECORD_DEPTH:
                found.append((start, sign.end()))
            depth -= 1
        elif quote == b"" and sign.end() < len(body) - 1:  # else it is not ended, or by half an escape: no JSON
            raise TooComplex("A text may have 1 MiB and 65,536 escapes here.")
    return found


def _parsed(part: memoryview, at: int) -> Any:
    try:
        return orjson.loads(part)
    except orjson.JSONDecodeError as error:
        raise json.JSONDecodeError(error.msg, "", at + error.pos) from None


def _put_back(outermost: Any, records: list[Any]) -> Any:
    """In the place of each number of a record the record."""
    for _, holder in _members(outermost):
        for key, value in _members(holder):
            if isinstance(value, list):  # all that stood there was taken out, so it is one of ours
                holder[key] = records[value[0]]
    return outermost


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []
