"""A model that reads a query and a text together, behind `/rerank` as Cohere, Jina, vLLM and others answer it."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import httpx
import orjson

from services.vectors.errors import RerankFailed
from shared import deadlines
from shared.calls import open_http_client
from shared.errors import Unavailable, UpstreamTimeout
from shared.identity import Caller
from shared.limits import TENANT_SHARE, Turns

COMPONENT: Final = "rerank"
_LANES = 4
_WAITING = 64  # searches; more would only wait for their timeouts
_BUSY = frozenset({429, 502, 503, 504})
_PIECE_BYTES = 64 * 2**10
_LARGE_BYTES = 256 * 2**10  # of JSON, read in a millisecond
_MAX_ANSWER_BYTES = 32 * 2**20  # some send every document back


class RemoteReranker:
    """Reranker over HTTP. Tenants take turns, search by search."""

    def __init__(self, url: str, *, model: str, api_key: str | None, timeout_seconds: float) -> None:
        self.model = model
        self._url = f"{url.rstrip('/')}/rerank"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_seconds = timeout_seconds
        self._turns = Turns(_LANES, waiting=_WAITING, per_source=_WAITING // TENANT_SHARE)
        self._http = open_http_client(timeout_seconds)

    async def scores(self, query: str, texts: Sequence[str], caller: Caller) -> list[float]:
        body = {"model": self.model, "query": query, "documents": list(texts), "top_n": len(texts)}
        try:
            async with (
                asyncio.timeout(deadlines.remaining(self._timeout_seconds)),
                self._turns.turn(caller.tenant_id, lambda: Unavailable(COMPONENT)),
            ):
                content = await self._asked(await asyncio.to_thread(orjson.dumps, body))
        except TimeoutError as error:
            raise UpstreamTimeout(COMPONENT) from error
        if len(content) > _LARGE_BYTES:
            return await asyncio.to_thread(_read, content, len(texts))
        return _read(content, len(texts))

    async def _asked(self, body: bytes) -> bytes:
        headers = {"content-type": "application/json", "content-length": str(len(body)), **self._headers}
        try:
            async with self._http.stream("POST", self._url, content=_pieces(body), headers=headers) as response:
                if response.status_code in _BUSY:
                    raise Unavailable(COMPONENT)
                if not response.is_success:
                    raise RerankFailed(f"rerank refused the request with status {response.status_code}.")
                return await _whole(response)
        except httpx.ConnectTimeout as error:
            raise Unavailable(COMPONENT) from error
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(COMPONENT) from error
        except httpx.TransportError as error:
            raise Unavailable(COMPONENT) from error
        except httpx.DecodingError as error:
            raise RerankFailed from error

    async def aclose(self) -> None:
        await self._http.aclose()


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Megabytes in one would keep everybody else in this process waiting."""
    for at in range(0, len(body), _PIECE_BYTES):
        yield body[at : at + _PIECE_BYTES]


async def _whole(response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > _MAX_ANSWER_BYTES:
            raise RerankFailed("rerank gave an answer larger than any that makes sense.")
    return bytes(content)


def _read(content: bytes, number: int) -> list[float]:
    """The score of each of `number` documents, in their order. Raises RerankFailed unless each has one."""
    try:
        told = [_score(result) for result in orjson.loads(content)["results"]]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RerankFailed from error
    scores = dict(told)
    if len(told) != number or scores.keys() != set(range(number)):
        raise RerankFailed(f"rerank did not give each of {number} documents one score.")
    return [scores[at] for at in range(number)]


def _score(result: Any) -> tuple[int, float]:
    """Which document, and its score. Raises TypeError, KeyError, ValueError."""
    index, score = result["index"], result["relevance_score"]
    if type(index) is not int or type(score) not in (int, float):
        raise TypeError("no number")
    if not math.isfinite(score):
        raise ValueError("no finite number")
    return index, float(score)
