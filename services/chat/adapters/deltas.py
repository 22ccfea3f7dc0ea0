"""What the members of a chat completion mean, in all the forms in which providers write them.

Raises ValueError, TypeError, KeyError or AttributeError for what has none of them.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from services.chat.adapters.mending import whole
from services.chat.generation import Piece, Reasoning, ToolCall, Usage
from shared.schemas import new_id

_MAX_CALLS = 64
_MAX_TOKENS = 10**9  # more is no count
_THOUGHT = frozenset({"thinking", "reasoning"})


def pieces_of(content: Any) -> Iterator[Piece]:
    """Text and thought of a `content`: a text, null, or a list of parts, of which pictures and the like are skipped."""
    if content is None:
        return
    if isinstance(content, str):
        yield content
        return
    if not isinstance(content, list):
        raise TypeError("content is no text")
    for part in content:
        if isinstance(part, str):
            yield part
        elif part.get("type") in _THOUGHT:
            yield from (Reasoning(piece) for piece in _texts_of(part.get(part["type"]) or part.get("text")))
        else:
            yield from _texts_of(part.get("text"))


def _texts_of(value: Any) -> Iterator[str]:
    yield from (piece for piece in pieces_of(value) if isinstance(piece, str))


def thought_of(delta: dict[str, Any]) -> str | None:
    """The text of `reasoning_content` or `reasoning`, whichever the provider writes."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(text := delta.get(name), str) and text:
            return text
    return None


def usage_of(usage: Any) -> Usage | None:
    """The counts; one that is left out follows from the other two, and None where that does not tell it either."""
    if not isinstance(usage, dict):
        return None
    prompt, completion, total = (_count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if completion is None and prompt is not None and total is not None:
        completion = max(0, total - prompt)
    if prompt is None and completion is not None and total is not None:
        prompt = max(0, total - completion)
    if prompt is None or completion is None:
        return None
    return Usage(prompt, completion, total or prompt + completion)


def _count(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value <= _MAX_TOKENS else None


class _Call:
    """A tool call as far as it has come."""

    def __init__(self) -> None:
        self.id, self.name, self.arguments = "", "", list[str]()

    def whole(self) -> ToolCall:
        return ToolCall(whole(self.id) or f"call_{new_id()}", whole(self.name), whole("".join(self.arguments)))


class ToolCalls:
    """Puts tool calls together from their pieces, by index, by id, or by their order."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def add(self, deltas: Any) -> int:
        """The pieces of one chunk. How many characters they are."""
        return sum(self._add(delta) for delta in deltas or ())

    def whole(self) -> tuple[ToolCall, ...]:
        """The calls, in the order in which they began; those without a name are none."""
        return tuple(call.whole() for call in self._calls if call.name)

    @property
    def written(self) -> str:
        """All that the model wrote of them, be it whole or not."""
        return "".join(part for call in self._calls for part in (call.name, *call.arguments))

    def _add(self, delta: dict[str, Any]) -> int:
        function: dict[str, Any] = delta.get("function") or {}
        call_id, name = str(delta.get("id") or ""), str(function.get("name") or "")
        call = self._find(delta.get("index"), call_id, name)
        call.id, call.name = call.id or call_id, call.name or name
        arguments = _arguments(function.get("arguments"))
        call.arguments.append(arguments)
        return len(call_id) + len(name) + len(arguments)

    def _find(self, index: Any, call_id: str, name: str) -> _Call:
        found = self._by_index.get(index) if isinstance(index, int) else self._calls[-1] if self._calls else None
        if call_id and (found is None or found.id != call_id):
            found = next((call for call in self._calls if call.id == call_id), found)
        if found is None or self._is_another(found, call_id, name, has_index=isinstance(index, int)):
            found = self._begin()
        if isinstance(index, int):
            self._by_index[index] = found
        return found

    @staticmethod
    def _is_another(call: _Call, call_id: str, name: str, *, has_index: bool) -> bool:
        """Whether a piece that came at the place of `call` begins the next one: some number all of theirs 0."""
        if call_id and call.id:
            return call_id != call.id and bool(name)
        return bool(name and call.name) and (not has_index or name != call.name)

    def _begin(self) -> _Call:
        if len(self._calls) >= _MAX_CALLS:
            raise ValueError("too many tool calls")
        self._calls.append(_Call())
        return self._calls[-1]


def _arguments(value: Any) -> str:
    """The text of arguments; some write the object itself."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
