"""From what the service answers to what callers see."""

from services.vectors.collections import Counted
from services.vectors.domain import (
    MAX_ITEMS,
    MAX_K,
    MAX_METADATA_KEYS,
    MAX_TEXT_CHARS,
    CollectionStatus,
    EngineName,
    Op,
    Record,
)
from services.vectors.ports import VectorEngine
from services.vectors.records import Found
from services.vectors.schemas import CollectionRead, EngineRead, RecordRead, SearchMatch, SearchResult


def collection_read(counted: Counted) -> CollectionRead:
    """A ready collection that could not be counted is shown as `unavailable`."""
    collection = counted.collection
    unavailable = collection.status is CollectionStatus.READY and counted.count is None
    return CollectionRead(
        name=collection.name,
        engine=collection.engine,
        dimension=collection.dimension,
        metric=collection.metric,
        status="unavailable" if unavailable else collection.status.value,
        count=counted.count,
        created_at=collection.created_at,
    )


def search_result(found: Found) -> SearchResult:
    return SearchResult(
        collection=found.collection.name,
        engine=found.collection.engine,
        results=[SearchMatch.model_validate(match) for match in found.results],
        took_ms=found.took_ms,
    )


def record_read(record: Record) -> RecordRead:
    return RecordRead(id=record.id, text=record.text, metadata=dict(record.metadata), vector=record.vector.tolist())


def engine_read(engine: VectorEngine) -> EngineRead:
    can = engine.capabilities()
    return EngineRead(
        name=engine.name,
        backend=can.backend,
        is_default=engine.name is EngineName.QDRANT,
        modes=list(can.modes),
        metrics=list(can.metrics),
        exact=can.exact,
        filter_ops=list(Op),
        max_dimension=can.max_dimension,
        max_items=MAX_ITEMS,
        max_k=MAX_K,
        max_text_chars=MAX_TEXT_CHARS,
        max_metadata_keys=MAX_METADATA_KEYS,
    )
