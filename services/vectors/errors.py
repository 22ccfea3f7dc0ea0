"""What the vectors service refuses and why.

    ServiceError
    ├── NotFound
    │   ├── CollectionLost            vectors.collection_lost
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
    ├── UpstreamFailed
    │   └── EmbeddingsFailed          vectors.embeddings_failed
    └── Unavailable
        └── EngineKeyRefused          vectors.engine_key_refused

An engine that is down is `Unavailable` with its component's name. `CollectionMissing` never reaches a caller.
"""

from shared.errors import Conflict, FieldProblem, Invalid, NotFound, Unavailable, UpstreamFailed


class CollectionMissing(Exception):
    """An engine does not hold the collection it was asked for: it was deleted, here or through another replica."""


class CollectionNotFound(NotFound):
    code = "vectors.collection_not_found"
    meaning = "There is no such collection, or it belongs to another tenant."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no collection {name!r}.")


class RecordNotFound(NotFound):
    code = "vectors.record_not_found"
    meaning = "The collection holds no record with this id."

    def __init__(self, name: str, record_id: str) -> None:
        super().__init__(f"Collection {name!r} holds no record {record_id!r}.")


class CollectionExists(Conflict):
    code = "vectors.collection_exists"
    meaning = "A collection of this name exists, or is still being deleted."

    def __init__(self, name: str, engine: str, *, being_deleted: bool = False) -> None:
        state = "is still being deleted from" if being_deleted else "exists already in"
        super().__init__(f"Collection {name!r} {state} {engine}.")


class DimensionMismatch(Invalid):
    code = "vectors.dimension_mismatch"
    meaning = "The vector has another number of dimensions than the collection; `detail` names both."

    def __init__(self, pointer: str, *, given: int, name: str, expected: int) -> None:
        detail = f"The vector has {given} dimensions; collection {name!r} has {expected}."
        super().__init__(detail, errors=[FieldProblem(pointer=pointer, code="dimension_mismatch", detail=detail)])


class VectorInvalid(Invalid):
    """Not a point of the space: infinite, not a number, too long for scores, or without direction under cosine."""

    code = "vectors.vector_invalid"
    meaning = (
        "The vector is no point of the space: infinite, not a number, zero under cosine, longer than 1e18 elsewhere."
    )


class FilterInvalid(Invalid):
    code = "vectors.filter_invalid"
    meaning = "The filter is not well formed; `errors` points at the part."


class UnsupportedCapability(Invalid):
    code = "vectors.unsupported_capability"
    meaning = "The collection's engine cannot do this here; `GET /api/v1/vectors/engines` says what it can."

    def __init__(self, pointer: str, *, engine: str, capability: str) -> None:
        detail = f"The engine {engine!r} does not offer {capability} here; see GET /api/v1/vectors/engines."
        super().__init__(detail, errors=[FieldProblem(pointer=pointer, code="unsupported_capability", detail=detail)])


class CollectionFull(Invalid):
    code = "vectors.collection_full"
    meaning = "The engine keeps no more in one collection."

    def __init__(self, engine: str, limit: str) -> None:
        self.engine, self.limit = engine, limit
        super().__init__(f"The engine {engine!r} keeps {limit} in one collection at most; use 'qdrant' for more.")


class TooManyCollections(Invalid):
    code = "vectors.too_many_collections"
    meaning = "The tenant has as many collections as one may have."

    def __init__(self, limit: int) -> None:
        super().__init__(f"A tenant may have {limit} collections.")


class CollectionLost(NotFound):
    """The catalogue names a collection that its engine does not hold; only a restore or a deletion helps."""

    code = "vectors.collection_lost"
    meaning = "The engine that `detail` names no longer holds the collection: have it restored, or delete it."

    def __init__(self, name: str, component: str) -> None:
        super().__init__(f"{component} no longer holds collection {name!r}: have it restored, or delete it.")


class EmbeddingsFailed(UpstreamFailed):
    code = "vectors.embeddings_failed"
    meaning = "The embedding model refused the text or gave an answer that makes no sense."
    default_detail = "embeddings gave an invalid answer."


class EngineKeyRefused(Unavailable):
    """Waiting does not help, but the caller is not to blame: an operator gives the right key, and it works."""

    code = "vectors.engine_key_refused"
    meaning = "An engine refuses the key that the service has for it: the operator has to give the right one."

    def __init__(self, component: str, setting: str) -> None:
        detail = f"{component} refuses the key of this service: {setting} is missing or wrong."
        super().__init__(component, retry_after_seconds=30, detail=detail)
