"""Reads large JSON bodies away from the event loop: a thousand vectors take tens of milliseconds to parse and check."""

import asyncio
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ValidationError

from services.vectors.records.schemas import StoreRequest
from shared.door import BoundedRequest, ClaimingRoute

_SMALL_BYTES = 32 * 2**10


class BulkRequest(BoundedRequest):
    """Gives FastAPI the validated model itself; it takes an instance as it is.

    What does not validate is given as parsed, so that FastAPI refuses it in its own way.
    """

    model: ClassVar[type[BaseModel]] = StoreRequest

    async def parsed(self, body: bytes) -> Any:
        if len(body) <= _SMALL_BYTES:
            return orjson.loads(body)
        return await asyncio.to_thread(self._validated, body)

    def _validated(self, body: bytes) -> Any:
        parsed = orjson.loads(body)
        try:
            return self.model.model_validate(parsed)
        except ValidationError:
            return parsed


class BulkRoute(ClaimingRoute):
    """The route of `POST /vectors/store`."""

    request_class = BulkRequest
