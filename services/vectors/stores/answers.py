"""What was ingested of a file as an answer, written a part at a time: as a model it would hold up all others."""

import asyncio
from collections.abc import Sequence

import orjson
from fastapi import Response


async def content_of(texts: Sequence[str]) -> Response:
    """The `FileContent` with these parts; written on a thread, since they may be many thousands."""
    return Response(await asyncio.to_thread(written, texts), media_type="application/json")


def written(texts: Sequence[str]) -> bytes:
    """The bytes of a `FileContent`."""
    data = b",".join([orjson.dumps({"type": "text", "text": text}) for text in texts])
    return b'{"object":"vector_store.file_content.page","data":[' + data + b'],"has_more":false,"next_page":null}'
