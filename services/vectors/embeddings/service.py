"""The one use case: texts become vectors, and nothing is kept of them but in the cache of the model."""

from services.vectors.domain import Embedded
from services.vectors.embeddings.schemas import EmbeddingsRequest
from services.vectors.errors import DimensionsFixed, UnknownModel
from services.vectors.ports import Embedder
from shared.identity import Caller


class EmbeddingService:
    """What the service embeds with, for callers who keep their vectors themselves."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def create(self, caller: Caller, body: EmbeddingsRequest) -> list[Embedded]:
        """The vectors of the texts, in their order. Raises UnknownModel, DimensionsFixed, and as Embedder does."""
        if body.model != self._embedder.model:
            raise UnknownModel(body.model, self._embedder.model)
        if body.dimensions not in (None, self._embedder.dimension):
            raise DimensionsFixed(self._embedder.model, self._embedder.dimension)
        return await self._embedder.embed(body.input, caller, is_query=body.input_type == "query")
