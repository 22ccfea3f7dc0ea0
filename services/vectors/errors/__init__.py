"""What the vectors service refuses and why.

    ServiceError
    ├── NotFound
    │   ├── AliasNotFound             vectors.alias_not_found
    │   ├── CollectionLost            vectors.collection_lost
    │   ├── CollectionNotFound        vectors.collection_not_found
    │   ├── EmbeddingModelNotFound    vectors.embedding_model_not_found
    │   └── RecordNotFound            vectors.record_not_found
    ├── Conflict
    │   ├── AliasExists               vectors.alias_exists
    │   ├── CollectionAliased         vectors.collection_aliased
    │   ├── CollectionChanged         vectors.collection_changed
    │   ├── CollectionExists          vectors.collection_exists
    │   ├── QuotaExceeded             vectors.quota_exceeded
    │   └── WordsMissing              vectors.words_missing
    ├── Invalid
    │   ├── DimensionMismatch         vectors.dimension_mismatch
    │   ├── VectorInvalid             vectors.vector_invalid
    │   ├── FilterInvalid             vectors.filter_invalid
    │   ├── UnsupportedCapability     vectors.unsupported_capability
    │   ├── MetadataTooLarge          vectors.metadata_too_large
    │   ├── CollectionFull            vectors.collection_full
    │   ├── AnswerTooLarge            vectors.answer_too_large
    │   ├── ModelMismatch             vectors.model_mismatch
    │   ├── UnknownModel              vectors.unknown_model
    │   ├── DimensionsFixed           vectors.dimensions_fixed
    │   ├── RerankUnconfigured        vectors.rerank_unconfigured
    │   ├── TextExpands               vectors.text_expands
    │   ├── TooManyNumbers            vectors.too_many_numbers
    │   └── TooMuchText               vectors.too_much_text
    ├── UpstreamFailed
    │   ├── EmbeddingsFailed          vectors.embeddings_failed
    │   └── RerankFailed              vectors.rerank_failed
    └── Unavailable
        ├── EmbeddingsBusy            vectors.embeddings_busy
        └── EngineKeyRefused          vectors.engine_key_refused

An engine that is down is `Unavailable` with its component's name. `CollectionMissing` never reaches a caller.
Those of files, copies and vector stores are in their rooms.
"""

from services.vectors.errors.collections import (
    AliasExists,
    AliasNotFound,
    CollectionAliased,
    CollectionChanged,
    CollectionExists,
    CollectionFull,
    CollectionLost,
    CollectionMissing,
    CollectionNotFound,
    EngineKeyRefused,
    QuotaExceeded,
    UnsupportedCapability,
)
from services.vectors.errors.models import (
    DimensionsFixed,
    EmbeddingModelNotFound,
    EmbeddingsBusy,
    EmbeddingsFailed,
    ModelMismatch,
    RerankFailed,
    RerankUnconfigured,
    TextExpands,
    TooManyNumbers,
    TooMuchText,
    UnknownModel,
)
from services.vectors.errors.records import (
    AnswerTooLarge,
    DimensionMismatch,
    FilterInvalid,
    MetadataTooLarge,
    RecordNotFound,
    VectorInvalid,
    WordsMissing,
)

__all__ = [
    "AliasExists",
    "AliasNotFound",
    "AnswerTooLarge",
    "CollectionAliased",
    "CollectionChanged",
    "CollectionExists",
    "CollectionFull",
    "CollectionLost",
    "CollectionMissing",
    "CollectionNotFound",
    "DimensionMismatch",
    "DimensionsFixed",
    "EmbeddingModelNotFound",
    "EmbeddingsBusy",
    "EmbeddingsFailed",
    "EngineKeyRefused",
    "FilterInvalid",
    "MetadataTooLarge",
    "ModelMismatch",
    "QuotaExceeded",
    "RecordNotFound",
    "RerankFailed",
    "RerankUnconfigured",
    "TextExpands",
    "TooManyNumbers",
    "TooMuchText",
    "UnknownModel",
    "UnsupportedCapability",
    "VectorInvalid",
    "WordsMissing",
]
