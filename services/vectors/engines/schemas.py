"""Engines as callers see them."""

from collections.abc import Iterable

from pydantic import Field

from services.vectors.domain import (
    MAX_BATCH,
    MAX_BATCH_K,
    MAX_CANDIDATES,
    MAX_GROUP_SIZE,
    MAX_ITEMS,
    MAX_K,
    MAX_METADATA_KEYS,
    MAX_TEXT_CHARS,
    EngineName,
    Metric,
    Op,
    SearchMode,
)
from services.vectors.ports import VectorEngine
from shared.schemas import ResponseModel


class EngineRead(ResponseModel):
    """What an engine can do here."""

    name: EngineName
    backend: str = Field(description="what stands behind the name in this deployment")
    is_default: bool
    modes: list[SearchMode]
    metrics: list[Metric]
    exact: bool = Field(description="whether every search compares all vectors; if not, a few neighbours may be missed")
    exact_on_request: bool = Field(description="whether it does with `exact`")
    exact_up_to: int | None = Field(
        description="where not every search does: among so many records that meet the filter it does; null if unknown"
    )
    filter_ops: list[Op]
    max_dimension: int
    max_items: int
    max_k: int
    max_group_size: int
    max_batch: int = Field(description="searches in one call")
    max_batch_k: int = Field(description="results of all of them")
    max_text_chars: int
    max_metadata_keys: int

    @classmethod
    def of(cls, engine: VectorEngine) -> "EngineRead":
        can = engine.capabilities()
        return cls(
            name=engine.name,
            backend=can.backend,
            is_default=engine.name is EngineName.QDRANT,
            modes=list(can.modes),
            metrics=list(can.metrics),
            exact=can.exact,
            exact_on_request=can.exact_on_request,
            exact_up_to=can.exact_up_to,
            filter_ops=list(Op),
            max_dimension=can.max_dimension,
            max_items=MAX_ITEMS,
            max_k=MAX_K,
            max_group_size=MAX_GROUP_SIZE,
            max_batch=MAX_BATCH,
            max_batch_k=MAX_BATCH_K,
            max_text_chars=MAX_TEXT_CHARS,
            max_metadata_keys=MAX_METADATA_KEYS,
        )


class EngineList(ResponseModel):
    items: list[EngineRead]
    reranker: str | None = Field(description="the model behind `rerank`, on every engine; null where there is none")
    max_rerank_candidates: int

    @classmethod
    def of(cls, engines: Iterable[VectorEngine], reranker: str | None) -> "EngineList":
        return cls(
            items=[EngineRead.of(engine) for engine in engines],
            reranker=reranker,
            max_rerank_candidates=MAX_CANDIDATES,
        )
