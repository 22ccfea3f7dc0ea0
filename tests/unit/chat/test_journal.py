"""What is written of a run is stored in order, or its run hears that it was not."""

from typing import Any

import pytest

from services.chat.domain import Agent, Message, Owner, Turn
from services.chat.runs.events import Event
from services.chat.runs.journal import Journal
from services.chat.runs.live import LiveRun
from services.chat.runs.logs import RunTooLong
from services.chat.times import now

TURN = Turn(
    run_id="r",
    conversation_id="c",
    is_new_conversation=True,
    owner=Owner("t", "u"),
    agent=Agent("a", "", None, ()),
    question=Message("m", "r", "user", "?", [], now()),
    token="token",
    model="m",
)


class Log:
    """A log with room for short events."""

    def __init__(self) -> None:
        self.stored: list[Event] = []

    async def append(self, turn: Turn, event: Event) -> str:
        if len(event.data) > 100:
            raise RunTooLong
        self.stored.append(event)
        return "ok"


def journal(log: Any) -> Journal:
    return Journal(log, log, log, TURN, LiveRun("r", "c"))


async def test_what_is_written_behind_comes_before_what_follows() -> None:
    log = Log()
    written = journal(log)

    written.write_behind("one", {})
    written.write_behind("two", {})
    await written.write("three", {})

    assert [(event.number, event.type) for event in log.stored] == [(1, "one"), (2, "two"), (3, "three")]


async def test_an_event_that_was_not_stored_is_heard_of_behind_another() -> None:
    """As where two agents are handed tasks at once, and each tells what it has found."""
    log = Log()
    written = journal(log)

    written.write_behind("retrieval.completed", {"passages": "x" * 200})
    written.write_behind("retrieval.completed", {"passages": ""})

    with pytest.raises(RunTooLong):
        await written.write("tool.completed", {})
    assert log.stored == []
