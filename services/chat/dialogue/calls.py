"""Whether the calls in a history have their results."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol


class _Call(Protocol):
    @property
    def id(self) -> str: ...


class _Said(Protocol):
    @property
    def role(self) -> str: ...

    @property
    def tool_calls(self) -> Sequence[_Call] | None: ...

    @property
    def tool_call_id(self) -> str | None: ...


def unanswered(messages: Sequence[_Said]) -> tuple[int, str] | None:
    """The place of the first message where a result answers no call that was made just before, or a call has none, and
    what is wrong there: no model could read it."""
    open_ids = Counter[str]()
    known: set[str] = set()
    for at, message in enumerate(messages):
        if message.role == "tool":
            answered = str(message.tool_call_id)
            if answered not in open_ids:
                seen = "was answered, or not made just before" if message.tool_call_id in known else "nobody has made"
                return at, f"answers a call that {seen}"
            open_ids[answered] -= 1
            if not open_ids[answered]:
                del open_ids[answered]
            continue
        if open_ids:
            return at, "comes before all calls of the assistant have their results"
        open_ids = Counter(call.id for call in message.tool_calls or ())
        known.update(open_ids)
    return (len(messages) - 1, "has calls without results") if open_ids else None
