"""The answers of searches, written a result at a time: no model is made of what the engines gave, to be read at once.

A serializer holds the interpreter from the first byte to the last, and an answer may have 32 MiB; a result takes it
microseconds. So many results are written on a thread, and whoever else runs in this process goes on between them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson
from fastapi import Response

from services.vectors.searching.domain import AllFound, Found, Hit

Answer = TypeVar("Answer")
_FEW, _SHORT_CHARS = 20, 2**18


async def answered(written: Callable[[Answer], bytes], answer: Answer, hits: Sequence[Hit]) -> Response:
    """What `written` makes of an answer with these results; of many, or large ones, on a thread."""
    is_short = len(hits) <= _FEW and sum(map(_chars, hits)) <= _SHORT_CHARS
    body = written(answer) if is_short else await asyncio.to_thread(written, answer)
    return Response(body, media_type="application/json")


def written(found: Found) -> bytes:
    """The bytes of a `SearchResult`."""
    collection = orjson.dumps({"collection": found.collection.name, "engine": found.collection.engine.value})
    ended = orjson.dumps({"reranked_by": found.reranked_by, "took_ms": found.took_ms})
    return collection[:-1] + b',"results":' + _list([_hit(hit) for hit in found.hits]) + b"," + ended[1:]


def all_written(found: AllFound) -> bytes:
    """The bytes of a `SearchBatchResult`."""
    took = orjson.dumps({"took_ms": found.took_ms})
    return b'{"results":' + _list([written(one) for one in found.found]) + b"," + took[1:]


def _chars(hit: Hit) -> int:
    """Of what may be long."""
    found = len(hit.match.text or "")
    for value in hit.match.metadata.values():
        if isinstance(value, str):
            found += len(value)
        elif isinstance(value, list):
            found += sum([len(one) for one in value if isinstance(one, str)])
    return found


def _hit(hit: Hit) -> bytes:
    match = hit.match
    return orjson.dumps(
        {
            "id": match.id,
            "score": match.score,
            "text": match.text,
            "metadata": match.metadata,
            "group": hit.group,
        }
    )


def _list(written: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(written) + b"]"
