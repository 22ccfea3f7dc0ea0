"""Reads large JSON bodies away from the event loop: a thousand vectors take tens of milliseconds to parse and check."""

import asyncio
from typing import Any, ClassVar

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from services.vectors.records.schemas import StoreRequest
from shared.door import Handler, IdempotentRoute

_SMALL_BYTES = 32 * 2**10


class BulkRequest(Request):
    """Gives FastAPI the validated model itself; it takes an instance as it is.

    What does not validate is given as parsed, so that FastAPI refuses it in its own way.
    """

    model: ClassVar[type[BaseModel]] = StoreRequest

    async def json(self) -> Any:
        body = await self.body()
        if len(body) <= _SMALL_BYTES:
            return orjson.loads(body)
        return await asyncio.to_thread(self._validated, body)

    def _validated(self, body: bytes) -> Any:
        parsed = orjson.loads(body)
        try:
            return self.model.model_validate(parsed)
        except ValidationError:
            return parsed


class BulkRoute(IdempotentRoute):
    """The route of `POST /vectors/store`."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(BulkRequest(request.scope, request.receive))

        return handler
