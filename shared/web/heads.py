"""HEAD, as what answers GET answers it: the same status and headers, and no body."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BODILESS: Final = frozenset({204, 304})


class _StreamNotWanted(Exception):
    """The headers of a stream are sent, which is all that a HEAD asks for."""


def head_of(app: ASGIApp) -> ASGIApp:
    """`app` without the bodies of its answers.

    It answers as it would a GET. A stream is ended as by a client that leaves: before its first piece is made, or after
    that one where its length is told, since only the piece shows that it is a stream.
    """

    async def headers_only(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_headers(message: Message) -> None:
            if message["type"] != "http.response.start":
                if message.get("more_body", False):
                    raise _StreamNotWanted
                return
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            if message["status"] not in _BODILESS and not _tells_length(message):
                raise _StreamNotWanted

        try:
            await app(scope, receive, send_headers)
        except _StreamNotWanted:
            return

    return headers_only


def _tells_length(message: Message) -> bool:
    return any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
