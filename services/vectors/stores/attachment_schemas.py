"""Files of vector stores as OpenAI's clients attach and read them."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from services.vectors.metadata import scalar_problem
from services.vectors.paging import Identified
from services.vectors.stores.domain import MAX_BATCH_FILES, RESERVED, Attachment, AttachmentStatus, Chunking, Counts
from shared.openai import OpenAIRequest
from shared.schemas import Id, ResponseModel, Text

_MOST_TOKENS, _OVERLAP_TOKENS = 200, 30  # of `vectors.ingest`, where nothing is told; a test holds both together
_VALUE_CHARS: Final = 512
_UNREADABLE: Final = ("tasks.document_", "tasks.file_")
_NO_FAULT_OF_IT: Final = frozenset({"tasks.document_in_use"})
_UNSUPPORTED: Final = ("tasks.document_type_unknown", "tasks.document_type_wrong")


def _without_ours(attributes: dict[str, Any]) -> dict[str, Any]:
    if taken := RESERVED & attributes.keys():
        raise PydanticCustomError(
            "attribute_reserved", "{names}: set by the ingestion itself.", {"names": ", ".join(sorted(taken))}
        )
    return attributes


def _value(value: object) -> object:
    if isinstance(value, str) and len(value) > _VALUE_CHARS:
        raise PydanticCustomError("string_too_long", "Text may have {most} characters.", {"most": _VALUE_CHARS})
    if problem := scalar_problem(value):
        raise PydanticCustomError(
            "attribute_form", "Must be text, a number or a boolean; {problem}.", {"problem": problem}
        )
    return value


Attributes = Annotated[
    dict[
        Annotated[Text, Field(min_length=1, max_length=64)],
        Annotated[
            Any,
            PlainValidator(_value),
            WithJsonSchema(
                {"anyOf": [{"type": "string", "maxLength": _VALUE_CHARS}, {"type": "number"}, {"type": "boolean"}]}
            ),
        ],
    ],
    Field(
        max_length=16,
        description="of the file, to filter searches by: metadata of each of its records",
        examples=[{"year": 2026, "team": "support"}],
    ),
    AfterValidator(_without_ours),
]


def _different(ids: list[str]) -> list[str]:
    if len(set(ids)) < len(ids):
        raise PydanticCustomError("file_ids_differ", "A file stands there twice.")
    return ids


class StaticSizes(OpenAIRequest):
    """In tokens of the model that embeds."""

    max_chunk_size_tokens: int = Field(ge=100, le=4096, strict=True, examples=[200])
    chunk_overlap_tokens: int = Field(ge=0, le=2048, strict=True, examples=[30])

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> "StaticSizes":
        if self.chunk_overlap_tokens * 2 > self.max_chunk_size_tokens:
            raise PydanticCustomError("overlap", "Chunks may share at most half of their size.")
        return self


class AutoChunking(OpenAIRequest):
    """As ingestion does unless told: 200 tokens, of which neighbours share 30."""

    type: Literal["auto"]


class StaticChunking(OpenAIRequest):
    """Chunks of a size of one's own; no more than the model that embeds reads at once."""

    type: Literal["static"]
    static: StaticSizes


Strategy = Annotated[AutoChunking | StaticChunking, Field(discriminator="type")]


def chunking_of(strategy: Strategy | None) -> Chunking:
    if isinstance(strategy, StaticChunking):
        return Chunking(strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens)
    return Chunking()


class FilesAttached(OpenAIRequest):
    """Files that are attached together, alike."""

    file_ids: Annotated[list[Id], Field(max_length=MAX_BATCH_FILES), AfterValidator(_different)] = Field(
        default_factory=list, description="of files that are whole; each is ingested by a task of its own"
    )
    chunking_strategy: Strategy | None = None


class FileAttach(OpenAIRequest):
    """A file to be ingested into the store."""

    file_id: Id = Field(description="of a file that is whole")
    attributes: Attributes = Field(default_factory=dict)
    chunking_strategy: Strategy | None = None


class AttributesUpdate(OpenAIRequest):
    """The attributes of a file, in place of those it has."""

    attributes: Attributes


class BatchCreate(OpenAIRequest):
    """Files to be ingested into the store: all alike (`file_ids`), or each in its own way (`files`)."""

    file_ids: (
        Annotated[list[Id], Field(min_length=1, max_length=MAX_BATCH_FILES), AfterValidator(_different)] | None
    ) = None
    files: Annotated[list[FileAttach], Field(min_length=1, max_length=MAX_BATCH_FILES)] | None = None
    attributes: Attributes = Field(default_factory=dict, description="of all `file_ids`")
    chunking_strategy: Strategy | None = None

    @model_validator(mode="after")
    def _has_one_list(self) -> "BatchCreate":
        if (self.file_ids is None) is (self.files is None):
            raise PydanticCustomError("file_ids_or_files", "Give either 'file_ids' or 'files'.")
        _different([one.file_id for one in self.files or ()])
        if self.files is not None and (self.attributes or self.chunking_strategy):
            raise PydanticCustomError("files_alone", "With 'files' each has its own attributes and chunking_strategy.")
        return self

    @property
    def wanted(self) -> list[FileAttach]:
        if self.files is not None:
            return self.files
        return [
            FileAttach(file_id=one, attributes=self.attributes, chunking_strategy=self.chunking_strategy)
            for one in self.file_ids or ()
        ]


class FileCounts(ResponseModel):
    """How many files are in which state."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int

    @classmethod
    def of(cls, counts: Counts) -> "FileCounts":
        return cls.model_validate(counts)


class LastError(ResponseModel):
    """Why it failed."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str = Field(description="with the code of the task's error")


class SizesRead(ResponseModel):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class ChunkingRead(ResponseModel):
    type: Literal["static"] = "static"
    static: SizesRead

    @classmethod
    def of(cls, chunking: Chunking) -> "ChunkingRead":
        most = _MOST_TOKENS if chunking.most_tokens is None else chunking.most_tokens
        overlap = _OVERLAP_TOKENS if chunking.overlap_tokens is None else chunking.overlap_tokens
        return cls(static=SizesRead(max_chunk_size_tokens=most, chunk_overlap_tokens=overlap))


class AttachmentRead(Identified):
    """A file of a vector store."""

    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int = Field(description="when it was attached, in seconds since 1970")
    vector_store_id: str
    status: AttachmentStatus
    usage_bytes: int = Field(description="of the file as it was uploaded; 0 until it is ingested")
    last_error: LastError | None
    attributes: dict[str, str | bool | int | float]
    chunking_strategy: ChunkingRead

    @classmethod
    def of(cls, attachment: Attachment, name: str) -> "AttachmentRead":
        return cls(
            id=attachment.file_id,
            created_at=int(attachment.created_at.timestamp()),
            vector_store_id=name,
            status=attachment.status,
            usage_bytes=attachment.bytes if attachment.status is AttachmentStatus.COMPLETED else 0,
            last_error=_last_error(attachment),
            attributes=dict(attachment.attributes),
            chunking_strategy=ChunkingRead.of(attachment.chunking),
        )


class AttachmentDeleted(ResponseModel):
    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: Literal[True] = True


class FileBatchRead(Identified):
    """Files that were attached together."""

    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: AttachmentStatus = Field(description="of the files together")
    file_counts: FileCounts

    @classmethod
    def of(cls, batch_id: str, created_at: float, counts: Counts, name: str) -> "FileBatchRead":
        return cls(
            id=batch_id,
            created_at=int(created_at),
            vector_store_id=name,
            status=_together(counts),
            file_counts=FileCounts.of(counts),
        )


def _together(counts: Counts) -> AttachmentStatus:
    """In progress while one is; completed when one is, and else what all of them are."""
    if counts.in_progress:
        return AttachmentStatus.IN_PROGRESS
    if counts.completed:
        return AttachmentStatus.COMPLETED
    return AttachmentStatus.CANCELLED if counts.cancelled else AttachmentStatus.FAILED


def _last_error(attachment: Attachment) -> LastError | None:
    failure = attachment.failure
    if failure is None:
        return None
    message = f"{failure.detail} ({failure.code})"
    if failure.code in _UNSUPPORTED:
        return LastError(code="unsupported_file", message=message)
    is_invalid = failure.code.startswith(_UNREADABLE) and failure.code not in _NO_FAULT_OF_IT
    return LastError(code="invalid_file" if is_invalid else "server_error", message=message)
