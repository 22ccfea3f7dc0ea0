"""The part of ChromaDB's HTTP API (v2) that the engine uses.

Its own client is left out on purpose: it takes twice the processor, sets no timeout, shares its connections between all
clients of a process, and tells a wrong key from a full disk by nothing but text (docs/decisions/0041).
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
import orjson

from services.vectors.adapters.fullness import absent
from services.vectors.domain import EngineName, Vector
from services.vectors.errors import CollectionMissing, EngineKeyRefused
from shared.calls import open_http_client
from shared.errors import Unavailable, UpstreamTimeout

_BEING_DELETED = "Missing metadata segment"  # what Chroma finds of a collection that another request deletes just now
_RECORD_GONE = "Error finding id"  # what Chroma finds of a record that another request deletes just now
_COMPONENT = EngineName.CHROMA.component
_OPEN_TENANT = "default_tenant"  # whose name everybody knows
_DATABASE = "/databases/default_database"
_SAID_CHARS = 2000
_READ_SECONDS = 8.0  # by name and id; one whose disk is full keeps these waiting, and no caller should for long


class ChromaFailed(Exception):
    """ChromaDB refused a request that should not have been made: a fault of ours, so a 500.

    One it could not fulfil is no fault of ours: it is the cause of `Unavailable`, for the log.
    """


def is_of_a_record_gone(error: Unavailable) -> bool:
    """Whether it failed by a record that was deleted while it read, which the next attempt does not meet."""
    return _RECORD_GONE in str(error.__cause__)


class ChromaApi:
    """Collections by name, records by the id that ChromaDB gave the collection.

    All are of `tenant`, which is never made here: so a wrong name is told from an empty server.
    """

    def __init__(self, url: str, timeout_seconds: float, tenant: str | None = None) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/tenants/{quote(tenant or _OPEN_TENANT, safe='')}"
        self._http = open_http_client(timeout_seconds)
        self._seconds, self._read_seconds = timeout_seconds, min(timeout_seconds, _READ_SECONDS)

    async def create_collection(self, name: str, space: str, metadata: Mapping[str, str]) -> None:
        """Nothing happens when it is there already. Raises EngineKeyRefused where there is no such tenant."""
        body = {
            "name": name,
            "configuration": {"hnsw": {"space": space, "ef_search": 128}},
            "metadata": metadata,
            "get_or_create": True,
        }
        await self._by_name("POST", f"{_DATABASE}/collections", body)

    async def collection(self, name: str) -> tuple[str, dict[str, Any]]:
        """Its id and its metadata. Raises CollectionMissing, and EngineKeyRefused where there is no such tenant."""
        found = await self._by_name("GET", f"{_DATABASE}/collections/{name}")
        return str(found["id"]), found["metadata"] or {}

    async def delete_collection(self, name: str) -> None:
        """Raises CollectionMissing, and EngineKeyRefused where there is no such tenant."""
        await self._by_name("DELETE", f"{_DATABASE}/collections/{name}")

    async def put(
        self,
        collection_id: str,
        action: str,
        *,
        ids: Sequence[str],
        vectors: Sequence[Vector],
        documents: Sequence[str],
        metadatas: Sequence[Mapping[str, Any]],
    ) -> None:
        """`action`: "upsert" replaces what is there, "add" leaves it as it is."""
        body = {
            "ids": ids,
            "embeddings": [base64.b64encode(vector.tobytes()).decode() for vector in vectors],
            "documents": documents,
            "metadatas": metadatas,
        }
        await self._records(action, collection_id, body)

    async def amend(self, collection_id: str, record_id: str, metadata: Mapping[str, Any]) -> None:
        """Put `metadata` into the record's, if it is there; a member of None goes."""
        await self._records("update", collection_id, {"ids": [record_id], "metadatas": [metadata]})

    async def query(
        self, collection_id: str, vector: Vector, limit: int, where: Mapping[str, Any] | None
    ) -> list[tuple[str, float | None]]:
        """Ids and distances, of which null is what overflowed."""
        body = {"query_embeddings": [vector.tolist()], "n_results": limit, "where": where, "include": ["distances"]}
        found = await self._records("query", collection_id, body)
        return list(zip(found["ids"][0], found["distances"][0], strict=True))

    async def get(
        self, collection_id: str, ids: Sequence[str], include: Sequence[str], where: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Of `ids` those that are there and meet `where`, in an order of ChromaDB's own."""
        body = {"ids": ids, "where": where, "include": include}
        return await self._records("get", collection_id, body, self._read_seconds)

    async def ids(
        self, collection_id: str, where: Mapping[str, Any] | None, among: Sequence[str] | None = None
    ) -> list[str]:
        """Of the records that meet `where`, `among` those when given."""
        found = await self._records("get", collection_id, {"ids": among, "where": where, "include": []})
        return list(found["ids"])

    async def delete(
        self, collection_id: str, *, ids: Sequence[str] | None = None, where: Mapping[str, Any] | None = None
    ) -> int:
        """The number it says it deleted; for ids that is how many were asked for, there or not."""
        return int((await self._records("delete", collection_id, {"ids": ids, "where": where}))["deleted"])

    async def count(self, collection_id: str) -> int:
        answer: Any = await self._ask("GET", f"{_DATABASE}/collections/{collection_id}/count")
        return int(answer)

    async def _records(
        self, action: str, collection_id: str, body: Mapping[str, Any], seconds: float | None = None
    ) -> dict[str, Any]:
        return await self._ask("POST", f"{_DATABASE}/collections/{collection_id}/{action}", body, seconds)

    async def _by_name(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """In a tenant that is not there nothing is found and nothing made, which must not pass for a loss."""
        try:
            return await self._ask(method, path, body)
        except (CollectionMissing, ChromaFailed):
            await self._require_database()
            raise

    async def _require_database(self) -> None:
        try:
            await self._ask("GET", _DATABASE)
        except CollectionMissing as error:
            raise EngineKeyRefused(_COMPONENT, "CHROMADB_TENANT") from error

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Within `seconds`; unless told, as long as a read takes when it is a GET and as an engine's call when not."""
        content = None if body is None else orjson.dumps(body)
        limit = seconds or (self._read_seconds if method == "GET" else self._seconds)
        limits = {**self._http.timeout.as_dict(), "read": limit}
        headers = {"content-type": "application/json"}
        try:
            response = await self._http.request(
                method, f"{self._url}{path}", content=content, headers=headers, timeout=httpx.Timeout(**limits)
            )
        except httpx.ConnectTimeout as error:
            raise Unavailable(_COMPONENT) from error
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(_COMPONENT) from error
        except httpx.TransportError as error:
            raise Unavailable(_COMPONENT) from error
        if response.is_error:
            _refuse(response)
        answer: dict[str, Any] = orjson.loads(response.content)
        return answer

    async def aclose(self) -> None:
        await self._http.aclose()


def _refuse(response: httpx.Response) -> NoReturn:
    """Raises CollectionMissing, EngineKeyRefused, Unavailable, StorageFull, or ChromaFailed."""
    failed = ChromaFailed(f"{response.status_code}: {response.text[:500]}")
    match response.status_code:
        case 404:
            raise CollectionMissing
        case 412 if _BEING_DELETED in response.text:
            raise CollectionMissing
        case 401 | 403:
            raise EngineKeyRefused(_COMPONENT, "CHROMADB_URL") from failed
        case status if status in (408, 429) or status >= 500:
            raise absent(_COMPONENT, said=response.text[:_SAID_CHARS]) from failed
        case _:
            raise failed
