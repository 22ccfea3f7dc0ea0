"""What `vectors.ingest` is given."""

from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from services.tasks.documents.blocks import DocumentType
from services.tasks.documents.storing import OURS, Place
from services.tasks.kinds.collections import CollectionName, EngineName
from shared.schemas import Id, LargeModel, PathText, Text

_TEXT_BYTES = 2**20  # counted as the input is that it stands in, `MAX_INPUT_BYTES`
_TOKENS, _OVERLAP_TOKENS = 200, 30
_MOST_KEYS = 64 - len(OURS)  # of what `vectors` takes

# The bounds of `vectors`, so that what it would refuse later is refused at once.
_Scalar = StrictBool | StrictInt | StrictFloat | Annotated[Text, Field(max_length=4096)]
MetadataValue = _Scalar | Annotated[list[_Scalar], Field(max_length=64)]
Metadata = dict[Annotated[Text, Field(min_length=1, max_length=64)], MetadataValue]


def _without_ours(metadata: Metadata) -> Metadata:
    if taken := OURS & metadata.keys():
        raise ValueError(f"{', '.join(sorted(taken))}: set by the ingestion itself")
    return metadata


def _within_bytes(text: str) -> str:
    if (given := len(text.encode())) > _TEXT_BYTES:
        raise PydanticCustomError(
            "text_too_long", "Has {given} bytes in UTF-8; may have {most}.", {"given": given, "most": _TEXT_BYTES}
        )
    return text


DocumentText = Annotated[
    Text,
    Field(
        max_length=_TEXT_BYTES,
        description=f"at most {_TEXT_BYTES} bytes in UTF-8, which is what the whole input may have as JSON; an empty "
        "one takes away what was stored of its document",
        examples=["Refunds are paid within 14 days."],
    ),
    AfterValidator(_within_bytes),
]


class Document(LargeModel):
    """A text, or a file that was uploaded. Storing a document under the same id again replaces its chunks."""

    id: Annotated[PathText, Field(min_length=1, max_length=112)] | None = Field(
        default=None, description="made from the task's id when absent", examples=["refunds.md"]
    )
    text: DocumentText | None = None
    file_id: Id | None = Field(
        default=None, description="of a file that `POST /vectors/files` took, in place of `text`"
    )
    type: DocumentType | None = Field(
        default=None,
        description="what to read it as; when absent a text is `text`, and a file what it is by its content and name. "
        "`pdf` and `docx` are files",
        examples=["markdown"],
    )
    metadata: Annotated[Metadata, Field(max_length=_MOST_KEYS), AfterValidator(_without_ours)] = Field(
        default_factory=dict,
        description="of each chunk, beside its `document_id`, `chunk`, `headings` (the titles that it stands under, "
        "outermost first), `page` and `digest`",
        examples=[{"year": 2026}],
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> "Document":
        if (self.text is None) == (self.file_id is None):
            raise ValueError("exactly one of text and file_id must be given")
        if self.text is not None and self.type in {DocumentType.PDF, DocumentType.DOCX}:
            raise ValueError(f"{self.type.value} is no text: upload it, and name it in file_id")
        return self


class IngestInput(LargeModel):
    """Documents and where to put them."""

    collection: CollectionName
    engine: EngineName | None = Field(
        default=None, description="makes the collection with this engine when there is none", examples=["qdrant"]
    )
    documents: list[Document] = Field(
        min_length=1, max_length=1000, examples=[[{"id": "refunds.md", "text": "Refunds are paid within 14 days."}]]
    )
    chunk_tokens: int | None = Field(
        default=None,
        ge=32,
        le=8192,
        description=f"most tokens of a chunk, as the model that embeds it counts them; {_TOKENS} when absent, and no "
        "more than that model reads at once",
    )
    overlap_tokens: int | None = Field(
        default=None,
        ge=0,
        le=4096,
        description=f"that neighbours of a section share, in whole sentences; {_OVERLAP_TOKENS} when absent",
    )
    chunk_size: int | None = Field(
        default=None, ge=100, le=8000, description="most characters of a chunk, in place of `chunk_tokens`"
    )
    chunk_overlap: int | None = Field(
        default=None,
        ge=0,
        le=4000,
        description="characters that neighbours share, beside `chunk_size`; a tenth when absent",
    )

    attached_as: Id | None = Field(
        default=None,
        description="the version of the only document's file in the vector store, as whose ingestion this was "
        "submitted: when the file is detached or attached anew the task fails, and stores no more",
    )

    @property
    def counts_characters(self) -> bool:
        return self.chunk_size is not None or self.chunk_overlap is not None

    @property
    def place(self) -> Place:
        """Where its chunks are stored."""
        return Place(self.collection, self.documents[0].file_id, self.attached_as)

    @property
    def most(self) -> int:
        """Of a chunk: characters, or tokens."""
        return (self.chunk_size or 1000) if self.counts_characters else (self.chunk_tokens or _TOKENS)

    @property
    def overlap(self) -> int:
        """Of two chunks, in the same unit."""
        if self.counts_characters:
            return self.most // 10 if self.chunk_overlap is None else self.chunk_overlap
        return min(_OVERLAP_TOKENS, self.most // 2) if self.overlap_tokens is None else self.overlap_tokens

    @model_validator(mode="after")
    def _has_one_unit(self) -> "IngestInput":
        if self.counts_characters and (self.chunk_tokens is not None or self.overlap_tokens is not None):
            raise ValueError("chunk_size and chunk_overlap are characters: give either them or tokens")
        return self

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> "IngestInput":
        if self.overlap * 2 > self.most:
            raise ValueError("chunks may share at most half of their size")
        return self

    @model_validator(mode="after")
    def _is_of_one_file(self) -> "IngestInput":
        first = self.documents[0]
        is_one = len(self.documents) == 1 and first.file_id is not None and first.id == first.file_id
        if self.attached_as is not None and not is_one:
            raise ValueError("attached_as goes with one document, whose id is its file_id")
        return self

    @model_validator(mode="after")
    def _ids_differ(self) -> "IngestInput":
        ids = [document.id for document in self.documents if document.id is not None]
        if len(set(ids)) < len(ids):
            raise ValueError("document ids must differ")
        return self
