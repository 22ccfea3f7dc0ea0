"""The annotated types that tasks' routes ask for."""

from typing import Annotated

from services.tasks.service import TaskService
from shared.door import held, requires
from shared.identity import Caller

Reader = Annotated[Caller, requires("tasks:read")]
Writer = Annotated[Caller, requires("tasks:write")]
Tasks = Annotated[TaskService, held("tasks")]
