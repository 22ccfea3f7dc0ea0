"""A run ends within its limits, whatever swallows the cancels that would end it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry

from services.chat.domain import Agent, Message, Owner, Passage, Reply, Turn, Waiting
from services.chat.errors import Interrupted
from services.chat.generation import Ask, Completion, Piece
from services.chat.instruments import Instruments
from services.chat.past import Past
from services.chat.prompt import PromptBudget
from services.chat.retrieval import Retriever
from services.chat.runs.delegates import Delegates
from services.chat.runs.events import Event
from services.chat.runs.execution import Execution
from services.chat.runs.means import Means, RunLimits
from services.chat.times import now
from services.chat.tools.builtin import BuiltIn
from services.chat.tools.toolbox import Tools
from shared.errors import Unavailable, UpstreamTimeout
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.working_time import working_time

TURN = Turn(
    run_id="r",
    conversation_id="c",
    is_new_conversation=True,
    owner=Owner("t", "u"),
    agent=Agent("a", "", None, ("handbook",)),
    question=Message("m", "r", "user", "?", [], now()),
    token="token",
    model="m",
)
LIMITS = RunLimits(
    run_seconds=0.2,
    lease_seconds=0.03,
    delta_window_seconds=0,
    history_messages=0,
    budget=PromptBudget(3000, 700, 200, 700),
)
UNHURRIED = replace(LIMITS, run_seconds=PATIENCE_SECONDS)
"""For a run that is to be answered, or ended by something else."""


class World:
    """Redis, vectors and a model that answer at once, but for what a test has go deaf."""

    default_model = "m"

    def __init__(self) -> None:
        self.stuck = ""
        self.ends: list[str] = []
        self.stored: list[Event] = []
        self.over = asyncio.Event()

    async def _at(self, place: str) -> None:
        """Waits for good, as a call does whose library drops what ends it."""
        while self.stuck == place and not self.over.is_set():
            with suppress(asyncio.CancelledError):
                await self.over.wait()

    async def search(self, collection: str, query: str, *, limit: int, by_words: bool, token: str) -> list[Passage]:
        await self._at("search")
        return []

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece | Completion, None]:
        await self._at("model")
        yield "text"
        yield Completion("stop", None)

    async def ping(self) -> None: ...

    async def start(self, turn: Turn, event: Event) -> None: ...

    async def past(self, turn: Turn, limit: int) -> Past:
        return Past()

    async def append(self, turn: Turn, event: Event) -> Literal["ok", "ended", "gone"]:
        await self._at("journal")
        return "ok"

    async def renew(self, turn: Turn) -> Literal["ok", "lost", "gone"]:
        await self._at("lease")
        return "ok"

    async def read(self, owner: Owner, run_id: str, after: int) -> list[Event]:
        return self.stored

    async def end(self, turn: Turn, status: str, events: list[Event], answer: Message | None = None) -> str:
        self.ends.append(status)
        await self._at("end")
        return status


def execution(world: Any, limits: RunLimits = LIMITS, search_seconds: float = 60) -> Execution:
    means = Means(
        agents=world,
        repository=world,
        pauses=world,
        queue=world,
        retriever=Retriever(world, 4, search_seconds),
        summaries=world,
        notes=world,
        model=world,
        choice=world,
        tools=Tools(world, world, BuiltIn(world, world, passages=4, search_seconds=60), depth=3),
        limits=limits,
        instruments=Instruments(CollectorRegistry()),
        delegates=Delegates(1),
    )
    return Execution(TURN, means)


def answer_of(result: Reply | Waiting) -> str:
    assert isinstance(result, Reply)
    return result.message.content


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.over.set()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=1)


async def ended(run: Awaitable[None]) -> float:
    """How long it took; as a task that nobody cancels, like the supervisor's."""
    task = asyncio.ensure_future(run)
    async with working_time() as took:
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    assert task.done(), "the run goes on for ever"
    return took.seconds


@pytest.mark.parametrize("stuck", ["search", "model", "journal"])
async def test_a_run_whose_work_cannot_be_cancelled_fails_in_time(world: World, stuck: str) -> None:
    world.stuck = stuck
    answering = execution(world)

    assert await ended(answering.run()) < 8

    assert answering.live.has_ended
    assert world.ends == ["failed"]


async def test_a_lease_that_cannot_be_cancelled_holds_no_answer_back(world: World) -> None:
    world.stuck = "lease"
    answering = execution(world, UNHURRIED)
    running = asyncio.ensure_future(answering.run())

    assert answer_of(await answering.live.result()) == "text"
    assert await ended(running) < 8


async def test_a_search_has_a_limit_of_its_own(world: World) -> None:
    world.stuck = "search"
    answering = execution(world, UNHURRIED, search_seconds=0.05)

    await ended(answering.run())

    with pytest.raises(UpstreamTimeout, match="vectors did not answer in time"):
        await answering.live.result()


async def test_a_store_that_takes_no_end_keeps_it_from_nobody_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chat.runs.journal.STORE_SECONDS", 0.1)
    monkeypatch.setattr("services.chat.runs.execution.STORE_SECONDS", 0.1)
    world.stuck = "end"
    answering = execution(world)

    assert await ended(answering.run()) < 8
    assert answering.live.has_ended


async def test_an_aborted_run_ends_whatever_it_waits_for(world: World) -> None:
    world.stuck = "model"
    answering = execution(world)
    answering.live.abort(Interrupted())

    assert await ended(answering.run()) < 8
    with pytest.raises(Interrupted):
        await answering.live.result()


class Unheard(World):
    """A Redis whose word that it stored the answer is lost."""

    async def end(self, turn: Turn, status: str, events: list[Event], answer: Message | None = None) -> str:
        if status == "completed":
            self.stored = events
            raise Unavailable("redis")
        return "completed"


async def test_an_answer_that_was_stored_is_told_though_its_storing_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chat.runs.journal.PATIENCE_SECONDS", 0.0)
    answering = execution(Unheard(), UNHURRIED)

    await ended(answering.run())

    assert answer_of(await answering.live.result()) == "text"
    told = b"".join([frames async for frames in answering.live.follow(60)])
    assert told.count(b"event: run.completed") == 1
    assert b"run.failed" not in told
