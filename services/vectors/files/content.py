"""The bytes of a file as an answer: all of them, a range, or none where the caller has them already."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from services.vectors.files.domain import StoredFile
from services.vectors.files.ranges import asked_range, attachment
from shared.resources import IfMatch, etag, names, require_match

_BYTES: Final[dict[str, Any]] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {**_BYTES, "description": "All of it, under its own media type"},
    206: {**_BYTES, "description": "The bytes of `Range`"},
    304: {"description": "It is what `If-None-Match` names; a file never changes"},
}
"""What `answered` answers, for a document."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's headers want of a file, as they came."""

    range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None
    if_match: str | None = None
    has_body: bool = True


async def _asked(
    request: Request,
    range: Annotated[str | None, Header(max_length=256, description="one range of bytes, such as `bytes=0-99`")] = None,
    if_range: Annotated[str | None, Header(max_length=256, description="all of it unless the `ETag` is this")] = None,
    if_none_match: Annotated[
        str | None, Header(max_length=1024, description="nothing where the `ETag` is this")
    ] = None,
    if_match: IfMatch = None,
) -> Asked:
    return Asked(range, if_range, if_none_match, if_match, has_body=request.method != "HEAD")


AskedOf = Annotated[Asked, Depends(_asked)]
"""What this request wants of a file."""


def answered(file: StoredFile, read: Callable[[int, int], AsyncIterator[bytes]], asked: Asked) -> Response:
    """To be saved and not to be shown; `read` gives the bytes from one offset to before another.

    Raises PreconditionFailed, RangeUnsatisfiable.
    """
    tag, length = etag(file.upload.place), file.received
    require_match(asked.if_match, tag)
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if asked.if_none_match is not None and names(asked.if_none_match, tag):
        return Response(status_code=304, headers=headers)
    found = asked_range(asked.range, length) if asked.if_range in (None, tag) else None
    start, end = found or (0, length)
    headers |= {
        "Content-Length": str(end - start),
        "Content-Disposition": attachment(file.upload.name),
        "Content-Security-Policy": "sandbox",
        **({"Content-Range": f"bytes {start}-{end - 1}/{length}"} if found else {}),
    }
    status, media_type = 206 if found else 200, file.media_type
    if not asked.has_body:
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(read(start, end), status, headers, media_type)
