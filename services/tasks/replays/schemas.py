"""Replays and dead letters on the wire."""

from typing import Annotated, Any, Literal

from pydantic import Field

from services.tasks.filters import TaskFilter
from services.tasks.repository import DeadLetters
from services.tasks.schemas import KindName
from shared.schemas import LargeModel, Moment, PathText, ResponseModel, UtcDatetime

MAX_REPLAYS = 1000


class ReplayMany(LargeModel):
    """Which failed tasks to replay, and how fast."""

    kind: KindName | None = Field(default=None, description="only tasks of this kind")
    error_code: Annotated[PathText, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="only tasks that failed with this code", examples=["common.unavailable"]
    )
    dead_letter: bool | None = Field(
        default=None, description="only those whose attempts were used up, or only the others"
    )
    finished_after: Moment | None = Field(default=None, description="only tasks that failed later")
    finished_before: Moment | None = Field(default=None, description="only tasks that failed earlier")
    limit: int = Field(default=MAX_REPLAYS, ge=1, le=MAX_REPLAYS, description="how many at most, the oldest first")
    rate: float = Field(default=10, ge=1, le=100, description="how many a second at most")

    def filter(self) -> TaskFilter:
        return TaskFilter(unsettled=True, **self.model_dump(exclude={"limit", "rate"}))

    def input(self) -> dict[str, Any]:
        """As the input of a task."""
        return self.model_dump(mode="json", exclude_none=True)


class DeadLetterCount(ResponseModel):
    """Failed tasks of one kind, with one error, that nobody has replayed or discarded."""

    kind: str
    error_code: str
    dead_letter: bool = Field(description="whether their attempts were used up; else trying again could not help")
    count: int = Field(ge=1)
    oldest_at: UtcDatetime = Field(description="when the first of them failed")
    newest_at: UtcDatetime


class DeadLetterList(ResponseModel):
    """By kind and error, the most frequent first."""

    items: list[DeadLetterCount]
    is_whole: bool = Field(description="false where there are more than the newest 100,000, which were counted")
    next_cursor: Literal[None] = None

    @classmethod
    def of(cls, found: DeadLetters) -> "DeadLetterList":
        return cls(items=[DeadLetterCount(**row) for row in found.rows], is_whole=found.is_whole)
