"""The annotated types that tasks' routes ask for."""

from typing import Annotated

from fastapi import Depends

from services.tasks.schedules.service import ScheduleService
from services.tasks.service import TaskService
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

Reader = Annotated[Caller, requires("tasks:read")]
Writer = Annotated[Caller, requires("tasks:write")]
Schedules = Annotated[ScheduleService, Depends(from_state("schedules"))]
Tasks = Annotated[TaskService, Depends(from_state("tasks"))]
