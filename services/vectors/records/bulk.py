"""Reads large JSON bodies away from the event loop: a thousand vectors take tens of milliseconds to parse and check."""

import asyncio
from typing import Any, ClassVar

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from services.vectors.records.schemas import StoreRequest
from shared.door import BoundedRequest, ClaimingRoute, TooComplex

_SMALL_BYTES = 32 * 2**10
_MEMBERS = 8


class BulkRequest(BoundedRequest):
    """Gives FastAPI the validated model itself; it takes an instance as it is."""

    model: ClassVar[type[BaseModel]] = StoreRequest

    async def parsed(self, body: bytes) -> Any:
        if len(body) <= _SMALL_BYTES:
            self.bounds.require_shape(body)
            return orjson.loads(body)
        return await asyncio.to_thread(self._validated, body)

    def _validated(self, body: bytes) -> Any:
        self.bounds.require_shape(body)
        parsed = orjson.loads(body)
        _require_few_members(parsed)
        try:
            return self.model.model_validate(parsed)
        except ValidationError as error:  # as FastAPI would refuse it, which would have to find it out again
            found = error.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error


def _require_few_members(parsed: Any) -> None:
    """Each member that is unknown costs an error to build. Raises TooComplex."""
    items = parsed.get("items") if isinstance(parsed, dict) else None
    if isinstance(items, list) and any(isinstance(item, dict) and len(item) > _MEMBERS for item in items):
        raise TooComplex(f"An item may have {_MEMBERS} members.")


class BulkRoute(ClaimingRoute):
    """The route of `POST /vectors/store`."""

    request_class = BulkRequest
