"""Reads large JSON bodies away from the event loop: a thousand vectors take tens of milliseconds to parse and check.

Each takes several times its bytes of memory until it is stored, so their number at once is bounded and shared.
"""

import asyncio
from typing import Any, ClassVar, Final

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from services.vectors.records import pieces
from services.vectors.records.binary import BinaryRequest, accepted, validated
from services.vectors.records.schemas import StoreRequest
from shared.door import ClaimingRoute, Handler, caller_of
from shared.errors import Unavailable
from shared.limits import Place

_SMALL_BYTES = 32 * 2**10
_UPLOAD_BYTES: Final = 2**20
UPLOADS: Final = 16


class BulkRequest(BinaryRequest):
    """Gives FastAPI the validated model itself; it takes an instance as it is."""

    model: ClassVar[type[BaseModel]] = StoreRequest

    async def parsed(self, body: bytes) -> Any:
        if len(body) <= _SMALL_BYTES and not self.is_binary:
            self.bounds.require_shape(body)
            return orjson.loads(body)
        return accepted(await asyncio.to_thread(self.of_matrix if self.is_binary else self._validated, body))

    def _validated(self, body: bytes) -> BaseModel | RequestValidationError:
        self.bounds.require_shape(body)
        return validated(self.model, pieces.loads(body))


class BulkRoute(ClaimingRoute):
    """The route of `POST /vectors/store`, where a body of more than a MiB takes a place before it is read."""

    request_class = BulkRequest

    def around(self, handle: Handler) -> Handler:
        async def placed(request: Request) -> Response:
            told = request.headers.get("content-length", "")
            if told.isdecimal() and int(told) <= _UPLOAD_BYTES:
                return await handle(request)
            caller, uploads = caller_of(request), request.state.uploads
            place: Place | None = uploads.take(caller.tenant_id, caller.subject)
            if place is None:
                raise Unavailable("vectors", detail="Too many uploads at once; try again in a moment.")
            try:
                return await handle(request)
            finally:
                place.give_back()

        return placed
