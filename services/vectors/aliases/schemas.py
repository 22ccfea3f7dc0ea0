"""Aliases as callers see them."""

from pydantic import Field

from services.vectors.collections.schemas import CollectionName
from services.vectors.domain import Alias
from shared.schemas import RequestModel, ResponseModel, UtcDatetime


class AliasPut(RequestModel):
    """Where an alias is to point: to a collection by its own name."""

    collection: CollectionName


class AliasRead(ResponseModel):
    """An alias. Its name serves wherever the name of the collection does; answers name the collection."""

    name: str
    collection: str = Field(description="the collection it points to")
    created_at: UtcDatetime
    updated_at: UtcDatetime = Field(description="when it was pointed there")

    @classmethod
    def of(cls, alias: Alias) -> "AliasRead":
        return cls(
            name=alias.name, collection=alias.collection, created_at=alias.created_at, updated_at=alias.updated_at
        )
