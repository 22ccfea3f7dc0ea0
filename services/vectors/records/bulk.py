"""Reads large JSON bodies away from the event loop: a thousand vectors take tens of milliseconds to parse and check."""

import asyncio
from typing import Any, ClassVar

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from services.vectors.records.schemas import StoreRequest
from shared.door import BoundedRequest, ClaimingRoute

_SMALL_BYTES = 32 * 2**10


class BulkRequest(BoundedRequest):
    """Gives FastAPI the validated model itself; it takes an instance as it is."""

    model: ClassVar[type[BaseModel]] = StoreRequest

    async def parsed(self, body: bytes) -> Any:
        if len(body) <= _SMALL_BYTES:
            self.bounds.require_shape(body)
            return orjson.loads(body)
        found = await asyncio.to_thread(self._validated, body)
        if isinstance(found, RequestValidationError):
            raise found  # here: raised there, its traceback would keep the body until the garbage is collected
        return found

    def _validated(self, body: bytes) -> Any:
        """The model, or the refusal that FastAPI would make after looking at all of it again on the event loop."""
        self.bounds.require_shape(body)
        parsed = orjson.loads(body)
        try:
            return self.model.model_validate(parsed)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            return RequestValidationError([one | {"loc": ("body", *one["loc"])} for one in found], body=parsed)


class BulkRoute(ClaimingRoute):
    """The route of `POST /vectors/store`."""

    request_class = BulkRequest
