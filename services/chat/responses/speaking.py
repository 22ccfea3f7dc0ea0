"""What is being said of a response, one item after the other, and the events that tell of it.

Each item is opened, said in pieces and closed:

    response.output_item.added, response.content_part.added,
    response.output_text.delta … response.output_text.done,
    response.content_part.done, response.output_item.done
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from services.chat.generation import ToolCall
from services.chat.items.ids import CALL, MESSAGE, REASONING
from services.chat.responses.ids import output_id

Part = Literal["output_text", "refusal", "reasoning_text"]
Typed = dict[str, Any]
_TEXTS: Final[Mapping[Part, str]] = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
_EMPTY: Final[Mapping[Part, Mapping[str, Any]]] = {
    "output_text": {"annotations": [], "logprobs": []},
    "refusal": {},
    "reasoning_text": {},
}
_BESIDE: Final[Mapping[Part, Mapping[str, Any]]] = {
    "output_text": {"logprobs": []},
    "refusal": {},
    "reasoning_text": {},
}
"""What events of its text have besides: nobody here counts how likely it was."""


@dataclass(slots=True)
class _Item:
    """One that is being said."""

    id: str
    part: Part
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def content(self, text: str) -> dict[str, Any]:
        return {"type": self.part, _TEXTS[self.part]: text, **_EMPTY[self.part]}

    def shown(self, status: str, content: Sequence[Any], citations: Sequence[Any] = ()) -> dict[str, Any]:
        members = {"id": self.id, "status": status, "content": list(content)}
        if self.part == "reasoning_text":
            return {"type": "reasoning", **members, "summary": []}
        return {"type": "message", **members, "role": "assistant", "citations": list(citations)}


class Speech:
    """The items of one response, in order."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._said: list[dict[str, Any]] = []
        self._open: _Item | None = None

    def items(self, status: str) -> list[dict[str, Any]]:
        """All so far; the one that is being said has the `status`."""
        return [*self._said, *([self._open.shown(status, [self._open.content(self._open.text)])] if self._open else [])]

    @property
    def is_saying(self) -> Part | None:
        """What kind of item is open."""
        return self._open.part if self._open else None

    def say(self, part: Part, text: str) -> list[Typed]:
        """The next piece, of the item that is open if it is of this kind."""
        events = list[Typed]()
        if self._open is None or self._open.part != part:
            events += [*self.close(), *self._begin(part)]
        assert self._open is not None  # noqa: S101 - begun just now
        self._open.pieces.append(text)
        return [*events, self._of_part("delta", delta=text, **_BESIDE[part])]

    def _begin(self, part: Part) -> list[Typed]:
        prefix = REASONING if part == "reasoning_text" else MESSAGE
        item = self._open = _Item(output_id(prefix, self._run_id, len(self._said)), part)
        added = {"type": "response.output_item.added", "output_index": len(self._said)}
        return [{**added, "item": item.shown("in_progress", [])}, self._of_content("added", item.content(""))]

    def close(self, status: str = "completed", citations: Sequence[Any] = ()) -> list[Typed]:
        """The end of the item that is open; nothing where none is."""
        item = self._open
        if item is None:
            return []
        content = item.content(item.text)
        events = [
            self._of_part("done", **{_TEXTS[item.part]: item.text}, **_BESIDE[item.part]),
            self._of_content("done", content),
        ]
        self._open = None
        return [*events, self._done(item.shown(status, [content], citations))]

    def call(self, call: ToolCall) -> list[Typed]:
        """A call of one of the caller's tools, at once."""
        id_ = output_id(CALL, self._run_id, len(self._said))
        place = {"output_index": len(self._said)}
        about = {"type": "function_call", "id": id_, "call_id": call.id, "name": call.name}
        arguments = "response.function_call_arguments"
        return [
            {
                "type": "response.output_item.added",
                **place,
                "item": {**about, "arguments": "", "status": "in_progress"},
            },
            {"type": f"{arguments}.delta", **place, "item_id": id_, "delta": call.arguments},
            {"type": f"{arguments}.done", **place, "item_id": id_, "name": call.name, "arguments": call.arguments},
            self._done({**about, "arguments": call.arguments, "status": "completed"}),
        ]

    def _done(self, item: dict[str, Any]) -> Typed:
        self._said.append(item)
        return {"type": "response.output_item.done", "output_index": len(self._said) - 1, "item": item}

    def _of_content(self, what: str, part: Mapping[str, Any]) -> Typed:
        return {"type": f"response.content_part.{what}", **self._place(), "part": part}

    def _of_part(self, what: str, **members: Any) -> Typed:
        assert self._open is not None  # noqa: S101 - whoever calls has one
        return {"type": f"response.{self._open.part}.{what}", **self._place(), **members}

    def _place(self) -> dict[str, Any]:
        assert self._open is not None  # noqa: S101 - whoever calls has one
        return {"item_id": self._open.id, "output_index": len(self._said), "content_index": 0}
