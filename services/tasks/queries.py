"""What the query of a list of tasks may name."""

from typing import Annotated

from fastapi import Depends, Query

from services.tasks.domain import Priority, TaskStatus
from services.tasks.filters import TaskFilter
from services.tasks.schemas import KindName
from shared.schemas import Id, Moment, PathText

_ErrorCode = Annotated[PathText, Query(min_length=1, max_length=100, examples=["common.unavailable"])]


async def _asked(
    status: Annotated[TaskStatus | None, Query(description="only tasks in this state")] = None,
    kind: Annotated[KindName | None, Query(description="only tasks of this kind")] = None,
    parent_id: Annotated[Id | None, Query(description="only tasks beneath this one")] = None,
    priority: Annotated[Priority | None, Query(description="only tasks of this priority")] = None,
    error_code: Annotated[_ErrorCode | None, Query(description="only tasks whose latest error has this code")] = None,
    dead_letter: Annotated[
        bool | None, Query(description="only tasks that failed because their attempts were used up, or all others")
    ] = None,
    unsettled: Annotated[
        bool | None, Query(description="only failed tasks that nobody has replayed or discarded, or all others")
    ] = None,
    created_after: Annotated[Moment | None, Query(description="only tasks submitted later")] = None,
    created_before: Annotated[Moment | None, Query(description="only tasks submitted earlier")] = None,
) -> TaskFilter:
    return TaskFilter(
        status=status,
        kind=kind,
        parent_id=parent_id,
        priority=priority,
        error_code=error_code,
        dead_letter=dead_letter,
        unsettled=unsettled,
        created_after=created_after,
        created_before=created_before,
    )


Asked = Annotated[TaskFilter, Depends(_asked)]
"""The filters of a list, from its query."""
