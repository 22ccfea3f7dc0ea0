"""The annotated types that tasks' routes ask for."""

from typing import Annotated

from fastapi import Depends

from services.tasks.history.service import HistoryService
from services.tasks.replays.service import ReplayService
from services.tasks.service import TaskService
from services.tasks.streams.service import StreamService
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

Reader = Annotated[Caller, requires("tasks:read")]
Writer = Annotated[Caller, requires("tasks:write")]
Batcher = Annotated[Caller, requires("tasks:write", limit="bulk")]
Tasks = Annotated[TaskService, Depends(from_state("tasks"))]
Replays = Annotated[ReplayService, Depends(from_state("replays"))]
Streams = Annotated[StreamService, Depends(from_state("streams"))]
History = Annotated[HistoryService, Depends(from_state("history"))]
