"""Work that is done later, as the tasks service takes it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from services.chat.ports import Submitted
from shared.calls import ServiceClient
from shared.errors import UpstreamFailed


class _Task(BaseModel):
    """This service's own copy of the shape: the members it uses, whatever else there is."""

    id: str
    status: str


class TasksQueue:
    """Asks the tasks service with the caller's own rights."""

    def __init__(self, services: ServiceClient, timeout_seconds: float) -> None:
        self._services, self._timeout_seconds = services, timeout_seconds

    async def submit(self, kind: str, input: Mapping[str, Any], *, key: str, token: str) -> Submitted:
        answer = await self._services.call(
            "tasks",
            "POST",
            "/api/v1/tasks/submit",
            token=token,
            json={"kind": kind, "input": input},
            headers={"Idempotency-Key": key},
            timeout_seconds=self._timeout_seconds,
            idempotent=True,
        )
        try:
            task = _Task.model_validate_json(answer.content)
        except ValidationError as error:
            raise UpstreamFailed("tasks gave an invalid answer.") from error
        return Submitted(task.id, task.status)
