"""A model behind an OpenAI-compatible `/embeddings`."""

from collections.abc import Sequence

import httpx
import numpy as np
import orjson

from services.vectors.adapters.embeddings import COMPONENT, BatchingEmbedder
from services.vectors.domain import Vector
from services.vectors.errors import EmbeddingsFailed
from shared.calls import open_http_client
from shared.errors import Unavailable, UpstreamTimeout

_BATCH_TEXTS, _BATCH_CHARS = 64, 100_000
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
        api_key: str | None,
        query_prefix: str,
        passage_prefix: str,
        timeout_seconds: float,
        cached: int,
    ) -> None:
        super().__init__(
            model=model,
            dimension=dimension,
            lanes=_LANES,
            query_lanes=_LANES,
            batch_texts=_BATCH_TEXTS,
            batch_chars=_BATCH_CHARS,
            timeout_seconds=timeout_seconds,
            cached=cached,
        )
        self._url = f"{url.rstrip('/')}/embeddings"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._prefixes = {True: query_prefix, False: passage_prefix}
        self._http = open_http_client(timeout_seconds)

    async def embed_batch(self, texts: Sequence[str], *, is_query: bool) -> list[Vector]:
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
        return self._vectors(response.content, len(texts))

    def _vectors(self, content: bytes, expected: int) -> list[Vector]:
        try:
            items = sorted(orjson.loads(content)["data"], key=lambda item: item["index"])
            vectors = np.array([item["embedding"] for item in items], dtype=np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddingsFailed from error
        if vectors.shape != (expected, self.dimension) or not np.isfinite(vectors).all():
            raise EmbeddingsFailed(f"embeddings did not give {expected} vectors of {self.dimension} dimensions.")
        return list(vectors)

    async def aclose(self) -> None:
        await self._http.aclose()
