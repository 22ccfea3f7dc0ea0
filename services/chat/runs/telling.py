"""Tells the events of a turn, and those of a turn within it as what they are."""

from dataclasses import dataclass
from typing import Any

from services.chat.runs.events import DELTA, DISCARDED
from services.chat.runs.journal import Journal


@dataclass(frozen=True, slots=True)
class Telling:
    """Of the run itself, or of the child that the call `parent_call_id` began."""

    journal: Journal
    agent_id: str = ""
    parent_call_id: str = ""

    async def tell(self, event_type: str, data: dict[str, Any]) -> None:
        """Raises what Journal.write raises.

        Text of a child is no text of the answer: whoever joins the pieces of this run is not to find it among them.
        """
        if self.parent_call_id and event_type in (DELTA, DISCARDED):
            return
        await self.journal.write(event_type, self._marked(data))

    def tell_behind(self, event_type: str, data: dict[str, Any]) -> None:
        """As Journal.write_behind."""
        self.journal.write_behind(event_type, self._marked(data))

    def _marked(self, data: dict[str, Any]) -> dict[str, Any]:
        if not self.parent_call_id:
            return data
        return data | {"agent_id": self.agent_id, "parent_call_id": self.parent_call_id}
