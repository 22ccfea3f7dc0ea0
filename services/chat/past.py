"""What was said in a conversation before a turn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.chat.domain import Message

Exchange = tuple[Message, Message]
"""A question and its answer."""


@dataclass(frozen=True, slots=True)
class Past:
    """The newest `messages`, oldest first, and how many there are in all."""

    messages: Sequence[Message] = ()
    total: int = 0

    def newest(self, number: int) -> "Past":
        """The same, with so many messages at most."""
        return Past(self.messages[-number:] if number else (), self.total)

    @property
    def exchanges(self) -> list[Exchange]:
        """The questions that were answered, each with its answer; calls and their results between them are left out.

        What was said before calls and after them is one answer, which has the id of the last of it.
        """
        found, question = list[Exchange](), None
        for message in self.messages:
            if message.role == "user":
                question = message
            elif question and message.role == "assistant" and message.content:
                said = found.pop()[1].content + "\n\n" if found and found[-1][0] is question else ""
                found.append((question, replace(message, content=said + message.content)))
        return found

    @property
    def unseen(self) -> int:
        """How many older messages there are."""
        return max(0, self.total - len(self.messages))
