"""The routes that take a file: they read its body themselves, and only so many at once."""

from collections.abc import AsyncIterator

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from shared.door import BODY_IS_HERE, GuardedRoute, Handler, UnreadRoute, caller_of
from shared.errors import TooLarge, Unavailable
from shared.limits import Place

FILE_UPLOADS = 32


def _placed(handle: Handler) -> Handler:
    async def placed(request: Request) -> Response:
        caller, uploads = caller_of(request), request.state.file_uploads
        place: Place | None = uploads.take(caller.tenant_id, caller.subject)
        if place is None:
            raise Unavailable("vectors", detail="Too many files are uploaded at once; try again in a moment.")
        try:
            return await handle(request)
        finally:
            place.give_back()

    return placed


class FileRoute(UnreadRoute):
    """The route of `POST /vectors/files`."""

    def inside(self, handle: Handler) -> Handler:
        return _placed(super().inside(handle))


class PieceRoute(GuardedRoute):
    """The route of `PATCH /vectors/files/{id}`."""

    def inside(self, handle: Handler) -> Handler:
        return _placed(super().inside(handle))


def told_bytes(request: Request, most: int) -> int | None:
    """How long the body is said to be. Raises TooLarge, before any of it is read."""
    told = request.headers.get("content-length", "")
    if not told.isdecimal():
        return None
    if int(told) > most:
        raise TooLarge(f"The request body may have {most:,} bytes here.")
    return int(told)


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises ClientDisconnect when its sender has gone.

    With its last piece it is here: who refuses that waits for nothing more, which would never come.
    """
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        if not more:
            request.scope[BODY_IS_HERE] = True
        if chunk := message.get("body", b""):
            yield chunk
