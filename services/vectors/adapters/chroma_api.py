"""The part of ChromaDB's HTTP API (v2) that the engine uses.

Its own client is left out on purpose: it takes twice the processor, sets no timeout, shares its connections between all
clients of a process, and tells a wrong key from a full disk by nothing but text (docs/decisions/0041).
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
import orjson

from services.vectors.adapters.chroma_patience import Patience
from services.vectors.adapters.fullness import absent
from services.vectors.domain import MAX_ANSWER_BYTES, EngineName, Vector
from services.vectors.errors import AnswerTooLarge, CollectionMissing, EngineKeyRefused
from shared.calls import in_pieces, open_http_client
from shared.errors import ServiceError, StorageFull, Unavailable, UpstreamTimeout

_BEING_DELETED = "Missing metadata segment"  # what Chroma finds of a collection that another request deletes just now
# What Chroma finds of a record that another request deletes between two looks of its own; it reads none of them then.
_RECORD_GONE = "Error finding id"
_ATTEMPTS = 8  # of a read that fails so
_COMPONENT = EngineName.CHROMA.component
_OPEN_TENANT = "default_tenant"  # whose name everybody knows
_DATABASE = "/databases/default_database"
_SAID_CHARS = 2000
_LARGE_BYTES = 64 * 2**10  # takes milliseconds to read, so it is not done on the event loop
_READ_SECONDS = 8.0  # by name and id; one whose disk is full keeps these waiting, and no caller should for long


class ChromaFailed(Exception):
    """ChromaDB refused a request that should not have been made: a fault of ours, so a 500.

    One it could not fulfil is no fault of ours: it is the cause of `Unavailable`, for the log.
    """


class LongAnswer(AnswerTooLarge):
    """An answer of more bytes than are to be read, of which no more was; `length` is what it has, or more than."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(MAX_ANSWER_BYTES)


class ChromaApi:
    """Collections by name, records by the id that ChromaDB gave the collection.

    All are of `tenant`, which is never made here: so a wrong name is told from an empty server.
    """

    def __init__(self, url: str, timeout_seconds: float, tenant: str | None = None) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/tenants/{quote(tenant or _OPEN_TENANT, safe='')}"
        self._http = open_http_client(timeout_seconds)
        self._seconds, self._read_seconds = timeout_seconds, min(timeout_seconds, _READ_SECONDS)
        self._patience = Patience(self._seconds, when_full=self._read_seconds)

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
        content = await self._read("query", collection_id, body, self._seconds)
        found = await _parsed(content)
        return list(zip(found["ids"][0], found["distances"][0], strict=True))

    async def get(
        self,
        collection_id: str,
        ids: Sequence[str],
        include: Sequence[str],
        where: Mapping[str, Any] | None = None,
        *,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> tuple[dict[str, Any], int]:
        """Of `ids` those that are there and meet `where`, in an order of ChromaDB's own; and its length in bytes.

        Raises LongAnswer for more than `most_bytes`.
        """
        body = {"ids": ids, "where": where, "include": include}
        content = await self._read("get", collection_id, body, self._read_seconds, most_bytes)
        return await _parsed(content), len(content)

    async def ids(
        self,
        collection_id: str,
        where: Mapping[str, Any] | None,
        among: Sequence[str] | None = None,
        limit: int | None = None,
        *,
        offset: int = 0,
    ) -> list[str]:
        """Of the records that meet `where`, `among` those when given, up to `limit` of them after `offset`.

        In the order in which they were stored first. Raises LongAnswer.
        """
        asked = {"ids": among, "where": where, "limit": limit, "offset": offset, "include": []}
        return list((await _parsed(await self._read("get", collection_id, asked, self._seconds)))["ids"])

    async def delete(
        self, collection_id: str, *, ids: Sequence[str] | None = None, where: Mapping[str, Any] | None = None
    ) -> int:
        """The number it says it deleted; for ids that is how many were asked for, there or not."""
        return int((await self._records("delete", collection_id, {"ids": ids, "where": where}))["deleted"])

    async def count(self, collection_id: str) -> int:
        answer: Any = await self._ask("GET", f"{_DATABASE}/collections/{collection_id}/count")
        return int(answer)

    async def _read(
        self,
        action: str,
        collection_id: str,
        body: Mapping[str, Any],
        seconds: float,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        """Again where a record was deleted meanwhile, so that Unavailable is raised for it hardly ever."""
        if self._patience.is_full:
            seconds = min(seconds, self._read_seconds)
        path = f"{_DATABASE}/collections/{collection_id}/{action}"
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._content("POST", path, body, seconds, most_bytes)
            except Unavailable as error:
                if _RECORD_GONE not in str(error.__cause__):
                    raise
        return await self._content("POST", path, body, seconds, most_bytes)

    async def _records(self, action: str, collection_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._ask("POST", f"{_DATABASE}/collections/{collection_id}/{action}", body)

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

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What is no GET writes."""
        if method == "GET":
            content = await self._content(method, path, body, self._read_seconds, MAX_ANSWER_BYTES)
        else:
            content = await self._written(method, path, body)
        answer: dict[str, Any] = await _parsed(content)
        return answer

    async def _written(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        try:
            async with self._patience.waiting() as wait:
                content = await self._content(method, path, body, self._seconds, MAX_ANSWER_BYTES)
        except StorageFull:
            self._patience.heard_full()
            raise
        except TimeoutError as error:
            # As it was while this waited, whatever was heard since.
            raise (StorageFull if wait.is_short else UpstreamTimeout)(_COMPONENT) from error
        self._patience.heard_room()
        return content

    def _silent(self) -> ServiceError:
        """What to raise for no answer: a server that was full when last heard keeps reads waiting, too."""
        return (StorageFull if self._patience.is_full else UpstreamTimeout)(_COMPONENT)

    async def _content(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float, most_bytes: int
    ) -> bytes:
        """The answer, whose parts are waited for `seconds` each. Raises LongAnswer for more than `most_bytes`."""
        try:
            response = await self._http.send(self._request(method, path, body, seconds), stream=True)
            try:
                content = await _read(response, most_bytes)
            finally:
                await response.aclose()
        except httpx.ConnectTimeout as error:
            raise Unavailable(_COMPONENT) from error
        except httpx.TimeoutException as error:
            raise self._silent() from error
        except httpx.TransportError as error:
            raise Unavailable(_COMPONENT) from error
        if response.is_error:
            _refuse(response.status_code, content.decode(errors="replace"))
        return content

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float) -> httpx.Request:
        limits = httpx.Timeout(**{**self._http.timeout.as_dict(), "read": seconds})
        url, headers = f"{self._url}{path}", {"content-type": "application/json"}
        if body is None:
            return self._http.build_request(method, url, headers=headers, timeout=limits)
        sent = orjson.dumps(body)
        headers["content-length"] = str(len(sent))
        return self._http.build_request(method, url, content=in_pieces(sent), headers=headers, timeout=limits)

    async def aclose(self) -> None:
        await self._http.aclose()


async def _read(response: httpx.Response, most_bytes: int) -> bytes:
    """Raises LongAnswer."""
    told = response.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most_bytes:
        raise LongAnswer(int(told))
    received = bytearray()
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) > most_bytes:
            raise LongAnswer(len(received))
    return bytes(received)


async def _parsed(content: bytes) -> Any:
    return orjson.loads(content) if len(content) <= _LARGE_BYTES else await asyncio.to_thread(orjson.loads, content)


def _refuse(status: int, said: str) -> NoReturn:
    """Raises CollectionMissing, EngineKeyRefused, Unavailable, StorageFull, or ChromaFailed."""
    failed = ChromaFailed(f"{status}: {said[:500]}")
    match status:
        case 404:
            raise CollectionMissing
        case 412 if _BEING_DELETED in said:
            raise CollectionMissing
        case 401 | 403:
            raise EngineKeyRefused(_COMPONENT, "CHROMADB_URL") from failed
        case _ if status in (408, 429) or status >= 500:
            raise absent(_COMPONENT, said=said[:_SAID_CHARS]) from failed
        case _:
            raise failed
