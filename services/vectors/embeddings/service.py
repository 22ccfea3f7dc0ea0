"""The one use case: texts become vectors, and nothing is kept of them but in the cache of the model."""

import asyncio

from services.vectors.domain import MAX_NUMBERS, Embedded
from services.vectors.embeddings.schemas import EmbeddingsRequest, TokensRequest, TokensResult
from services.vectors.errors import DimensionsFixed, EmbeddingModelNotFound, TooManyNumbers
from services.vectors.ports import Embedder
from shared.identity import Caller

_ONE_PIECE = "a"


class EmbeddingService:
    """What the service embeds with, for callers who keep their vectors themselves."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def create(self, caller: Caller, body: EmbeddingsRequest) -> list[Embedded]:
        """The vectors of the texts, in their order.

        Raises EmbeddingModelNotFound, DimensionsFixed, TooManyNumbers, and as Embedder does.
        """
        if body.model != self._embedder.model:
            raise EmbeddingModelNotFound(body.model, self._embedder.model)
        if body.dimensions not in (None, self._embedder.dimension):
            raise DimensionsFixed(self._embedder.model, self._embedder.dimension)
        if len(body.input) > (most := MAX_NUMBERS // self._embedder.dimension):
            raise TooManyNumbers(most, self._embedder.dimension)
        return await self._embedder.embed(body.input, caller, is_query=body.input_type == "query")

    async def count(self, body: TokensRequest) -> TokensResult:
        """How many tokens each text has. Raises as Embedder does."""
        await self._embedder.make_ready()
        return await asyncio.to_thread(self._counted, body.texts)

    def _counted(self, texts: list[str]) -> TokensResult:
        model = self._embedder
        around = model.tokens_of(_ONE_PIECE, is_query=False) - 1
        tokens = [max(1, model.tokens_of(text, is_query=False) - around) for text in texts]
        return TokensResult(model=model.model, window_tokens=model.window_tokens - around, tokens=tokens)
