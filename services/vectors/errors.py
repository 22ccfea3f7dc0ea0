"""What the vectors service refuses and why.

    ServiceError
    ├── NotFound
    │   ├── CollectionNotFound        vectors.collection_not_found
    │   └── RecordNotFound            vectors.record_not_found
    ├── Conflict
    │   └── CollectionExists          vectors.collection_exists
    ├── Invalid
    │   ├── DimensionMismatch         vectors.dimension_mismatch
    │   ├── VectorInvalid             vectors.vector_invalid
    │   ├── FilterInvalid             vectors.filter_invalid
    │   ├── UnsupportedCapability     vectors.unsupported_capability
    │   ├── CollectionFull            vectors.collection_full
    │   └── TooManyCollections        vectors.too_many_collections
    └── UpstreamFailed
        ├── CollectionLost            vectors.collection_lost
        └── EmbeddingsFailed          vectors.embeddings_failed

An engine that is down is `Unavailable` with its component's name. `CollectionMissing` never reaches a caller.
"""

from shared.errors import Conflict, FieldProblem, Invalid, NotFound, UpstreamFailed


class CollectionMissing(Exception):
    """An engine does not hold the collection it was asked for: it was deleted, here or through another replica."""


class CollectionNotFound(NotFound):
    code = "vectors.collection_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no collection {name!r}.")


class RecordNotFound(NotFound):
    code = "vectors.record_not_found"

    def __init__(self, name: str, record_id: str) -> None:
        super().__init__(f"Collection {name!r} holds no record {record_id!r}.")


class CollectionExists(Conflict):
    code = "vectors.collection_exists"

    def __init__(self, name: str, engine: str, *, being_deleted: bool = False) -> None:
        state = "is still being deleted from" if being_deleted else "exists already in"
        super().__init__(f"Collection {name!r} {state} {engine}.")


class DimensionMismatch(Invalid):
    code = "vectors.dimension_mismatch"

    def __init__(self, pointer: str, *, given: int, name: str, expected: int) -> None:
        detail = f"The vector has {given} dimensions; collection {name!r} has {expected}."
        super().__init__(detail, errors=[FieldProblem(pointer=pointer, code="dimension_mismatch", detail=detail)])


class VectorInvalid(Invalid):
    """Not a point of the space: infinite, not a number, or without direction under cosine."""

    code = "vectors.vector_invalid"


class FilterInvalid(Invalid):
    code = "vectors.filter_invalid"


class UnsupportedCapability(Invalid):
    code = "vectors.unsupported_capability"

    def __init__(self, pointer: str, *, engine: str, capability: str) -> None:
        detail = f"The engine {engine!r} does not offer {capability} here; see GET /api/v1/vectors/engines."
        super().__init__(detail, errors=[FieldProblem(pointer=pointer, code="unsupported_capability", detail=detail)])


class CollectionFull(Invalid):
    code = "vectors.collection_full"

    def __init__(self, engine: str, limit: str) -> None:
        super().__init__(f"The engine {engine!r} keeps {limit} in one collection at most; use 'qdrant' for more.")


class TooManyCollections(Invalid):
    code = "vectors.too_many_collections"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A tenant may have {limit} collections.")


class CollectionLost(UpstreamFailed):
    """The catalogue names a collection that its engine does not hold; only a restore or a deletion helps."""

    code = "vectors.collection_lost"

    def __init__(self, name: str, component: str) -> None:
        super().__init__(f"{component} no longer holds collection {name!r}.")


class EmbeddingsFailed(UpstreamFailed):
    code = "vectors.embeddings_failed"
    default_detail = "embeddings gave an invalid answer."
