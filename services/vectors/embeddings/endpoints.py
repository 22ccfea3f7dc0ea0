"""`/embeddings`, where OpenAI's clients look for it, and `/vectors/tokens`."""

import asyncio

from fastapi import APIRouter, Response

from services.vectors.dependencies import BulkReader, Embeddings
from services.vectors.domain import MAX_ITEMS
from services.vectors.embeddings.answers import written
from services.vectors.embeddings.schemas import (
    MAX_INPUTS,
    EmbeddingsRequest,
    EmbeddingsResult,
    TokensRequest,
    TokensResult,
)
from services.vectors.errors import (
    DimensionsFixed,
    EmbeddingModelNotFound,
    EmbeddingsBusy,
    EmbeddingsFailed,
    TextExpands,
    TooManyNumbers,
    TooMuchText,
)
from shared.door import GuardedRoute, takes
from shared.errors import UpstreamTimeout
from shared.openai import OpenAIRoute, openai_responses

router = APIRouter(prefix="/api/v1/embeddings", tags=["vectors"], route_class=OpenAIRoute)
tokens = APIRouter(prefix="/api/v1/vectors/tokens", tags=["vectors"], route_class=GuardedRoute)


@router.post(
    "",
    operation_id="vectors_create_embeddings",
    summary="Turn texts into vectors",
    response_model=EmbeddingsResult,
    responses=openai_responses(
        EmbeddingModelNotFound,
        DimensionsFixed,
        TooManyNumbers,
        TextExpands,
        TooMuchText,
        EmbeddingsBusy,
        EmbeddingsFailed,
        UpstreamTimeout,
    ),
)
@takes(kib=2048, values=MAX_INPUTS + 64, texts=MAX_INPUTS + 128)
async def create(body: EmbeddingsRequest, caller: BulkReader, embeddings: Embeddings) -> Response:
    """In OpenAI's shape, for clients that keep vectors themselves; nothing is stored.

    What texts are stored with here is the same model, as `passage`, and queries as `query`.
    """
    embedded = await embeddings.create(caller, body)
    as_base64 = body.encoding_format == "base64"
    answer = await asyncio.to_thread(written, embedded, model=body.model, as_base64=as_base64)
    return Response(answer, media_type="application/json")


@tokens.post("", operation_id="vectors_count_tokens", summary="Count tokens")
@takes(kib=1024, values=MAX_ITEMS + 64, texts=MAX_ITEMS + 128)
async def count(body: TokensRequest, caller: BulkReader, embeddings: Embeddings) -> TokensResult:  # noqa: ARG001 - asked for its scope
    """How many tokens the model makes of texts, and how many it reads in one piece; nothing is embedded or stored."""
    return await embeddings.count(body)
