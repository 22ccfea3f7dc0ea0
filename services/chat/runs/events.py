"""What a run tells while it goes on, and how that looks as server-sent events.

    run.started          {run_id, conversation_id, agent_id, message}     the user's message as it is stored
    retrieval.completed  {passages, warnings}                             best first; collections gone without
    message.delta        {content}                                        the next piece of the answer
    message.completed    {message}                                        the answer as it is stored, with citations
    run.completed        {run_id, conversation_id, model, finish_reason, usage, warnings}
    run.failed           a problem, with run_id and conversation_id
    run.cancelled        {run_id, conversation_id}

The last event is always one of the three last. Numbers rise by one from 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.chat.domain import Evidence, Reply, Run, RunState, SearchWarning, Turn
from services.chat.generation import Usage
from services.chat.storage import message_from, message_members
from services.chat.times import from_ms
from shared.errors import ServiceError, problem_body
from shared.telemetry import current_trace_id
from shared.web import event_frame

STARTED = "run.started"
RETRIEVED = "retrieval.completed"
DELTA = "message.delta"
MESSAGE = "message.completed"
COMPLETED = "run.completed"
FAILED = "run.failed"
CANCELLED = "run.cancelled"
FINAL = frozenset({COMPLETED, FAILED, CANCELLED})

_INSTANCE = "/api/v1/chat/message"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is JSON on one line."""

    number: int
    type: str
    data: bytes

    def frame(self) -> bytes:
        """The event as it goes over the wire."""
        return event_frame(self.number, self.type, self.data)


def started(turn: Turn) -> Event:
    members = {**turn.ids, "agent_id": turn.agent.id, "message": message_members(turn.question)}
    return Event(1, STARTED, orjson.dumps(members))


def retrieved(evidence: Evidence) -> dict[str, Any]:
    return {"passages": list(evidence.passages), "warnings": list(evidence.warnings)}


def completed(first_number: int, reply: Reply) -> list[Event]:
    """The two events that end a run that succeeded."""
    outcome = {
        "run_id": reply.run_id,
        "conversation_id": reply.conversation_id,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "usage": reply.usage,
        "warnings": list(reply.warnings),
    }
    message = {"message": message_members(reply.message)}
    return [
        Event(first_number, MESSAGE, orjson.dumps(message)),
        Event(first_number + 1, COMPLETED, orjson.dumps(outcome)),
    ]


def replied(message: bytes, outcome: bytes) -> Reply:
    """What `completed` told, from the data of its two events."""
    members = orjson.loads(outcome)
    return Reply(
        run_id=members["run_id"],
        conversation_id=members["conversation_id"],
        message=message_from(orjson.dumps(orjson.loads(message)["message"])),
        model=members["model"],
        finish_reason=members["finish_reason"],
        usage=Usage(**members["usage"]) if members["usage"] else None,
        warnings=[SearchWarning(**warning) for warning in members["warnings"]],
    )


def until_final(events: list[Event]) -> list[Event]:
    """The events up to the first that ends a run: an earlier release may have written after it."""
    for at, event in enumerate(events):
        if event.type in FINAL:
            return events[: at + 1]
    return events


def event_from(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Event:
    """An event as it lies in a stream."""
    return Event(int(entry_id.partition(b"-")[0]), fields[b"e"].decode(), fields[b"d"])


def run_from(run_id: str, stored: Mapping[bytes, bytes]) -> Run:
    """A run as it lies in its hash. One that an earlier release began lacks some of it."""
    told: dict[str, Any] = orjson.loads(stored.get(b"outcome", b"{}"))
    state = RunState(stored[b"status"].decode())
    usage = told.get("usage")
    finished_at = stored.get(b"finished_at")
    return Run(
        id=run_id,
        conversation_id=stored[b"conversation_id"].decode(),
        agent_id=_text(stored.get(b"agent_id")),
        state=state,
        model=_text(stored.get(b"model")),
        usage=Usage(**usage) if usage else None,
        error=told if state is RunState.FAILED and told else None,
        created_at=from_ms(int(stored[b"created_at"])),
        finished_at=from_ms(int(finished_at)) if finished_at else None,
    )


def _text(stored: bytes | None) -> str | None:
    return stored.decode() if stored is not None else None


def failed(number: int, error: ServiceError) -> Event:
    """`run.failed`, with what the same error says as an HTTP answer."""
    problem = problem_body(error, instance=_INSTANCE, trace_id=current_trace_id())
    if retry_after := error.headers.get("Retry-After"):
        problem["retry_after_seconds"] = int(retry_after)
    return Event(number, FAILED, orjson.dumps(problem))
