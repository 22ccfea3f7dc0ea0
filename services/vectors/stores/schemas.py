"""Vector stores as OpenAI's clients ask for them and read them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from services.vectors.domain import EngineName
from services.vectors.paging import Identified
from services.vectors.stores.attachment_schemas import FileCounts, FilesAttached
from services.vectors.stores.domain import MAX_DAYS, Store
from shared.openai import OpenAIRequest
from shared.schemas import ResponseModel, Text

ENGINE: Final = "engine"


def _with_known_engine(metadata: dict[str, str]) -> dict[str, str]:
    if ENGINE in metadata and metadata[ENGINE] not in set(EngineName):
        raise PydanticCustomError(
            "unknown_engine",
            "{engine}: there is no engine {given}; there are {known}.",
            {"engine": ENGINE, "given": repr(metadata[ENGINE][:64]), "known": ", ".join(EngineName)},
        )
    return metadata


Metadata = Annotated[
    dict[Annotated[Text, Field(min_length=1, max_length=64)], Annotated[Text, Field(max_length=512)]],
    Field(
        max_length=16,
        description="kept as it is. `engine` says what keeps the store: `qdrant`, `chroma` or `faiss`",
        examples=[{"team": "support", "engine": "faiss"}],
    ),
    AfterValidator(_with_known_engine),
]
Title = Annotated[Text, Field(max_length=256, examples=["Support FAQ"])]
Description = Annotated[Text, Field(max_length=512)]


class ExpiresAfter(OpenAIRequest):
    """So many days after its last use a store expires: after a search, by whatever door, or a file that is attached."""

    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=MAX_DAYS, strict=True, examples=[7])


class StoreCreate(FilesAttached):
    """A new vector store, which is a collection; its id is the collection's name."""

    name: Title = ""
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    expires_after: ExpiresAfter | None = None

    @property
    def engine(self) -> EngineName:
        return EngineName(self.metadata.get(ENGINE, EngineName.QDRANT))


class StoreUpdate(OpenAIRequest):
    """What changes; what is left out, or null, stays."""

    name: Title | None = Field(default=None, examples=["Support FAQ"])
    metadata: Metadata | None = Field(default=None, description="in place of what is kept")
    expires_after: ExpiresAfter | None = Field(default=None, description="from now on; also of one that has expired")


class StoreRead(Identified):
    """A vector store."""

    object: Literal["vector_store"] = "vector_store"
    created_at: int = Field(description="in seconds since 1970")
    name: str = Field(description="as it was told; the id of a collection of which nothing was told")
    description: str | None
    usage_bytes: int = Field(description="of the files that are ingested, as they were uploaded")
    file_counts: FileCounts
    status: Literal["expired", "in_progress", "completed"] = Field(
        description="`completed` when no file is being ingested; one that is `expired` is deleted after a day"
    )
    metadata: dict[str, Any] = Field(description="as it was told; the `engine` of a collection of which nothing was")
    expires_after: ExpiresAfter | None
    expires_at: int | None
    last_active_at: int | None = Field(description="within ten minutes; null of one that does not expire")

    @classmethod
    def of(cls, store: Store) -> "StoreRead":
        collection, about, expiry = store.collection, store.about, store.expiry
        return cls(
            id=collection.name,
            created_at=int(collection.created_at.timestamp()),
            name=collection.name if about is None or about.title is None else about.title,
            description=about.description if about else None,
            usage_bytes=store.counts.bytes,
            file_counts=FileCounts.of(store.counts),
            status=_status(store),
            metadata=dict(about.metadata) if about else {ENGINE: collection.engine.value},
            expires_after=expiry and ExpiresAfter(anchor="last_active_at", days=expiry.days),
            expires_at=expiry and int(expiry.at.timestamp()),
            last_active_at=expiry and int(expiry.active_at.timestamp()),
        )


def _status(store: Store) -> Literal["expired", "in_progress", "completed"]:
    if store.is_over(datetime.now(UTC)):
        return "expired"
    return "completed" if store.is_ready else "in_progress"


class StoreDeleted(ResponseModel):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: Literal[True] = True
