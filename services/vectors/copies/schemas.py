"""Copies as the worker asks for them."""

from typing import Annotated

from pydantic import Field

from services.vectors.collections.schemas import CollectionName, Engine
from services.vectors.copies.domain import Copy, CopyPhase
from services.vectors.copies.verifying import SAMPLES
from services.vectors.domain import Metric
from shared.schemas import Id, RequestModel, ResponseModel, Text

Recall = Annotated[float, Field(ge=0, le=1, description="least share of the nearest records that searches must find")]
Samples = Annotated[int, Field(ge=0, le=SAMPLES, description="records whose nearest are searched for")]


class CopyBegin(RequestModel):
    """A copy under the id that its target is to have."""

    id: Id
    source: CollectionName
    target: CollectionName
    engine: Engine | None = None
    model: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    metric: Metric | None = None
    alias: CollectionName | None = None


class CopyStep(RequestModel):
    """One step further, with what the copy has to reach."""

    id: Id
    target: CollectionName
    recall: Recall = 0.95
    samples: Samples = 20


class CopyRead(ResponseModel):
    """How far a copy is; `total` is told when it is begun."""

    phase: CopyPhase
    copied: int
    pending: int
    count: int | None
    recall: float | None
    total: int | None = None

    @classmethod
    def of(cls, copy: Copy, total: int | None = None) -> "CopyRead":
        return cls(
            phase=copy.phase,
            copied=copy.copied,
            pending=copy.pending,
            count=copy.count,
            recall=copy.recall,
            total=total,
        )
