"""An answer in OpenAI's shape, as it comes: chunks made of the events of its run.

What a run tells of an answer's next piece is just what a chunk has as its `delta`, so it is passed on as it is written.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.chat.completions.answers import answer_of, calls_of, completion_id, used_of
from services.chat.dialogue.outcome import citations_of, created_of, finish_reason_of
from services.chat.dialogue.telling import Told
from services.chat.domain import Reply
from services.chat.runs.events import COMPLETED, DELTA, DISCARDED, MESSAGE, REASONING, STARTED, replied
from services.chat.runs.execution import REFUSAL
from shared.errors import ServiceError
from shared.openai import error_object
from shared.web import HEARTBEAT

_DONE: Final = b"data: [DONE]\n\n"
_ROLE: Final = b'{"role":"assistant","content":""}'
_NOTHING: Final = b"{}"


@dataclass(frozen=True, slots=True)
class Asked:
    """How the answer is wanted: whether with its usage, and, where it has a form, in one piece, since a first try that
    has not that form is none."""

    run_id: str
    model: str
    includes_usage: bool = False
    is_held: bool = False


class Chunks:
    """The chunks of one answer."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._has_begun = self._has_role = self._has_text = self._is_agent = False
        self._message = b""
        self._head = self._headed(asked.model)

    async def of(self, events: AsyncIterator[Told | None]) -> AsyncIterator[bytes]:
        """To the last. An error is raised where nothing was said yet, and said where something was."""
        async for event in events:
            if event is None:
                self._has_begun = True  # the answer is under way, though nothing is said
                yield HEARTBEAT
            elif failure := event.failure:
                if not self._has_begun:
                    raise failure
                yield self._error(failure)
                return
            elif chunks := self._chunks(event):
                yield chunks if self._has_role else self._first() + chunks

    def _first(self) -> bytes:
        self._has_begun = self._has_role = True
        return self._chunk(_ROLE)

    def _chunks(self, event: Told) -> bytes:
        match event.type:
            case type_ if type_ == STARTED:
                self._is_agent = event.members["agent_id"] is not None
            case type_ if type_ == DELTA:
                self._has_text = True
                return b"" if self._asked.is_held else self._chunk(event.data)
            case type_ if type_ == REASONING:
                return self._thought(event.members)
            case type_ if type_ == DISCARDED:
                return self._apart()
            case type_ if type_ == MESSAGE:
                self._message = event.data
            case type_ if type_ == COMPLETED:
                return self._last(replied(self._message, event.data))
        return b""

    def _thought(self, members: dict[str, Any]) -> bytes:
        """Not that of another agent, to whom this one has handed a task."""
        if "parent_call_id" in members:
            return b""
        return self._chunk(orjson.dumps({"reasoning_content": members["content"]}))

    def _apart(self) -> bytes:
        """What was said before an agent called its own tools cannot be taken back: the answer begins a line below."""
        had_text, self._has_text = self._has_text, False
        return self._chunk(b'{"content":"\\n\\n"}') if had_text and not self._asked.is_held else b""

    def _last(self, reply: Reply) -> bytes:
        if not self._is_agent:
            self._head = self._headed(reply.model)  # which may be another than was asked for, where that was away
        chunks = [self._chunk(orjson.dumps(delta)) for delta in self._rest(reply)]
        chunks.append(self._chunk(_NOTHING, finish_reason_of(reply)))
        if self._asked.includes_usage:
            usage = orjson.dumps(used_of(reply))
            chunks.append(b'data: %b,"choices":[],"usage":%b}\n\n' % (self._head, usage))
        return b"".join([*chunks, _DONE])

    def _rest(self, reply: Reply) -> list[dict[str, Any]]:
        """What was not told in pieces."""
        rest: list[dict[str, Any]] = []
        if reply.finish_reason == REFUSAL:
            rest.append({"refusal": reply.message.content})
        elif self._asked.is_held and reply.message.content:
            rest.append({"content": reply.message.content})
        rest += [{"tool_calls": [{"index": at, **call}]} for at, call in enumerate(calls_of(reply))]
        if reply.message.citations:
            rest.append({"citations": citations_of(reply)})
        return rest

    def _chunk(self, delta: bytes, finish_reason: str | None = None) -> bytes:
        reason = b'"%b"' % finish_reason.encode() if finish_reason else b"null"
        usage = b',"usage":null' if self._asked.includes_usage else b""
        choice = b'{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}' % (delta, reason)
        return b'data: %b,"choices":[%b]%b}\n\n' % (self._head, choice, usage)

    def _headed(self, model: str) -> bytes:
        """What all chunks begin with, open at its end."""
        members = {
            "id": completion_id(self._asked.run_id),
            "object": "chat.completion.chunk",
            "created": created_of(self._asked.run_id),
            "model": model,
        }
        return orjson.dumps(members)[:-1]

    @staticmethod
    def _error(failure: ServiceError) -> bytes:
        return b"data: %b\n\n" % orjson.dumps({"error": error_object(failure)})


async def whole(asked: Asked, events: AsyncIterator[Told | None]) -> dict[str, Any]:
    """The answer of a run, once it has ended. Raises what it failed with."""
    thoughts, message, model = list[str](), b"", asked.model
    async for event in events:
        if event is None:
            continue
        if failure := event.failure:
            raise failure
        match event.type:
            case type_ if type_ == STARTED and event.members["agent_id"] is None:
                model = ""
            case type_ if type_ == REASONING and "parent_call_id" not in (members := event.members):
                thoughts.append(members["content"])
            case type_ if type_ == MESSAGE:
                message = event.data
            case type_ if type_ == COMPLETED:
                reply = replied(message, event.data)
                return answer_of(reply, "".join(thoughts), model=model or reply.model)
    raise ServiceError  # no run ends without a last event
