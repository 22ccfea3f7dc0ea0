"""Collections as callers see them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from services.vectors.collections.domain import Counted
from services.vectors.domain import COLLECTION_NAME, MAX_DIMENSION, CollectionStatus, EngineName, Metric
from shared.schemas import RequestModel, ResponseModel, Text, UtcDatetime


def _known_engine(value: object) -> object:
    if isinstance(value, str) and value not in set(EngineName):
        known = ", ".join(EngineName)
        raise PydanticCustomError(
            "unknown_engine",
            "There is no engine {given}; there are {known}.",
            {"given": repr(value[:64]), "known": known},
        )
    return value


CollectionName = Annotated[
    str, Field(pattern=COLLECTION_NAME, examples=["handbook"], description="unique among the tenant's collections")
]
Engine = Annotated[
    EngineName, BeforeValidator(_known_engine), Field(description="what keeps the collection", examples=["qdrant"])
]


class CollectionCreate(RequestModel):
    """A new collection."""

    name: CollectionName
    engine: Engine = EngineName.QDRANT
    dimension: int | None = Field(
        default=None, ge=1, le=MAX_DIMENSION, description="of its vectors; without it that of the embedding model"
    )
    metric: Metric = Field(default=Metric.COSINE, description="`l2` scores are negated distances: higher is better")
    model: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="what its vectors were embedded with elsewhere: the only model it takes text for; without it the "
        "first text says so",
        examples=["multilingual-e5-small"],
    )


class CollectionRead(ResponseModel):
    """A collection."""

    name: str
    engine: EngineName
    dimension: int
    metric: Metric
    status: Literal["creating", "filling", "ready", "deleting", "unavailable", "lost"] = Field(
        description="`unavailable`: the engine does not answer; `lost`: it no longer holds the collection; "
        "`creating`, `deleting`: repeat the request to finish it, that of creating after a minute; `filling`: a task "
        "of the kind `vectors.copy` fills it, and it can only be deleted until then"
    )
    model: str | None = Field(
        description="what its texts are embedded with, the only model it takes text for; null before the first"
    )
    count: int | None = Field(description="records in it; null unless the status is `ready`")
    created_at: UtcDatetime

    @classmethod
    def of(cls, counted: Counted) -> "CollectionRead":
        """A ready collection that could not be counted is shown as `unavailable` or `lost`."""
        collection = counted.collection
        uncounted = collection.status is CollectionStatus.READY and counted.count is None
        return cls(
            name=collection.name,
            engine=collection.engine,
            dimension=collection.dimension,
            metric=collection.metric,
            status=("lost" if counted.is_lost else "unavailable") if uncounted else collection.status.value,
            model=collection.model,
            count=counted.count,
            created_at=collection.created_at,
        )
