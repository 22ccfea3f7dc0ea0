"""The body of a request, read and looked at before anybody makes something of it."""

import json
from codecs import BOM_UTF8
from typing import Any, ClassVar, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from shared.door.bounds import Bounds
from shared.errors import ServiceError

BODY_IS_HERE: Final = "sutazai.body_is_here"
"""In the scope of a request whose body has come whole."""
_NO_QUERY: Final = QueryParams()
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


class UnsupportedMediaType(ServiceError):
    status, code, title = 415, "common.unsupported_media_type", "Unsupported Media Type"
    meaning = "The body has no `Content-Type`, or one that the operation does not take."


class BoundedRequest(Request):
    """A request whose body keeps to `bounds`, and is parsed once."""

    also: ClassVar[str] = ""
    """What a kind of request takes beside JSON, for those whom it refuses."""

    def __init__(self, scope: Scope, receive: Receive, bounds: Bounds, *, is_form: bool) -> None:
        super().__init__(scope, receive)
        self.bounds, self._media_type = bounds, _FORM if is_form else _JSON

    @property
    def query_params(self) -> QueryParams:
        """Read for every request; most have none, for which nothing is parsed."""
        return super().query_params if self.scope["query_string"] else _NO_QUERY

    async def read(self) -> None:
        """Have the body here. Raises TooLarge, TooComplex, UnsupportedMediaType."""
        if await self.body():
            self._require_media_type()
            if self._media_type == _JSON:
                await self.json()

    async def body(self) -> bytes:
        """All of it. Raises TooLarge, as soon as it is known."""
        if not hasattr(self, "_body"):
            told = self.headers.get("content-length", "")
            self.bounds.require_length(int(told) if told.isdecimal() else 0)
            self._body = await self._received()
        return self._body

    async def _received(self) -> bytes:
        """As `stream` gives it, which takes longer than all that follows for a body that comes in one piece."""
        received, chunks, is_whole = 0, [], False
        while not is_whole:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            received += len(chunk)
            self.bounds.require_length(received)
            chunks.append(chunk)
            is_whole = not message.get("more_body", False)
        self.scope[BODY_IS_HERE] = True
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def json(self) -> Any:
        """The parsed body. Raises TooLarge, TooComplex, RequestValidationError."""
        if not hasattr(self, "_json"):
            try:
                self._json = await self.parsed(await self.body())
            except json.JSONDecodeError as error:
                raise _unreadable("json_invalid", "JSON decode error", error.pos) from error
            except (ValueError, RecursionError) as error:  # no UTF-8, or a number of more digits than Python reads
                raise _unreadable("body_unreadable", "could not be parsed") from error
        return self._json

    async def parsed(self, body: bytes) -> Any:
        """What FastAPI is to validate: values as JSON has them, or an instance of the model. Raises TooComplex."""
        self.bounds.require_shape(body)
        return json_of(body)

    def _require_media_type(self) -> None:
        told = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if told != self._media_type and not (self._media_type == _JSON and told.endswith("+json")):
            raise UnsupportedMediaType(f"The body of this operation is {self._media_type}{self.also}.")


def json_of(body: bytes) -> Any:
    """The values of a text in UTF-8. Raises ValueError, and RecursionError for one deeper than any bounds let pass.

    Given bytes, the parser would also take UTF-16 and UTF-32, whose bytes are no measure of what they hold: the bounds
    count in UTF-8.
    """
    text = body.removeprefix(BOM_UTF8).decode()
    return json.loads(text)  # which keeps a number of many digits, where a faster one rounds it


def _unreadable(code: str, message: str, *place: int) -> RequestValidationError:
    return RequestValidationError([{"type": code, "loc": ("body", *place), "msg": message}])
