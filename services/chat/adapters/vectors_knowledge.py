"""Collections, as the vectors service searches them."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError

from services.chat.domain import Passage
from services.chat.ports import CollectionUnusable
from shared.calls import ServiceClient
from shared.errors import Relayed, UpstreamFailed

# A missing collection, and one whose vectors a text cannot be compared with: the others may still answer.
_UNUSABLE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})
# What collections answer that keep no words; they are searched by meaning alone.
_WORDLESS = frozenset({"vectors.unsupported_capability", "vectors.words_missing"})


class _Result(BaseModel):
    id: str | int
    score: float
    text: str | None = None


class _Results(BaseModel):
    """This service's own copy of the shape: the members it uses, whatever else there is."""

    results: list[_Result]


class VectorsKnowledge:
    """Asks the vectors service with the caller's own rights."""

    def __init__(self, services: ServiceClient, timeout_seconds: float) -> None:
        self._services = services
        self._timeout_seconds = timeout_seconds

    async def search(self, collection: str, query: str, *, limit: int, by_words: bool, token: str) -> list[Passage]:
        asked = {"collection": collection, "query": query, "k": limit}
        try:
            found = await self._hybrid(asked, token) if by_words else await self._ask(asked, token)
        except Relayed as error:
            if error.status in _UNUSABLE:
                raise CollectionUnusable(collection, error.code, error.detail) from error
            raise
        return [
            Passage(collection, str(result.id), result.score, result.text)
            for result in found.results
            if result.text and not result.text.isspace()
        ]

    async def _hybrid(self, asked: dict[str, Any], token: str) -> _Results:
        try:
            return await self._ask(asked | {"mode": "hybrid"}, token)
        except Relayed as error:
            if error.code not in _WORDLESS:
                raise
        return await self._ask(asked, token)

    async def _ask(self, asked: dict[str, Any], token: str) -> _Results:
        answer = await self._services.call(
            "vectors",
            "POST",
            "/api/v1/vectors/search",
            token=token,
            json=asked,
            timeout_seconds=self._timeout_seconds,
            idempotent=True,
        )
        try:
            return _Results.model_validate_json(answer.content)
        except ValidationError as error:
            raise UpstreamFailed("vectors gave an invalid answer.") from error
