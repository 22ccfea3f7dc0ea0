"""Pages of records and changes of metadata, as callers see them."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from services.vectors.domain import Record
from services.vectors.records.fields import MetadataChangesField
from services.vectors.records.listing import Listed
from shared.resources import Page
from shared.schemas import LargeModel, ResponseModel

MAX_FILTER_CHARS = 4096

QueryFilter = Annotated[
    str | None,
    Query(
        max_length=MAX_FILTER_CHARS,
        description="as in a search, as percent-encoded JSON; in a URL, proxies take 8 KiB of it as it is sent",
        examples=['{"field": "year", "op": "gte", "value": 2020}'],
    ),
]
WithVectors = Annotated[bool, Query(description="whether each record comes with its vector")]
WithCount = Annotated[bool, Query(description="whether `count` is told, which takes a look at every match")]


class RecordListed(ResponseModel):
    """A record; under cosine its vector is at unit length."""

    id: str
    text: str | None
    metadata: dict[str, Any]
    vector: list[float] | None = Field(description="null unless `include_vectors` asks for it")

    @classmethod
    def of(cls, record: Record) -> "RecordListed":
        vector = record.vector.tolist() if record.vector.size else None
        return cls(id=record.id, text=record.text, metadata=dict(record.metadata), vector=vector)


class RecordPage(Page[RecordListed]):
    """One page of a collection; `next_cursor` is null on the last."""

    count: int | None = Field(description="records that meet the filter, on all pages; null unless `count` asks for it")

    @classmethod
    def of(cls, listed: Listed) -> "RecordPage":
        page = listed.records.page(RecordListed.of)
        return cls(items=page.items, next_cursor=page.next_cursor, count=listed.count)


class RecordUpdate(LargeModel):
    """A change of one record. Its text and vector are replaced by storing it again."""

    metadata: MetadataChangesField = Field(description="merged into what is there; a member of null goes")
