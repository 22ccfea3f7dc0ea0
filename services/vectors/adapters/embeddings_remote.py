"""A model behind an OpenAI-compatible `/embeddings`."""

from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import orjson

from services.vectors.adapters.embeddings import COMPONENT, BatchingEmbedder
from services.vectors.adapters.embeddings_windows import estimated_tokens
from services.vectors.domain import Embedded
from services.vectors.errors import EmbeddingsFailed
from shared.calls import open_http_client
from shared.errors import Unavailable, UpstreamTimeout

_BATCH_TEXTS, _BATCH_BYTES = 64, 100_000
_LANES = 4
_BUSY = frozenset({429, 502, 503, 504})


class RemoteEmbedder(BatchingEmbedder):
    """Embedder over HTTP. `query_prefix` and `passage_prefix` are for models that want to be told (E5)."""

    def __init__(
        self,
        url: str,
        *,
        model: str,
        dimension: int,
        window_tokens: int,
        api_key: str | None,
        query_prefix: str,
        passage_prefix: str,
        timeout_seconds: float,
        cached: int,
    ) -> None:
        super().__init__(
            model=model,
            dimension=dimension,
            window_tokens=window_tokens,
            lanes=_LANES,
            query_lanes=_LANES,
            batch_texts=_BATCH_TEXTS,
            batch_bytes=_BATCH_BYTES,
            timeout_seconds=timeout_seconds,
            cached=cached,
        )
        self._url = f"{url.rstrip('/')}/embeddings"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._prefixes = {True: query_prefix, False: passage_prefix}
        self._http = open_http_client(timeout_seconds)

    def tokens_of(self, text: str, *, is_query: bool) -> int:
        return estimated_tokens(self._prefixes[is_query] + text)

    async def embed_batch(self, texts: Sequence[str], *, is_query: bool, is_interactive: bool) -> list[Embedded]:  # noqa: ARG002 - any call may be either
        prefix = self._prefixes[is_query]
        body = {"model": self.model, "input": [prefix + text for text in texts], "encoding_format": "float"}
        try:
            response = await self._http.post(self._url, json=body, headers=self._headers)
        except httpx.ConnectTimeout as error:
            raise Unavailable(COMPONENT) from error
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(COMPONENT) from error
        except httpx.TransportError as error:
            raise Unavailable(COMPONENT) from error
        if response.status_code in _BUSY:
            raise Unavailable(COMPONENT)
        if response.is_error:
            raise EmbeddingsFailed(f"embeddings refused the request with status {response.status_code}.")
        counts = [self.tokens_of(text, is_query=is_query) for text in texts]
        return self._embedded(response.content, counts)

    def _embedded(self, content: bytes, counts: list[int]) -> list[Embedded]:
        try:
            answer = orjson.loads(content)
            items = sorted(answer["data"], key=lambda item: item["index"])
            vectors = np.array([item["embedding"] for item in items], dtype=np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddingsFailed from error
        if vectors.shape != (len(counts), self.dimension) or not np.isfinite(vectors).all():
            raise EmbeddingsFailed(f"embeddings did not give {len(counts)} vectors of {self.dimension} dimensions.")
        return list(map(Embedded, vectors, _told(answer, counts)))

    async def aclose(self) -> None:
        await self._http.aclose()


def _told(answer: Any, counts: list[int]) -> list[int]:
    """The tokens of each text: the number told of all, shared out as they were estimated; those where none is told."""
    told = (answer.get("usage") or {}).get("prompt_tokens")
    if not isinstance(told, int) or told < 1:
        return counts
    ends = [sum(counts[: at + 1]) * told // sum(counts) for at in range(len(counts))]
    return [max(1, end - start) for start, end in zip([0, *ends], ends, strict=False)]
