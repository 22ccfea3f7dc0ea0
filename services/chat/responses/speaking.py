"""What is being said of a response, one item after the other, and the events that tell of it.

Each item is opened, said in pieces and closed:

    response.output_item.added, response.content_part.added,
    response.output_text.delta … response.output_text.annotation.added …, response.output_text.done,
    response.content_part.done, response.output_item.done

A search of files is opened when it begins, and closed when it is done: several may go on at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from services.chat.generation import ToolCall
from services.chat.items.ids import CALL, FILE_SEARCH_CALL, MESSAGE, REASONING
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

    def content(self, text: str, annotations: Sequence[Any] = ()) -> dict[str, Any]:
        beside = {"annotations": list(annotations)} if annotations else {}
        return {"type": self.part, _TEXTS[self.part]: text, **_EMPTY[self.part], **beside}

    def shown(self, content: Sequence[Any], end: "End") -> dict[str, Any]:
        members = {"id": self.id, "status": end.status, "content": list(content)}
        if self.part == "reasoning_text":
            return {"type": "reasoning", **members, "summary": []}
        phase = {"phase": end.phase} if end.phase else {}
        return {"type": "message", **members, "role": "assistant", "citations": list(end.citations), **phase}


@dataclass(frozen=True, slots=True)
class End:
    """How an item ends: `annotations` are of its text, and in what `phase` of the answer it stands."""

    status: str = "completed"
    phase: Literal["commentary", "final_answer"] | None = None
    citations: Sequence[Any] = ()
    annotations: Sequence[Any] = ()


IN_PROGRESS: Final = End("in_progress")
COMMENTARY: Final = End(phase="commentary")


class Speech:
    """The items of one response, in order."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._said: list[dict[str, Any]] = []
        self._searches: dict[str, int] = {}
        self._open: _Item | None = None

    def items(self, status: str) -> list[dict[str, Any]]:
        """All so far; the one that is being said has the `status`."""
        if self._open is None:
            return list(self._said)
        return [*self._said, self._open.shown([self._open.content(self._open.text)], End(status))]

    @property
    def is_saying(self) -> Part | None:
        """What kind of item is open."""
        return self._open.part if self._open else None

    @property
    def text(self) -> str:
        """Of the item that is open."""
        return self._open.text if self._open else ""

    def say(self, part: Part, text: str) -> list[Typed]:
        """The next piece, of the item that is open if it is of this kind."""
        events = list[Typed]()
        if self._open is None or self._open.part != part:
            events += [*self.close(COMMENTARY), *self._begin(part)]
        assert self._open is not None  # noqa: S101 - begun just now
        self._open.pieces.append(text)
        return [*events, self._of_part("delta", delta=text, **_BESIDE[part])]

    def _begin(self, part: Part) -> list[Typed]:
        prefix = REASONING if part == "reasoning_text" else MESSAGE
        item = self._open = _Item(output_id(prefix, self._run_id, len(self._said)), part)
        added = {"type": "response.output_item.added", "output_index": len(self._said)}
        return [{**added, "item": item.shown([], IN_PROGRESS)}, self._of_content("added", item.content(""))]

    def close(self, end: End) -> list[Typed]:
        """The end of the item that is open; nothing where none is."""
        item = self._open
        if item is None:
            return []
        content = item.content(item.text, end.annotations)
        events = [
            *[
                self._of_part("annotation.added", annotation_index=number, annotation=one)
                for number, one in enumerate(end.annotations)
            ],
            self._of_part("done", **{_TEXTS[item.part]: item.text}, **_BESIDE[item.part]),
            self._of_content("done", content),
        ]
        self._open = None
        self._said.append(item.shown([content], end))
        return [*events, self._done(len(self._said) - 1)]

    def begin_search(self, call_id: str, queries: Sequence[str]) -> list[Typed]:
        """The search that is made for a call."""
        before, index = self.close(COMMENTARY), len(self._said)
        id_ = output_id(FILE_SEARCH_CALL, self._run_id, index)
        item = {"type": "file_search_call", "id": id_, "status": "searching", "queries": list(queries), "results": None}
        self._searches[call_id] = index
        self._said.append(item)
        place = {"output_index": index, "item_id": id_}
        return [
            *before,
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {"type": "response.file_search_call.in_progress", **place},
            {"type": "response.file_search_call.searching", **place},
        ]

    def end_search(self, call_id: str, status: str, results: Sequence[Any] | None) -> list[Typed]:
        """What has come of the search for a call; nothing where none was begun for it."""
        index = self._searches.pop(call_id, None)
        if index is None:
            return []
        item = self._said[index] = self._said[index] | {"status": status, "results": results}
        completed = {"type": "response.file_search_call.completed", "output_index": index, "item_id": item["id"]}
        return [*([completed] if status == "completed" else []), self._done(index)]

    def break_off(self) -> None:
        """Nothing that is searched for will be found any more."""
        for index in self._searches.values():
            self._said[index] = self._said[index] | {"status": "incomplete"}
        self._searches.clear()

    def call(self, call: ToolCall, status: str) -> list[Typed]:
        """A call of one of the caller's tools, at once."""
        id_ = output_id(CALL, self._run_id, len(self._said))
        place = {"output_index": len(self._said)}
        about = {"type": "function_call", "id": id_, "call_id": call.id, "name": call.name}
        arguments = "response.function_call_arguments"
        self._said.append({**about, "arguments": call.arguments, "status": status})
        return [
            {
                "type": "response.output_item.added",
                **place,
                "item": {**about, "arguments": "", "status": "in_progress"},
            },
            {"type": f"{arguments}.delta", **place, "item_id": id_, "delta": call.arguments},
            {"type": f"{arguments}.done", **place, "item_id": id_, "name": call.name, "arguments": call.arguments},
            self._done(place["output_index"]),
        ]

    def _done(self, index: int) -> Typed:
        return {"type": "response.output_item.done", "output_index": index, "item": self._said[index]}

    def _of_content(self, what: str, part: Mapping[str, Any]) -> Typed:
        return {"type": f"response.content_part.{what}", **self._place(), "part": part}

    def _of_part(self, what: str, **members: Any) -> Typed:
        assert self._open is not None  # noqa: S101 - whoever calls has one
        return {"type": f"response.{self._open.part}.{what}", **self._place(), **members}

    def _place(self) -> dict[str, Any]:
        assert self._open is not None  # noqa: S101 - whoever calls has one
        return {"item_id": self._open.id, "output_index": len(self._said), "content_index": 0}
