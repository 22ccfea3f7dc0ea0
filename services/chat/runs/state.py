"""How far a run has come between two words of the model, and the form in which that lies in Redis."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.chat.domain import REFERENCE, Citation, Passage, Prompt, SearchWarning, mark_references
from services.chat.generation import PromptMessage, ToolCall, Usage
from services.chat.images.domain import Image
from services.chat.prompt import PromptBudget, source_tokens, source_within, without_marks

_SAME_CALLS = 3  # the last of which is not made


@dataclass(slots=True)
class StepCall:
    """One call of a step, under an id of its own in the run; `result` is what the model is told, once there is one."""

    id: str
    name: str
    wire_name: str
    arguments: str
    result: str | None = None


@dataclass(slots=True)
class Spent:
    """What a run has used up, its children included."""

    steps: int = 0
    calls: int = 0
    usage: Usage | None = None

    def next_call_id(self) -> str:
        """Unique in the run, and of nine letters and digits: what Mistral demands, no other provider minds."""
        self.calls += 1
        return f"call{self.calls:05d}"

    def add(self, usage: Usage | None) -> None:
        """One generation more; what a provider did not count is missing from the sum."""
        if usage is None:
            return
        before = self.usage or Usage(0, 0, 0)
        self.usage = Usage(
            before.prompt_tokens + usage.prompt_tokens,
            before.completion_tokens + usage.completion_tokens,
            before.total_tokens + usage.total_tokens,
        )


@dataclass(slots=True)
class LoopState:
    """What the model was told so far, what may be cited, and the calls of the present step."""

    messages: list[PromptMessage]
    sources: list[Citation]
    warnings: list[SearchWarning]
    spent: Spent = field(default_factory=Spent)
    made: dict[str, int] = field(default_factory=dict)
    step: list[StepCall] = field(default_factory=list)
    is_repaired: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was said yet but the prompt."""
        return self.messages[-1].role == "user" and not self.is_repaired

    @property
    def undone(self) -> list[StepCall]:
        """The calls of the step that have no result yet."""
        return [call for call in self.step if call.result is None]

    def restart(self, prompt: Prompt) -> None:
        """With another prompt."""
        self.messages, self.sources = list(prompt.messages), list(prompt.sources)

    def is_worn_out(self, call: StepCall, arguments: Any) -> bool:
        """Whether this very call was made twice already."""
        key = f"{call.name} {arguments}"
        self.made[key] = self.made.get(key, 0) + 1
        return self.made[key] >= _SAME_CALLS

    def begin_step(self, text: str, calls: list[StepCall]) -> None:
        """The model has said `text`, and asked for `calls`."""
        self.step = calls
        asked = [ToolCall(call.id, call.wire_name, call.arguments) for call in calls]
        self.messages.append(PromptMessage("assistant", without_marks(text), asked))

    def end_step(self) -> None:
        """All calls have a result, which the model is told in their order."""
        self.messages += [PromptMessage("tool", call.result or "", tool_call_id=call.id) for call in self.step]
        self.step = []

    def cite(self, passages: Sequence[Passage], query: str, budget: PromptBudget, room: int) -> list[Citation]:
        """As many of the best passages as `room` tokens hold, cut around `query`, under numbers of the run.

        A number stands for one text: what was given before as it is now keeps its number.
        """
        cited, left = list[Citation](), room
        for passage in passages:
            text = source_within(left, passage.text, query, budget)
            if text is None:
                break
            cited.append(self._numbered(passage.collection, passage.record_id, passage.score, text))
            left -= source_tokens(text, budget)
        return cited

    def adopt(self, text: str, sources: Sequence[Citation]) -> str:
        """What another agent said, citing the sources that it names under numbers of this run, as it was given them."""
        named = [source for source in mark_references(sources, text) if source.referenced]
        numbers = {one.number: self._numbered(one.collection, one.record_id, one.score, one.text) for one in named}

        def renumbered(match: re.Match[str]) -> str:
            source = numbers.get(int(match[1]))
            return f"[{source.number}]" if source else ""

        return REFERENCE.sub(renumbered, text)

    def forget_unnamed(self) -> None:
        """Leave out the sources whose numbers stand in nothing that the model is told any more."""
        told = {number for message in self.messages for number in REFERENCE.findall(message.content)}
        self.sources = [source for source in self.sources if str(source.number) in told]

    def _numbered(self, collection: str, record_id: str, score: float, text: str) -> Citation:
        given = (collection, record_id, text)
        known = next((one for one in self.sources if (one.collection, one.record_id, one.text) == given), None)
        if known is None:
            number = 1 + max((one.number for one in self.sources), default=0)
            known = Citation(number, collection, record_id, score, text)
            self.sources.append(known)
        return known


def state_bytes(state: LoopState) -> bytes:
    return orjson.dumps(state)


def state_from(stored: bytes) -> LoopState:
    members = orjson.loads(stored)
    spent = members["spent"]
    return LoopState(
        messages=[_message_from(message) for message in members["messages"]],
        sources=[Citation(**source) for source in members["sources"]],
        warnings=[SearchWarning(**warning) for warning in members["warnings"]],
        spent=Spent(spent["steps"], spent["calls"], Usage(**spent["usage"]) if spent["usage"] else None),
        made=members["made"],
        step=[StepCall(**call) for call in members["step"]],
        is_repaired=members["is_repaired"],
    )


def _message_from(members: dict[str, Any]) -> PromptMessage:
    calls = [ToolCall(**call) for call in members["tool_calls"]]
    images = tuple(Image(**image) for image in members.get("images", ()))
    return PromptMessage(
        members["role"], members["content"], calls, members["tool_call_id"], members.get("name"), images
    )
