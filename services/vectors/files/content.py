"""The bytes of a file as an answer: all of them, a range, or none where the caller has them already."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from fastapi import Response
from fastapi.responses import StreamingResponse

from services.vectors.files.domain import StoredFile
from services.vectors.files.ranges import asked_range, attachment
from shared.resources import etag


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's headers want of a file, as they came."""

    range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None
    has_body: bool = True


def answered(file: StoredFile, read: Callable[[int, int], AsyncIterator[bytes]], asked: Asked) -> Response:
    """To be saved and not to be shown; `read` gives the bytes from one offset to before another.

    Raises RangeUnsatisfiable.
    """
    tag, length = etag(file.upload.place), file.received
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    known = asked.if_none_match
    if known is not None and (known.strip() == "*" or tag in known.replace("W/", "").split(", ")):
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
