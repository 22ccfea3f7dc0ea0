"""Records as callers see them."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from services.vectors.collections.schemas import CollectionName
from services.vectors.domain import MAX_ITEMS, MAX_TEXT_CHARS, EngineName, Record
from services.vectors.records.domain import Deleted, Stored
from services.vectors.records.fields import MetadataField, RecordId, Vector
from services.vectors.records.filter_schema import FilterField
from services.vectors.records.filters import parse
from services.vectors.stores.domain import FenceMark
from services.vectors.terms import Condition
from shared.schemas import Id, LargeModel, ResponseModel, Text


class AttachedAs(LargeModel):
    """As what an ingestion writes."""

    file_id: Id = Field(description="of the file, which is attached to the collection")
    version: Id = Field(description="of the file in the vector store; another each time it is attached")


class Written(LargeModel):
    """What an ingestion may ask for, too."""

    attached_as: AttachedAs | None = Field(
        default=None,
        description="brought by the ingestion of a vector store's file: what is asked for is done only while the file "
        "is attached as that version and in progress, and makes no collection; else it is 409 "
        "`vectors.attachment_changed`",
    )

    @property
    def mark(self) -> FenceMark | None:
        given = self.attached_as
        return None if given is None else FenceMark(given.file_id, given.version)


class StoreItem(LargeModel):
    """Text, a vector, or both. A text without a vector is embedded here."""

    id: RecordId | None = Field(
        default=None, description="the same id again replaces the record; without one it is made"
    )
    text: Annotated[Text, Field(min_length=1, max_length=MAX_TEXT_CHARS)] | None = None
    vector: Vector | None = None
    metadata: MetadataField = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_content(self) -> "StoreItem":
        if self.text is None and self.vector is None:
            raise PydanticCustomError("item_empty", "An item needs a text or a vector.")
        return self


class StoreRequest(Written):
    """What to store. A collection that is missing is made: on Qdrant, cosine, of the dimension of the vectors."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"collection": "tea", "items": [{"id": "green", "text": "At 80 degrees."}]}]}
    )

    collection: CollectionName
    items: list[StoreItem] = Field(min_length=1, max_length=MAX_ITEMS)
    if_absent: bool = Field(
        default=False, description="leave a record as it is whose id is there already, instead of replacing it"
    )


class StoreResult(ResponseModel):
    """`ids` in the order of the items."""

    collection: str
    engine: EngineName
    stored: int = Field(description="records written; an id given twice counts once, and its last item wins")
    ids: list[str]
    existing: list[str] = Field(description="with `if_absent`, the ids that were there already: their records stayed")

    @classmethod
    def of(cls, stored: Stored) -> "StoreResult":
        collection = stored.collection
        return cls(
            collection=collection.name,
            engine=collection.engine,
            stored=stored.stored,
            ids=stored.ids,
            existing=stored.existing,
        )


class DeleteRequest(Written):
    """Which records to delete: by id, or by filter."""

    collection: CollectionName
    ids: Annotated[list[RecordId], Field(min_length=1, max_length=MAX_ITEMS)] | None = None
    filter: FilterField | None = None

    @model_validator(mode="after")
    def _names_once(self) -> "DeleteRequest":
        if (self.ids is None) is (self.filter is None):
            raise PydanticCustomError("ids_or_filter", "Give either 'ids' or 'filter'.")
        return self

    def wanted(self) -> list[str] | Condition:
        """Raises FilterInvalid."""
        return parse(self.filter) if self.ids is None else self.ids


class DeleteResult(ResponseModel):
    collection: str
    engine: EngineName
    deleted: int = Field(description="records that were there")

    @classmethod
    def of(cls, deleted: Deleted) -> "DeleteResult":
        return cls(collection=deleted.collection.name, engine=deleted.collection.engine, deleted=deleted.deleted)


class RecordRead(ResponseModel):
    """A record; under cosine its vector is at unit length."""

    id: str
    text: str | None
    metadata: dict[str, Any]
    vector: list[float]

    @classmethod
    def of(cls, record: Record) -> "RecordRead":
        return cls(id=record.id, text=record.text, metadata=dict(record.metadata), vector=record.vector.tolist())
