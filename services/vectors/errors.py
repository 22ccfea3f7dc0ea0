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
    │   └── TooMuchText               vectors.too_much_text
    ├── UpstreamFailed
    │   ├── EmbeddingsFailed          vectors.embeddings_failed
    │   └── RerankFailed              vectors.rerank_failed
    └── Unavailable
        ├── EmbeddingsBusy            vectors.embeddings_busy
        └── EngineKeyRefused          vectors.engine_key_refused

An engine that is down is `Unavailable` with its component's name. `CollectionMissing` never reaches a caller.
Those of files are in `files/errors.py`.
"""

from shared.errors import Conflict, Invalid, NotFound, Unavailable, UpstreamFailed


class CollectionMissing(Exception):
    """An engine does not hold the collection it was asked for: it was deleted, here or through another replica."""


class CollectionNotFound(NotFound):
    code = "vectors.collection_not_found"
    meaning = "There is no such collection, or it belongs to another tenant."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no collection {name!r}.")


class AliasNotFound(NotFound):
    code = "vectors.alias_not_found"
    meaning = "There is no such alias, or it belongs to another tenant."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no alias {name!r}.")


class RecordNotFound(NotFound):
    code = "vectors.record_not_found"
    meaning = "The collection holds no record with this id."

    def __init__(self, name: str, record_id: str) -> None:
        super().__init__(f"Collection {name!r} holds no record {record_id!r}.")


class CollectionExists(Conflict):
    code = "vectors.collection_exists"
    meaning = "A collection of this name exists, or is still being deleted."

    def __init__(self, name: str, engine: str | None = None, *, being_deleted: bool = False) -> None:
        state = "is still being deleted from" if being_deleted else "exists already in"
        super().__init__(f"Collection {name!r} {state} {engine}." if engine else f"Collection {name!r} exists already.")


class AliasExists(Conflict):
    code = "vectors.alias_exists"
    meaning = "An alias has this name, which a collection cannot have then."

    def __init__(self, name: str, collection: str) -> None:
        super().__init__(f"{name!r} is an alias of collection {collection!r}.")


class CollectionAliased(Conflict):
    code = "vectors.collection_aliased"
    meaning = "An alias points to the collection, which is not deleted while it does; `detail` names both."

    def __init__(self, name: str, alias: str) -> None:
        super().__init__(f"The alias {alias!r} points to collection {name!r}: switch or delete the alias first.")


class CollectionChanged(Conflict):
    code = "vectors.collection_changed"
    meaning = (
        "While the request was served its name came to stand for a collection of another dimension or metric, and then "
        "for yet another: send it again."
    )

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} stands for a collection of another dimension or metric since a moment: try again.")


class WordsMissing(Conflict):
    """Searching by half of the words would find some records and not the others."""

    code = "vectors.words_missing"
    meaning = (
        "The collection was made before its engine kept words: they are being made of its texts since it was first "
        "searched by keywords, and until that is done vectors find its records; `detail` says where it failed."
    )

    def __init__(self, name: str, *, are_coming: bool = True) -> None:
        """`are_coming`: whether nothing has failed so far."""
        state = (
            "they are being made of its texts; search again in a while"
            if are_coming
            else "they could not be made the last time, and are being tried again"
        )
        super().__init__(f"Collection {name!r} was made before keyword search and has no words yet: {state}.")


class DimensionMismatch(Invalid):
    code = "vectors.dimension_mismatch"
    meaning = "The vector has another number of dimensions than the collection; `detail` names both."

    def __init__(self, pointer: str, *, given: int, name: str, expected: int) -> None:
        detail = f"The vector has {given} dimensions; collection {name!r} has {expected}."
        super().__init__(detail, at=(pointer, "dimension_mismatch"))


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
        super().__init__(detail, at=(pointer, "unsupported_capability"))


class MetadataTooLarge(Invalid):
    code = "vectors.metadata_too_large"
    meaning = "With the change, the record's metadata would have more members, or bytes, than it may."

    def __init__(self, given: int, limit: int, what: str) -> None:
        detail = f"The metadata would have {given:,} {what}; it may have {limit:,}."
        super().__init__(detail, at=("/metadata", "metadata_form"))


class CollectionFull(Invalid):
    code = "vectors.collection_full"
    meaning = "The engine keeps no more in one collection."

    def __init__(self, engine: str, limit: str) -> None:
        self.engine, self.limit = engine, limit
        super().__init__(f"The engine {engine!r} keeps {limit} in one collection at most; use 'qdrant' for more.")


class AnswerTooLarge(Invalid):
    code = "vectors.answer_too_large"
    meaning = "The records found hold more text and metadata than one answer may: ask for fewer at once."

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            f"What was found holds more than {most_bytes // 2**20} MiB of text and metadata: ask for fewer at once."
        )


class ModelMismatch(Invalid):
    code = "vectors.model_mismatch"
    meaning = (
        "The collection's texts were embedded with another model than the one here, so text would be compared with "
        "what it cannot be compared with; `detail` names both. Vectors of one's own are taken."
    )

    def __init__(self, pointer: str, *, name: str, kept: str, here: str) -> None:
        detail = f"Collection {name!r} holds texts embedded with {kept!r}; here text is embedded with {here!r}."
        super().__init__(detail, at=(pointer, "model_mismatch"))


class UnknownModel(Invalid):
    code = "vectors.unknown_model"
    meaning = "There is no embedding model of this name; `detail` names the one that there is."

    def __init__(self, asked: str, here: str) -> None:
        detail = f"There is no embedding model {asked!r} here; there is {here!r}."
        super().__init__(detail, at=("/model", "unknown_model"))


class EmbeddingModelNotFound(NotFound):
    code = "vectors.embedding_model_not_found"
    meaning = "There is no embedding model of this name for `/embeddings`; `message` names the one that there is."

    def __init__(self, asked: str, here: str) -> None:
        detail = f"There is no embedding model {asked!r} here; there is {here!r}."
        super().__init__(detail, at=("/model", "unknown_model"))


class DimensionsFixed(Invalid):
    code = "vectors.dimensions_fixed"
    meaning = "The model's vectors have one number of dimensions, and are not made shorter; `detail` names it."

    def __init__(self, model: str, dimension: int) -> None:
        detail = f"Vectors of {model!r} have {dimension} dimensions, and no other number."
        super().__init__(detail, at=("/dimensions", "dimensions_fixed"))


class RerankUnconfigured(Invalid):
    code = "vectors.rerank_unconfigured"
    meaning = (
        "No model reorders results here: `RERANK_URL` names none. `GET /api/v1/vectors/engines` says whether one does."
    )

    def __init__(self) -> None:
        detail = "No model reorders results here, as RERANK_URL is not set: search without 'rerank'."
        super().__init__(detail, at=("/rerank", "rerank_unconfigured"))


class TooMuchText(Invalid):
    code = "vectors.too_much_text"
    meaning = "The model here cannot embed so much text in the time of one request; `detail` says how much it can."

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            f"About {most_bytes:,} bytes of text can be embedded in one request at the pace of the model here: "
            "send it in several."
        )


class TextExpands(Invalid):
    code = "vectors.text_expands"
    meaning = (
        "The text is full of characters that stand for a phrase each, such as U+FDFA: written out, as models read it, "
        "it is longer than any text may be."
    )

    def __init__(self, most_chars: int) -> None:
        super().__init__(
            f"Written out (NFKC), as models read it, a text has more than {most_chars:,} characters: send it in parts."
        )


class QuotaExceeded(Conflict):
    code = "vectors.quota_exceeded"
    meaning = (
        "The tenant would have more collections, records, files or bytes than one may have: delete some. `GET "
        "/api/v1/vectors/usage` tells how many there are."
    )

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"A tenant may have {limit} {what} here, and there would be more; delete some first.")


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


class RerankFailed(UpstreamFailed):
    code = "vectors.rerank_failed"
    meaning = "The model that reorders results refused the request or gave an answer that makes no sense."
    default_detail = "rerank gave an invalid answer."


class EmbeddingsBusy(Unavailable):
    """Nothing was done: what is under way takes as long as a request has."""

    code = "vectors.embeddings_busy"
    meaning = (
        "More text waits to be embedded than can be in the time of a request; nothing was done, and `Retry-After` says "
        "when there is room."
    )

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(
            "embeddings",
            retry_after_seconds=retry_after_seconds,
            detail="More text waits to be embedded than can be in time; nothing was done.",
        )


class EngineKeyRefused(Unavailable):
    """Waiting does not help, but the caller is not to blame: an operator gives the right key, and it works."""

    code = "vectors.engine_key_refused"
    meaning = "An engine refuses the key that the service has for it: the operator has to give the right one."

    def __init__(self, component: str, setting: str) -> None:
        detail = f"{component} refuses the key of this service: {setting} is missing or wrong."
        super().__init__(component, retry_after_seconds=30, detail=detail)
