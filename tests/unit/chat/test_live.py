"""A run and those who follow it."""

import asyncio
from contextlib import ExitStack

import pytest
from prometheus_client import Counter

from services.chat.domain import Owner
from services.chat.errors import Interrupted, Overloaded
from services.chat.runs.events import COMPLETED, Event
from services.chat.runs.live import LiveRun
from services.chat.runs.supervisor import Supervisor
from shared.errors import Unavailable
from shared.limits import ShareTaken
from shared.watchdog import Watchdog
from shared.web import HEARTBEAT

OWNER = Owner("tenant", "user")


def event(number: int) -> Event:
    return Event(number, COMPLETED, b"{}")


async def read(run: LiveRun) -> bytes:
    return b"".join([frames async for frames in run.follow(60)])


async def test_everybody_hears_everything_whenever_they_come() -> None:
    run = LiveRun("r", "c")
    early = asyncio.create_task(read(run))
    run.publish(event(1))
    await asyncio.sleep(0)
    late = asyncio.create_task(read(run))
    run.publish(event(2))

    run.end(Unavailable("model"), event(3))

    expected = b"".join(event(number).frame() for number in (1, 2, 3))
    assert {await early, await late, await read(run)} == {expected}


async def test_one_who_leaves_disturbs_nobody() -> None:
    run = LiveRun("r", "c")
    leaving, staying = asyncio.create_task(read(run)), asyncio.create_task(read(run))
    await asyncio.sleep(0)

    leaving.cancel()
    run.end(Unavailable("model"), event(1))

    assert await staying == event(1).frame()


async def test_one_who_is_slow_is_given_so_much_at_once() -> None:
    run = LiveRun("r", "c")
    events = [Event(number, COMPLETED, b"x" * 30_000) for number in range(1, 6)]
    events.append(Event(6, COMPLETED, b"x" * 100_000))
    run.end(Unavailable("model"), *events)

    given = [frames async for frames in run.follow(60)]

    assert [len(frames) // 30_000 for frames in given] == [2, 2, 1, 3]
    assert b"".join(given) == b"".join(event.frame() for event in events)


async def test_silence_is_filled_with_heartbeats() -> None:
    run = LiveRun("r", "c")

    assert await anext(run.follow(0.01)) == HEARTBEAT


async def test_the_outcome_is_raised_when_it_is_an_error() -> None:
    run = LiveRun("r", "c")
    run.end(Unavailable("model"), event(1))

    with pytest.raises(Unavailable):
        await run.result()


async def test_a_place_is_given_back_when_no_run_came_of_it() -> None:
    supervisor = Supervisor(1, 60, Watchdog(Counter("outlived", "", ["kind"], registry=None)))

    with pytest.raises(Unavailable), supervisor.admission(OWNER):
        raise Unavailable("agents")

    with supervisor.admission(OWNER), pytest.raises(Overloaded), supervisor.admission(Owner("another", "user")):
        pass


async def test_one_account_does_not_take_every_place() -> None:
    supervisor = Supervisor(16, 60, Watchdog(Counter("outlived", "", ["kind"], registry=None)))
    neighbour = Owner("another", "user")

    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(supervisor.admission(OWNER))
        with pytest.raises(ShareTaken, match="4 answers"):
            held.enter_context(supervisor.admission(OWNER))

        held.enter_context(supervisor.admission(neighbour))


async def test_a_run_that_does_not_hear_of_its_interruption_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chat.runs.supervisor._CLOSE_SECONDS", 0.05)
    supervisor = Supervisor(1, 60, Watchdog(Counter("outlived", "", ["kind"], registry=None)))
    run = LiveRun("r", "c")
    with supervisor.admission(OWNER) as admission:
        admission.launch(run, asyncio.sleep(60))

    await supervisor.aclose()

    with pytest.raises(Interrupted):
        await run.result()
    assert len(supervisor) == 0
