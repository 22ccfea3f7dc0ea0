"""A response, made of the events of its run: the same whoever reads them, and whenever.

Each of the run's events is some of the response's, which are numbered in order from 0. What an agent says before it
calls its own tools is a message of its own; an answer that has a form is told in one piece, since a first try that has
not that form is none.
"""

from collections.abc import Mapping
from typing import Any, Final

from services.chat.dialogue.outcome import citations_of, created_of, finish_reason_of, usage_of
from services.chat.dialogue.telling import Told
from services.chat.domain import Reply
from services.chat.responses.answers import ResponseStatus
from services.chat.responses.blaming import blamed
from services.chat.responses.files import Files
from services.chat.responses.ids import response_name
from services.chat.responses.speaking import COMMENTARY, End, Speech, Typed
from services.chat.runs.events import (
    CANCELLED,
    COMPLETED,
    DELTA,
    DISCARDED,
    FAILED,
    MESSAGE,
    REASONING,
    STARTED,
    TOOL_CALLED,
    TOOL_COMPLETED,
    replied,
)
from services.chat.runs.execution import REFUSAL
from services.chat.tools.files import FILE_SEARCH
from shared.openai import error_object

_CUT: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Unfolding:
    """One response, as far as its events were taken."""

    def __init__(self, run_id: str, asked: Mapping[str, Any], *, shows_results: bool = False) -> None:
        self._run_id, self._asked, self._shows_results = run_id, asked, shows_results
        self._model: str = asked["model"]
        self._is_held = asked["text"]["format"]["type"] != "text"
        self._speech, self._files = Speech(run_id), Files()
        self._is_agent = False
        self._message = b""
        self._status: ResponseStatus = "in_progress"
        self._error: Mapping[str, Any] | None = None
        self._cut: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._completed_at: int | None = None
        self._told = 0

    @classmethod
    def plain(cls, run_id: str, model: str, *, is_held: bool = False) -> "Unfolding":
        """Of a run of which only the output is wanted."""
        form = "json_schema" if is_held else "text"
        return cls(run_id, {"model": model, "text": {"format": {"type": form}}})

    @property
    def status(self) -> ResponseStatus:
        """What it is now."""
        return self._status

    @property
    def last_number(self) -> int:
        """Of the events that were told."""
        return self._told - 1

    @property
    def response(self) -> dict[str, Any]:
        """As it is now."""
        return {
            "id": response_name(self._run_id),
            "object": "response",
            "created_at": created_of(self._run_id),
            "completed_at": self._completed_at,
            "status": self._status,
            "error": self._error,
            "incomplete_details": {"reason": self._cut} if self._cut else None,
            **self._asked,
            "model": self._model,
            "output": self.output,
            "usage": self._usage,
            "run_id": self._run_id,
        }

    @property
    def output(self) -> list[dict[str, Any]]:
        """Its items as they are now."""
        return self._speech.items("in_progress" if self._status == "in_progress" else "incomplete")

    def take(self, event: Told) -> list[Typed]:
        """What the next event of the run is of the response's."""
        numbered = list[Typed]()
        for one in self._typed(event):
            numbered.append({**one, "sequence_number": self._told})
            self._told += 1
        return numbered

    def _typed(self, event: Told) -> list[Typed]:
        match event.type:
            case type_ if type_ == STARTED:
                self._is_agent = event.members["agent_id"] is not None
                return [self._whole("created"), self._whole("in_progress")]
            case type_ if type_ == DELTA and not self._is_held:
                return self._speech.say("output_text", event.members["content"])
            case type_ if type_ == REASONING and "parent_call_id" not in (members := event.members):
                return self._speech.say("reasoning_text", members["content"])
            case type_ if type_ == DISCARDED:
                return self._speech.close(COMMENTARY)
            case type_ if type_ in (TOOL_CALLED, TOOL_COMPLETED):
                return self._searched(event)
            case type_ if type_ == MESSAGE:
                self._message = event.data
            case type_ if type_ == COMPLETED:
                return self._completed(replied(self._message, event.data))
            case type_ if type_ in (FAILED, CANCELLED):
                return self._failed(event)
        return []

    def _searched(self, event: Told) -> list[Typed]:
        """Of the agent's own tools nothing is told."""
        members = event.members
        if members["tool"] != FILE_SEARCH or "parent_call_id" in members:
            return []
        if event.type == TOOL_CALLED:
            query = (members["arguments"] or {}).get("query")
            return self._speech.begin_search(members["call_id"], [query] if isinstance(query, str) else [])
        found = self._files.found(members.get("results", []))
        results = found if self._shows_results and not members["is_error"] else None
        return self._speech.end_search(members["call_id"], "failed" if members["is_error"] else "completed", results)

    def _completed(self, reply: Reply) -> list[Typed]:
        if not self._is_agent:
            self._model = reply.model
        self._cut = _CUT.get(finish_reason_of(reply))
        events = self._said(reply)
        usage, is_estimated = usage_of(reply)
        self._usage = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.total_tokens,
            "is_estimated": is_estimated,
        }
        self._status = "incomplete" if self._cut else "completed"
        self._completed_at = None if self._cut else int(reply.message.created_at.timestamp())
        return [*events, self._whole(self._status)]

    def _said(self, reply: Reply) -> list[Typed]:
        """What was not told in pieces, and the end of what was."""
        text, events = reply.message.content, list[Typed]()
        if text and self._speech.is_saying != "output_text" and (self._is_held or reply.finish_reason == REFUSAL):
            events += self._speech.say("refusal" if reply.finish_reason == REFUSAL else "output_text", text)
        is_text = self._speech.is_saying == "output_text"
        end = End(
            status="incomplete" if self._cut else "completed",
            phase="commentary" if reply.tool_calls else "final_answer",
            citations=[] if self._speech.is_saying == "reasoning_text" else citations_of(reply),
            annotations=self._files.named_in(self._speech.text, reply.message.citations) if is_text else (),
        )
        events += self._speech.close(end)
        for number, call in enumerate(reply.tool_calls, start=1):  # of which the last is cut where the answer is
            is_cut = self._cut is not None and number == len(reply.tool_calls)
            events += self._speech.call(call, "incomplete" if is_cut else "completed")
        return events

    def _failed(self, event: Told) -> list[Typed]:
        """What was cancelled has failed too, for whoever follows it: OpenAI's clients know no other word."""
        failure = event.failure
        self._speech.break_off()
        if event.type == CANCELLED or failure is None:
            self._status = "cancelled"
        else:
            self._status = "failed"
            told = error_object(blamed(failure))
            self._error = {"code": told["code"], "message": told["message"]}
        return [self._whole("failed")]

    def _whole(self, what: str) -> Typed:
        return {"type": f"response.{what}", "response": self.response}
