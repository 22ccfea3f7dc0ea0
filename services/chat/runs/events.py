"""What a run tells while it goes on, and how that looks as server-sent events.

    run.queued           {run_id, conversation_id, agent_id, message, position}   it waits for its turn, 1 is the next
    run.started          {run_id, conversation_id, agent_id, message}     the user's message as it is stored, of its
                         images what they are
    retrieval.completed  {passages, warnings, is_truncated}               best first; collections gone without
    history.shortened    {given, left_out, is_summarised}                 earlier messages; the latter told in short
    reasoning.delta      {content}                                        the next piece of what the model thinks
    message.delta        {content}                                        the next piece of the answer
    message.discarded    {reason}                                         the pieces so far are no part of the answer
    tool.called          {call_id, tool, arguments}                       null where the model wrote no object
    tool.completed       {call_id, tool, is_error, content, is_truncated}  the beginning of what the model is told; of
                         a search of files also the results, best first
    message.completed    {message}                                        the answer as it is stored, with citations
    run.waiting          {run_id, conversation_id, calls, expires_at}     until each of the calls is approved or denied
    run.resumed          {decisions}                                      they are, and the run goes on
    run.completed        {run_id, conversation_id, model, finish_reason, usage, warnings}; of a completion also the
                         tool_calls that it ends with, and estimated_usage where the provider has not counted all
    run.failed           a problem, with run_id and conversation_id
    run.cancelled        {run_id, conversation_id}

The last event is always one of the three last. Events of a turn within this one, which a call began, have
`agent_id` and `parent_call_id` besides. Numbers rise by one from 1.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from services.chat.domain import (
    Evidence,
    Passage,
    Prompt,
    Reply,
    Run,
    RunState,
    SearchWarning,
    Turn,
    Waiting,
    WaitingCall,
)
from services.chat.errors import ApprovalExpired, Interrupted
from services.chat.generation import ToolCall, Usage
from services.chat.given import Door
from services.chat.storage import message_from, told_members
from services.chat.times import from_ms
from services.chat.tools.domain import FilePart
from shared.errors import ServiceError, problem_body
from shared.schemas import rfc3339
from shared.telemetry import current_trace_id
from shared.web import event_frame

QUEUED = "run.queued"
STARTED = "run.started"
RETRIEVED = "retrieval.completed"
SHORTENED = "history.shortened"
DELTA = "message.delta"
REASONING = "reasoning.delta"
DISCARDED = "message.discarded"
TOOL_CALLED = "tool.called"
TOOL_COMPLETED = "tool.completed"
MESSAGE = "message.completed"
WAITING = "run.waiting"
RESUMED = "run.resumed"
COMPLETED = "run.completed"
FAILED = "run.failed"
CANCELLED = "run.cancelled"
FINAL = frozenset({COMPLETED, FAILED, CANCELLED})
LEFT = FINAL | {WAITING}
"""With which the process that executes a run is done with it."""

_TOLD_CHARS: Final = 128 * 1024  # of passages, of which one has 16 Ki at most
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


def started(turn: Turn, number: int = 1) -> Event:
    return Event(number, STARTED, orjson.dumps(_begun(turn)))


def queued(turn: Turn, position: int | None = None) -> Event:
    """Without its `position`: what the script that finds that out adds it to, as the last member."""
    members = _begun(turn) | ({} if position is None else {"position": position})
    return Event(1, QUEUED, orjson.dumps(members))


def _begun(turn: Turn) -> dict[str, Any]:
    return {**turn.ids, "agent_id": turn.agent.id or None, "message": told_members(turn.question)}


def retrieved(evidence: Evidence) -> dict[str, Any]:
    """Of very long passages only the best: what is left out is searched through all the same."""
    told, room = list[Passage](), _TOLD_CHARS
    for passage in evidence.passages:
        room -= len(passage.text)
        if room < 0:
            break
        told.append(passage)
    return {
        "passages": told,
        "warnings": list(evidence.warnings),
        "is_truncated": len(told) < len(evidence.passages),
    }


def parts_told(parts: Sequence[FilePart]) -> list[FilePart]:
    """What a search of files has found, best first: of very long parts only the best."""
    told, room = list[FilePart](), _TOLD_CHARS
    for part in parts:
        room -= len(part.text)
        if room < 0:
            break
        told.append(part)
    return told


def shortened(prompt: Prompt) -> dict[str, Any]:
    return {"given": prompt.given, "left_out": prompt.left_out, "is_summarised": prompt.is_summarised}


def completed(first_number: int, reply: Reply) -> list[Event]:
    """The two events that end a run that succeeded."""
    outcome: dict[str, Any] = {
        "run_id": reply.run_id,
        "conversation_id": reply.conversation_id,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "usage": reply.usage,
        "warnings": list(reply.warnings),
    }
    if reply.tool_calls:
        outcome["tool_calls"] = list(reply.tool_calls)
    if reply.estimate:
        outcome["estimated_usage"] = reply.estimate
    message = {"message": told_members(reply.message)}
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
        tool_calls=[ToolCall(**call) for call in members.get("tool_calls", [])],
        estimate=Usage(**members["estimated_usage"]) if members.get("estimated_usage") else None,
    )


def waiting_members(waiting: Waiting) -> dict[str, Any]:
    """What `run.waiting` tells."""
    return {
        "run_id": waiting.run_id,
        "conversation_id": waiting.conversation_id,
        "calls": list(waiting.calls),
        "expires_at": rfc3339(waiting.expires_at),
    }


def waiting_from(data: bytes) -> Waiting:
    """What `run.waiting` told."""
    members = orjson.loads(data)
    calls = [WaitingCall(**call) for call in members["calls"]]
    expires_at = datetime.fromisoformat(members["expires_at"])
    return Waiting(members["run_id"], members["conversation_id"], calls, expires_at)


def abandoned(run_id: str, conversation_id: str) -> tuple[bytes, bytes]:
    """What `run.failed` tells of a run whose process is gone, and of one that nobody decided on in time."""
    errors: list[ServiceError] = [Interrupted(), ApprovalExpired()]
    for error in errors:
        error.members.update(run_id=run_id, conversation_id=conversation_id)
    interrupted, expired = [failed(0, error).data for error in errors]
    return interrupted, expired


def until_final(events: list[Event], final: Set[str] = FINAL) -> list[Event]:
    """The events up to the first that ends a run: an earlier release may have written after it."""
    for at, event in enumerate(events):
        if event.type in final:
            return events[: at + 1]
    return events


def event_from(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Event:
    """An event as it lies in a stream."""
    return Event(int(entry_id.partition(b"-")[0]), fields[b"e"].decode(), fields[b"d"])


RUN_FIELDS = [
    "status", "conversation_id", "agent_id", "model", "created_at", "finished_at", "outcome", "waiting", "door"
]  # fmt: skip
"""Of a run's hash: how it lies while it waits is long, and nobody's who looks at it."""


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
        model=told.get("model") or _text(stored.get(b"model")),
        usage=Usage(**usage) if usage else None,
        error=told if state is RunState.FAILED and told else None,
        created_at=from_ms(int(stored[b"created_at"])),
        finished_at=from_ms(int(finished_at)) if finished_at else None,
        waiting=waiting_from(stored[b"waiting"]) if state is RunState.REQUIRES_ACTION else None,
        door=Door(_text(stored.get(b"door")) or Door.CHAT),
    )


def _text(stored: bytes | None) -> str | None:
    return stored.decode() if stored else None


def failed(number: int, error: ServiceError) -> Event:
    """`run.failed`, with what the same error says as an HTTP answer."""
    problem = problem_body(error, instance=_INSTANCE, trace_id=current_trace_id())
    if retry_after := error.headers.get("Retry-After"):
        problem["retry_after_seconds"] = int(retry_after)
    return Event(number, FAILED, orjson.dumps(problem))
