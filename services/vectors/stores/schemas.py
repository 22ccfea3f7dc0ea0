"""Vector stores as OpenAI's clients ask for them and read them."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from services.vectors.domain import EngineName
from services.vectors.paging import Identified
from services.vectors.stores.attachment_schemas import FileCounts, FilesAttached
from services.vectors.stores.domain import Store
from shared.openai import OpenAIRequest, Unsupported
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


class StoreCreate(FilesAttached):
    """A new vector store, which is a collection; its id is the collection's name."""

    name: Title = ""
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    expires_after: Unsupported = None

    @property
    def engine(self) -> EngineName:
        return EngineName(self.metadata.get(ENGINE, EngineName.QDRANT))


class StoreUpdate(OpenAIRequest):
    """What changes; what is left out, or null, stays."""

    name: Title | None = Field(default=None, examples=["Support FAQ"])
    metadata: Metadata | None = Field(default=None, description="in place of what is kept")
    expires_after: Unsupported = None


class StoreRead(Identified):
    """A vector store."""

    object: Literal["vector_store"] = "vector_store"
    created_at: int = Field(description="in seconds since 1970")
    name: str = Field(description="as it was told; the id of a collection of which nothing was told")
    description: str | None
    usage_bytes: int = Field(description="of the files that are ingested, as they were uploaded")
    file_counts: FileCounts
    status: Literal["in_progress", "completed"] = Field(description="`completed` when no file is being ingested")
    metadata: dict[str, Any] = Field(description="as it was told; the `engine` of a collection of which nothing was")
    expires_after: None = None
    expires_at: None = None
    last_active_at: None = Field(default=None, description="not kept, as nothing depends on it")

    @classmethod
    def of(cls, store: Store) -> "StoreRead":
        collection, about = store.collection, store.about
        return cls(
            id=collection.name,
            created_at=int(collection.created_at.timestamp()),
            name=collection.name if about is None or about.title is None else about.title,
            description=about.description if about else None,
            usage_bytes=store.counts.bytes,
            file_counts=FileCounts.of(store.counts),
            status="completed" if store.is_ready else "in_progress",
            metadata=dict(about.metadata) if about else {ENGINE: collection.engine.value},
        )


class StoreDeleted(ResponseModel):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: Literal[True] = True
