"""Ingestions as tasks of the tasks service, submitted and cancelled with the caller's own rights."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from services.vectors.stores.domain import Attachment, AttachmentStatus, Failure, Outcome
from shared.calls import ServiceClient
from shared.errors import ServiceError, UpstreamFailed
from shared.identity import Caller

_KIND: Final = "vectors.ingest"
_TASKS: Final = "tasks"
_OUTCOME_SECONDS: Final = 2.0
"""Whoever reads how far a file is does not wait longer for tasks: what was known last is answered."""
_SUBMITTED_BYTES: Final = 4 * 2**20
"""Of tasks in one call: half of what tasks read."""
_OUTCOMES: Final = "/internal/ingestions/outcomes"
_ENDED: Final = {
    "succeeded": AttachmentStatus.COMPLETED,
    "failed": AttachmentStatus.FAILED,
    "expired": AttachmentStatus.FAILED,
    "cancelled": AttachmentStatus.CANCELLED,
}
_RATE_LIMITED, _CONFLICT, _OWN_FAULT = 429, 409, 500
_UNKNOWN: Final = Failure(
    "vectors.outcome_unknown", "Tasks no longer know what became of the ingestion: attach the file again."
)
Model = TypeVar("Model", bound=BaseModel)


class _Problem(BaseModel):
    """This service's own copies of the shapes: the members it uses, whatever else there is."""

    code: str
    detail: str


class _Taken(BaseModel):
    id: str


class _Submitted(BaseModel):
    status: int
    task: _Taken | None = None
    problem: _Problem | None = None


class _Batch(BaseModel):
    results: list[_Submitted]


class _Ended(BaseModel):
    id: str
    status: str
    error_code: str | None = None
    error_detail: str | None = None


class _Outcomes(BaseModel):
    items: list[_Ended]


class TasksIngestions:
    """`Ingestions` over HTTP."""

    def __init__(self, services: ServiceClient, timeout_seconds: float) -> None:
        self._services, self._timeout_seconds = services, timeout_seconds

    async def submit(self, caller: Caller, name: str, attachments: Sequence[Attachment], key: str) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for number, some in enumerate(_parts(name, attachments)):
            try:
                outcomes += await self._submit(caller, name, some, f"{key}-{number}" if number else key)
            except ServiceError:
                if not number:
                    raise
                break  # those before are known, and the others were not taken now
        return outcomes

    async def _submit(self, caller: Caller, name: str, attachments: Sequence[Attachment], key: str) -> list[Outcome]:
        body = {"tasks": [_task(name, one) for one in attachments]}
        answer = await self._call(caller, "/api/v1/tasks/submit/batch", body, {"Idempotency-Key": key})
        results = _read(_Batch, answer).results
        if len(results) != len(attachments):
            raise UpstreamFailed("tasks gave an invalid answer.")
        found = (_submitted(one, result) for one, result in zip(attachments, results, strict=True))
        return [outcome for outcome in found if outcome is not None]

    async def outcomes(self, caller: Caller, name: str, attachments: Sequence[Attachment]) -> list[Outcome]:
        asked = {one.task_id: one for one in attachments if one.task_id is not None}
        if not asked:
            return []
        body = {"collection": name, "ids": list(asked)}
        answer = await self._call(caller, _OUTCOMES, body, seconds=_OUTCOME_SECONDS)
        ended = {one.id: one for one in _read(_Outcomes, answer).items}
        found = (_outcome(one, ended.get(task_id)) for task_id, one in asked.items())
        return [outcome for outcome in found if outcome is not None]

    async def cancel(self, caller: Caller, task_id: str) -> None:
        try:
            await self._call(caller, f"/api/v1/tasks/{task_id}/cancel", None)
        except ServiceError as error:
            if error.status != _CONFLICT:  # it has ended
                raise

    async def _call(
        self,
        caller: Caller,
        path: str,
        body: Any,
        headers: dict[str, str] | None = None,
        seconds: float | None = None,
    ) -> bytes:
        answer = await self._services.call(
            _TASKS,
            "POST",
            path,
            token=caller.token,
            json=body,
            headers=headers,
            timeout_seconds=seconds or self._timeout_seconds,
            idempotent=True,  # each of them is: by its key, by reading only, or by what it asks for
        )
        return answer.content


def _parts(name: str, attachments: Sequence[Attachment]) -> Iterator[list[Attachment]]:
    """So many at a time as one call may bring: what a client says once of many files stands in the task of each."""
    part: list[Attachment] = []
    size = 0
    for one in attachments:
        more = len(orjson.dumps(_task(name, one)))
        if part and size + more > _SUBMITTED_BYTES:
            yield part
            part, size = [], 0
        part.append(one)
        size += more
    if part:
        yield part


def _task(name: str, attachment: Attachment) -> dict[str, Any]:
    document = {"id": attachment.file_id, "file_id": attachment.file_id, "metadata": dict(attachment.attributes)}
    chunking = {
        "chunk_tokens": attachment.chunking.most_tokens,
        "overlap_tokens": attachment.chunking.overlap_tokens,
    }
    given = {"collection": name, "documents": [document], "attached_as": attachment.version, **chunking}
    return {"kind": _KIND, "input": {member: value for member, value in given.items() if value is not None}}


def _submitted(attachment: Attachment, result: _Submitted) -> Outcome | None:
    """None for one that was not taken and may be at another time."""
    file_id, version = attachment.file_id, attachment.version
    if result.task is not None:
        return Outcome(file_id, version, result.task.id, AttachmentStatus.IN_PROGRESS)
    if result.problem is None or result.status == _RATE_LIMITED or result.status >= _OWN_FAULT:
        return None
    failure = Failure(result.problem.code, result.problem.detail)
    return Outcome(file_id, version, None, AttachmentStatus.FAILED, failure)


def _outcome(attachment: Attachment, ended: _Ended | None) -> Outcome | None:
    """None while it goes on."""
    if ended is None:
        return Outcome(attachment.file_id, attachment.version, None, AttachmentStatus.FAILED, _UNKNOWN)
    status = _ENDED.get(ended.status)
    if status is None:
        return None
    failure = None
    if status is AttachmentStatus.FAILED:
        failure = Failure(ended.error_code or f"tasks.{ended.status}", ended.error_detail or f"It has {ended.status}.")
    return Outcome(attachment.file_id, attachment.version, None, status, failure)


def _read(model: type[Model], content: bytes) -> Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise UpstreamFailed("tasks gave an invalid answer.") from error
