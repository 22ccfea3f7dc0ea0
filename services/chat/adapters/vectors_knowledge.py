"""Collections, as the vectors service searches them."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from services.chat.domain import Passage
from services.chat.given import FileSearch
from services.chat.ports import CollectionUnusable
from services.chat.tools.domain import FilePart
from shared.calls import ServiceClient
from shared.errors import Relayed, UpstreamFailed

# A missing collection, and one whose vectors a text cannot be compared with: the others may still answer.
_UNUSABLE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})
# What collections answer that keep no words; they are searched by meaning alone.
_WORDLESS = frozenset({"vectors.unsupported_capability", "vectors.words_missing"})


Shape = TypeVar("Shape", bound=BaseModel)


class _Result(BaseModel):
    id: str | int
    score: float
    text: str | None = None


class _Results(BaseModel):
    """This service's own copy of the shape: the members it uses, whatever else there is."""

    results: list[_Result]


class _Text(BaseModel):
    text: str


class _FilePart(BaseModel):
    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | bool | int | float]
    content: list[_Text]


class _FileParts(BaseModel):
    data: list[_FilePart]


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

    async def search_files(
        self, store: str, query: str, files: FileSearch, *, by_words: bool, token: str
    ) -> list[FilePart]:
        ranking: dict[str, Any] = {"ranker": "auto" if by_words else "none", "score_threshold": files.threshold}
        asked = {"query": query, "max_num_results": files.most, "ranking_options": ranking, "filters": files.filters}
        found = await self._post(f"/api/v1/vector_stores/{quote(store, safe='')}/search", asked, token, _FileParts)
        parts = [
            FilePart(store, one.file_id, one.filename, one.score, _joined(one.content), one.attributes)
            for one in found.data
        ]
        return [part for part in parts if part.text and not part.text.isspace()]

    async def _ask(self, asked: dict[str, Any], token: str) -> _Results:
        return await self._post("/api/v1/vectors/search", asked, token, _Results)

    async def _post(self, path: str, asked: dict[str, Any], token: str, shape: type[Shape]) -> Shape:
        answer = await self._services.call(
            "vectors",
            "POST",
            path,
            token=token,
            json=asked,
            timeout_seconds=self._timeout_seconds,
            idempotent=True,
        )
        try:
            return shape.model_validate_json(answer.content)
        except ValidationError as error:
            raise UpstreamFailed("vectors gave an invalid answer.") from error


def _joined(content: Iterable[_Text]) -> str:
    return "\n".join(one.text for one in content)
