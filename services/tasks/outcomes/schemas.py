"""Outcomes as vectors asks for them."""

from typing import Annotated

from pydantic import Field

from services.tasks.domain import TaskStatus
from services.tasks.kinds.collections import CollectionName
from shared.schemas import Id, RequestModel, ResponseModel

MAX_ASKED = 500


class OutcomesAsked(RequestModel):
    """Which ingestions, and the collection that they fill."""

    collection: CollectionName
    ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_ASKED)]


class OutcomeRead(ResponseModel):
    """One of them."""

    id: str
    status: TaskStatus
    error_code: str | None
    error_detail: str | None


class OutcomesRead(ResponseModel):
    """Those that there are, in no order."""

    items: list[OutcomeRead]
