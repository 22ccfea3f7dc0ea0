"""Collects the services' OpenAPI documents and keeps them, merged, for a few seconds."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.portal.cached import Cached
from gateway.portal.merge import merge
from services.topology import SERVICES
from shared.calls import ServiceClient
from shared.errors import ServiceError, UpstreamFailed

_CALL_SECONDS: Final = 2.0
_KEPT_SECONDS: Final = 10.0
_KEPT_INCOMPLETE_SECONDS: Final = 1.0  # a service that was away is back in the document soon after it is back
_DESCRIPTION: Final = (
    "Accounts and keys, agents, chat, vector search and background work under one identity. "
    "Every error is `application/problem+json`, whose `type` leads to a page that explains its code, or where OpenAI's "
    "clients call, as they read it, with the same code."
)


@dataclass(frozen=True, slots=True)
class _Merged:
    body: bytes
    is_complete: bool


class Documents:
    """The one document over all services."""

    def __init__(self, services: ServiceClient, own: Callable[[], dict[str, Any]], version: str) -> None:
        self._services = services
        self._own = own  # the portal's own document: the health operation belongs to the whole as well
        self._version = version
        self._cached = Cached(
            self._merge, seconds=lambda merged: _KEPT_SECONDS if merged.is_complete else _KEPT_INCOMPLETE_SECONDS
        )

    async def merged(self) -> bytes:
        """The JSON of it. A service that is away is left out and named in `x-unavailable`."""
        return (await self._cached.get()).body

    async def _merge(self) -> _Merged:
        found = dict(zip(SERVICES, await asyncio.gather(*(self._fetch(name) for name in SERVICES)), strict=True))
        documents = {name: document for name, document in found.items() if document is not None}
        own = self._own()
        info = own["info"] | {"title": "SutazAI API", "version": self._version, "description": _DESCRIPTION}
        document = merge(documents | {"gateway": own}, info)
        unavailable = [name for name in SERVICES if name not in documents]
        if unavailable:
            document["x-unavailable"] = unavailable
        return _Merged(orjson.dumps(document), is_complete=not unavailable)

    async def _fetch(self, name: str) -> dict[str, Any] | None:
        """The document of one service; None when it is away, which `ServiceClient` has counted and the answer names."""
        try:
            response = await self._services.call(
                name, "GET", f"/api/v1/{name}/openapi.json", timeout_seconds=_CALL_SECONDS
            )
            return _parsed(name, response.content)
        except ServiceError:
            return None


def _parsed(name: str, body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailed(f"{name} gave an invalid document.") from error
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise UpstreamFailed(f"{name} gave an invalid document.")
    return document
